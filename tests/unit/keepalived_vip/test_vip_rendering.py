"""What is written: golden files of every node."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.keepalived_vip import KeepalivedVipSettings, TrackScript, haproxy_ready, rendering
from components.settings import load

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "keepalived"


def case(name: str) -> tuple[KeepalivedVipSettings, dict[str, Any]]:
    data = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    addresses = {host: ipaddress.ip_address(text) for host, text in data["addresses"].items()}
    return load(KeepalivedVipSettings, data["settings"], "vip"), addresses


def written(name: str) -> dict[str, str]:
    """Files by their path below the golden folder."""
    settings, addresses = case(name)
    files = {"keepalived.service.d": rendering.service_drop_in(settings)}
    for host in settings.hosts:
        files[f"{host}/keepalived.conf"] = rendering.configuration(settings, host, addresses)
        files[f"{host}/addresses"] = rendering.addresses_file(settings, host, addresses)
    return files


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
def test_golden(name: str) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/keepalived_vip` writes the files anew, to be reviewed like code."""
    files = written(name)
    for path, text in files.items():
        place = GOLDEN / name / path
        if os.environ.get("UPDATE_GOLDEN"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        assert text == place.read_text()
    known = {str(path.relative_to(GOLDEN / name)) for path in (GOLDEN / name).rglob("*") if path.is_file()}
    assert known == set(files)


def test_the_check_of_haproxy_is_the_golden_one() -> None:
    settings, _ = case("load-balancers")
    assert settings.track_scripts == (haproxy_ready(),)


def test_a_check_gives_up_before_it_runs_again() -> None:
    assert haproxy_ready(interval=1.5).command[5] == "1.5"
    assert TrackScript(name="a", command=("/bin/true",), interval=2).limit == 2
