"""What Spinnaker is told: golden files of both ways."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import certifi
import pytest
import yaml

from components.settings import load
from components.spinnaker_redis_mtls import SpinnakerRedisSettings, rendering

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "spinnaker"
SECRET: Final = "spinnaker-redis-mtls-0123456789"
PASSWORD: Final = "of-the-store"


def case(name: str) -> SpinnakerRedisSettings:
    data = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    return load(SpinnakerRedisSettings, data["settings"], "spinnaker")


def written(name: str) -> dict[str, str]:
    """Files by their path below the golden folder."""
    settings = case(name)
    options = rendering.jvm_options(settings, PASSWORD, "of-redis")
    files = {"jvm-options": "".join(f"{each}\n" for each in options)}
    if settings.operator:
        files["spec.yml"] = yaml.safe_dump(rendering.spec(settings, SECRET, options), sort_keys=False)
    return files | rendering.halyard_files(settings, SECRET, options)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
def test_golden(name: str) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/spinnaker_redis_mtls` writes the files anew, to be reviewed like code."""
    files = written(name)
    for path, text in files.items():
        place = GOLDEN / name / path
        if os.environ.get("UPDATE_GOLDEN"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        assert text == place.read_text()
    known = {str(path.relative_to(GOLDEN / name)) for path in (GOLDEN / name).rglob("*") if path.is_file()}
    assert known == set(files)


def test_paths_are_known_before_the_secret_is() -> None:
    for name in ("operator", "halyard"):
        assert rendering.halyard_paths(case(name)) == list(rendering.halyard_files(case(name), SECRET, ["-Da=b"]))


def test_a_secret_is_named_by_its_content() -> None:
    settings = case("halyard")
    names = {
        rendering.secret_name(settings, files)
        for files in ({"a": b"1"}, {"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b""}, {"a": b"1b:0:"})
    }
    assert len(names) == 5
    assert rendering.secret_name(settings, {"a": b"1", "b": b"2"}) == rendering.secret_name(
        settings, {"b": b"2", "a": b"1"}
    )


def test_without_the_option_no_password_stands_in_what_kubernetes_shows() -> None:
    settings = case("operator")
    shown = yaml.safe_dump(rendering.spec(settings, SECRET, rendering.jvm_options(settings, PASSWORD, "of-redis")))
    assert PASSWORD not in shown
    assert "of-redis" not in shown


@pytest.mark.parametrize("profile", [{"redis": {"baseUrl": "rediss://a:1"}}, {"redis.baseUrl": "rediss://a:1"}])
def test_keys_that_nobody_reads_are_found(profile: dict[str, object]) -> None:
    data = {"redis": {"host": "a"}, "operator": {}, "profiles": {"gate": profile, "dinghy": profile}}
    settings = load(SpinnakerRedisSettings, data, "spinnaker")
    assert rendering.dead_keys(settings) == ["profiles.gate.redis.baseUrl"]


def test_services_that_may_be_in_sql_are_found_unless_it_is_said() -> None:
    services = ["clouddriver", "gate", "fiat", "orca"]
    profiles = {"fiat": {"sql": {"enabled": False}}, "orca": {"sql.enabled": False}, "clouddriver": {"sql": {}}}
    data = {"redis": {"host": "a"}, "operator": {}, "services": services, "profiles": profiles}
    assert rendering.perhaps_in_sql(load(SpinnakerRedisSettings, data, "it")) == [("services[0]", "clouddriver")]


def test_a_password_is_part_of_a_uri_and_of_an_option_file() -> None:
    options = rendering.jvm_options(case("operator"), PASSWORD, "a:b@c/d #'\"\\")
    assert options[-1] == "-Dredis.connection=rediss://:a%3Ab%40c%2Fd%20%23%27%22%5C@redis.example.com:6379"


def test_public_authorities_can_be_those_of_a_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(Path(certifi.where()).read_text())
    data = {"redis": {"host": "a"}, "operator": {}, "publicAuthorities": str(bundle)}
    settings = load(SpinnakerRedisSettings, data, "spinnaker")
    assert rendering.authorities(settings, "REDIS") == ("REDIS", bundle.read_text())


def test_public_authorities_stay() -> None:
    for name, least in (("operator", 50), ("halyard", 0)):
        pem = "".join(rendering.authorities(case(name), "REDIS"))
        assert pem.startswith("REDIS")
        assert pem.count("BEGIN CERTIFICATE") >= least
