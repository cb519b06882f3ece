"""What is written: golden files of every node."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given

from components.keepalived_vip import KeepalivedVipSettings, TrackScript, haproxy_ready, rendering
from components.keepalived_vip.rendering import CONFIGURATION
from components.settings import load
from policies.parsers.keepalived import parse
from policies.rules import HostFiles, check_files
from tests.unit.keepalived_vip.strategies import groups

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


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.1, "0.1"), (1, "1"), (40.95, "40.95"), (3600, "3600"), (0.05, "0.05"), (1234.567, "1234.567")],
)
def test_numbers_have_the_decimals_that_keepalived_takes(value: float, written: str) -> None:
    assert rendering.number(value) == written


def test_a_check_gives_up_before_it_runs_again() -> None:
    assert haproxy_ready(interval=1.5).command[5] == "0.9"
    assert haproxy_ready(interval=1.5, fall=3).limit == 4.5
    assert TrackScript(name="a", command=("/bin/true",), interval=0.333).limit == 0.266


@given(groups())
def test_policies_read_back_what_is_written(data: dict[str, Any]) -> None:
    known = load(KeepalivedVipSettings, data, "vip")
    addresses = {node.host: node.address for node in known.nodes if node.address}
    for host in known.hosts:
        text = rendering.configuration(known, host, addresses)
        assert check_files(HostFiles(texts={CONFIGURATION: text})) == []
        found = parse(text)
        assert not found.problems
        written = {each.words[1]: each for each in found.top.all("vrrp_instance")}
        assert set(written) == {instance.name for instance in known.instances}
        for instance in known.instances:
            here = written[instance.name]
            words = {key: here.last(key) for key in ("virtual_router_id", "priority", "advert_int")}
            numbers = {key: float(each.words[1]) for key, each in words.items() if each}
            assert numbers == {
                "virtual_router_id": instance.router_id,
                "priority": known.priorities(instance)[host],
                "advert_int": instance.advert_interval,
            }
            blocks = here.all("virtual_ipaddress", "virtual_ipaddress_excluded")
            held = {each.words[0] for block in blocks for each in block.block}
            assert held == {str(vip.ip) for vip in instance.addresses}
            (peers,) = here.all("unicast_peer")
            assert [each.words[0] for each in peers.block] == [
                str(addresses[each]) for each in known.hosts if each != host
            ]
