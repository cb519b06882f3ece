"""One root for two stacks: what crosses, what is refused, and how certificates change through both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import Project

pytestmark = pytest.mark.engine

HERE = Path(__file__).parent
ROOT = "organization/root/test"
EU = {
    "stack": "organization/eu/test",
    "names": ["*.eu.example.com", "192.0.2.0/24"],
    "commonNames": ["redis*", "app"],
}
NEXT = f"Run `pulumi up` of {ROOT}, then this one again."


@dataclass
class Stacks:
    """The root's stack, and that of a region."""

    root: Project
    region: Project
    files: Path

    def sign(self, authority: dict[str, Any] | None = None, **region: Any) -> None:
        """Run `pulumi up` of the root."""
        self.root.configure({"authority": authority or {}, "regions": {"eu": {**EU, **region}}})
        self.root.up()

    def ask(self, **config: Any) -> str:
        """Run `pulumi up` of the region, with a preview before, and return why it ended; empty if it did not."""
        self.region.configure({"authority": {"stack": ROOT, "region": "eu"}, **config})
        run = self.region.pulumi("up", "--yes", check=False)
        assert (run.code != 0) is ("error: " in run.text), run.text
        return run.text if run.code else ""

    def settle(self, **config: Any) -> None:
        """Ask, sign, and take what was signed."""
        self.ask(**config)
        self.sign()
        assert self.ask(**config) == ""

    def verify(self, name: str = "both", *options: str, trusted: str | None = None) -> str:
        """What `openssl verify` says of a certificate that the region has."""
        outputs = self.region.outputs()
        (self.files / "trusted.pem").write_text(trusted or outputs["trusted"])
        (self.files / "leaf.pem").write_text(outputs[name])
        words = ["openssl", "verify", "-CAfile", "trusted.pem", *options, "leaf.pem"]
        run = subprocess.run(words, cwd=self.files, capture_output=True, text=True, check=False)
        return run.stdout + run.stderr

    def held(self, name: str = "both") -> str:
        """A certificate that the region has."""
        return str(self.region.outputs()[name])


def state(project: Project) -> dict[str, Any]:
    """A stack's state, secrets in plaintext."""
    return dict(json.loads(project.pulumi("stack", "export", "--show-secrets").text))


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Stacks]:
    for name in ("root", "eu", "files"):
        (tmp_path / name).mkdir()
    root = Project.create(tmp_path / "root", (HERE / "root.py").read_text(), name="root")
    region = Project.create(tmp_path / "eu", (HERE / "region.py").read_text(), name="eu", beside=root)
    root.up()
    yield Stacks(root, region, tmp_path / "files")
    region.destroy()
    root.destroy()


def test_region_asks_root_signs_region_has(stacks: Stacks) -> None:
    ended = stacks.ask()
    assert f"root: {ROOT} does not know the region 'eu': add it to `regions` there." in ended
    assert NEXT in ended
    stacks.sign()
    assert stacks.ask() == ""
    assert "OK" in stacks.verify("both", "-purpose", "sslserver", "-verify_hostname", "redis1.eu.example.com")
    assert "OK" in stacks.verify("both", "-purpose", "sslclient", "-verify_ip", "192.0.2.1")
    assert "OK" in stacks.verify("client", "-purpose", "sslclient")
    assert "OK" not in stacks.verify("client", "-purpose", "sslserver")
    assert stacks.root.up().unchanged
    assert stacks.region.up().unchanged


def test_nothing_but_requests_and_certificates_crosses(stacks: Stacks) -> None:
    stacks.settle()
    stacks.sign()
    assert stacks.ask() == ""
    keys = {
        project.name: [
            line
            for resource in state(project)["deployment"]["resources"]
            if resource["type"] == "tls:index/privateKey:PrivateKey"
            for form in ("privateKeyPem", "privateKeyPemPkcs8")
            for line in json.loads(resource["outputs"][form]["plaintext"]).splitlines()
            if not line.startswith("-")
        ]
        for project in (stacks.root, stacks.region)
    }
    assert all(keys.values())
    assert not [line for line in keys["root"] if line in json.dumps(state(stacks.region))]
    assert not [line for line in keys["eu"] if line in json.dumps(state(stacks.root))]


def test_secrets_that_a_reference_would_take_along_are_told(stacks: Stacks) -> None:
    stacks.settle(tellsKey=True)
    stacks.root.configure({"regions": {"eu": EU}, "tellsSecret": True})
    told = stacks.root.up().text
    assert "warning: regions.eu: organization/eu/test exports secrets (key), and the state of this stack holds" in told
    ended = stacks.ask()
    assert f"{ROOT}: exports secrets (secret), and every region's state would hold them: export none there" in ended
    assert "not for regions" not in json.dumps(state(stacks.region)), "the preview ended it"


def test_without_waiting_nothing_is_built_on_what_is_not_signed(stacks: Stacks) -> None:
    stacks.sign()
    ended = stacks.ask(careless=True)
    assert f"-1: {ROOT} has not signed it yet." in ended


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"certificates": {"issue": 2}}, f"both-2: {ROOT} has not signed it yet."),
        (
            {"names": ["redis2.eu.example.com"]},
            f"both-1: what {ROOT} signed does not fit: it is for 192.0.2.1, redis1.eu.example.com instead of "
            "redis2.eu.example.com.",
        ),
    ],
)
def test_what_changes_is_asked_for_again(stacks: Stacks, change: dict[str, Any], problem: str) -> None:
    stacks.settle()
    before = stacks.held()
    ended = stacks.ask(**change)
    assert problem in ended
    assert NEXT in ended
    stacks.sign()
    assert stacks.ask(**change) == ""
    assert stacks.held() != before
    assert "OK" in stacks.verify()


def test_certificate_for_another_key_is_refused(stacks: Stacks) -> None:
    stacks.settle()
    exported = state(stacks.root)
    for resource in exported["deployment"]["resources"]:
        if resource["type"] == "pulumi:pulumi:Stack":
            signed = resource["outputs"]["signedCertificates"]["eu"]["certificates"]
            signed["both-1"] = signed["client-1"]
    stacks.root.pulumi("stack", "import", stdin=json.dumps(exported))
    ended = stacks.ask()
    assert f"both-1: what {ROOT} signed does not fit: it is for another key; it is for no name instead of" in ended


def test_near_its_end_the_root_renews_and_the_region_takes_it(stacks: Stacks) -> None:
    stacks.settle()
    before = {name: stacks.held(name) for name in ("both", "client")}
    exported = state(stacks.root)
    (leaf,) = [each for each in exported["deployment"]["resources"] if each["urn"].endswith("::eu-both-1")]
    end = datetime.now(UTC) + timedelta(days=29)
    leaf["outputs"]["validityEndTime"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    stacks.root.pulumi("stack", "import", stdin=json.dumps(exported))
    stacks.sign()
    assert stacks.ask() == ""
    after = {name: stacks.held(name) for name in before}
    assert {name for name in before if after[name] != before[name]} == {"both"}
    assert "OK" in stacks.verify()


def test_root_changes_in_three_runs_and_never_too_early(stacks: Stacks) -> None:
    stacks.settle()
    old_leaf, old_root = stacks.held(), stacks.region.outputs()["trusted"]
    stacks.sign({"signing": 1, "trusted": [1, 2]})
    early = refused(stacks, {"signing": 2, "trusted": [1, 2]})
    assert (
        "regions.eu: it does not trust the generation yet that is to sign: run `pulumi up` of organization/eu" in early
    )
    assert stacks.ask() == ""
    assert stacks.held() == old_leaf
    stacks.sign({"signing": 2, "trusted": [1, 2]})
    early = refused(stacks, {"signing": 2, "trusted": [2]})
    assert "regions.eu: both-1 still has a certificate of a generation that is to be dropped" in early
    assert stacks.ask() == ""
    assert "OK" in stacks.verify()
    assert "OK" not in stacks.verify(trusted=old_root)
    stacks.sign({"signing": 2, "trusted": [2]})
    assert stacks.ask() == ""
    assert stacks.region.outputs()["trusted"].count("BEGIN CERTIFICATE") == 1
    assert "OK" in stacks.verify()


def refused(stacks: Stacks, authority: dict[str, Any]) -> str:
    """Why the root does not change."""
    stacks.root.configure({"authority": authority, "regions": {"eu": EU}})
    run = stacks.root.up(check=False)
    assert run.code != 0
    return run.text


def test_region_gets_no_more_than_it_may_have(stacks: Stacks) -> None:
    stacks.ask(names=["redis1.us.example.com", "192.0.2.1"])
    text = refused(stacks, {})
    assert "regions.eu: both-1: 'redis1.us.example.com' is none of its names (*.eu.example.com, 192.0.2.0/24)" in text
    assert "eu-both-1" not in json.dumps(state(stacks.root))
