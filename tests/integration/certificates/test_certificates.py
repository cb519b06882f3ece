"""What OpenSSL says of the certificates, and how they change."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import ROOT, Project

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).with_name("program.py").read_text()
LEAVES = ("server", "client", "both")


@dataclass
class Stack:
    """The stack, and its certificates as files."""

    project: Project
    files: Path

    def up(self, **config: Any) -> str:
        """Run `pulumi up`, and write the certificates into files."""
        self.project.configure(config)
        text = self.project.up().text
        outputs = self.project.outputs()
        for name in ("root", "trusted"):
            (self.files / f"{name}.pem").write_text(outputs[name])
        for name in LEAVES:
            (self.files / f"{name}.pem").write_text(outputs[name]["certificate"])
            (self.files / f"{name}.key").write_text(outputs[name]["key"])
        return text

    def pretend_end(self, name: str, *, days: int) -> None:
        """Let the state believe that a certificate ends so many days from now."""
        state = json.loads(self.project.pulumi("stack", "export").text)
        (resource,) = [each for each in state["deployment"]["resources"] if each["urn"].endswith(f"::{name}")]
        end = datetime.now(UTC) + timedelta(days=days)
        resource["outputs"]["validityEndTime"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.project.pulumi("stack", "import", stdin=json.dumps(state))

    def openssl(self, *words: str, check: bool = True) -> str:
        """Run openssl beside the files."""
        done = subprocess.run(["openssl", *words], cwd=self.files, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def verify(self, name: str, *options: str, trusted: str = "trusted") -> str:
        """What `openssl verify` says; it ends in `OK` if the certificate can be trusted for the purpose."""
        return self.openssl("verify", "-CAfile", f"{trusted}.pem", *options, f"{name}.pem", check=False)

    def serial(self, name: str) -> str:
        """Serial number of a certificate."""
        return self.openssl("x509", "-noout", "-serial", "-in", f"{name}.pem")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "files").mkdir()
    project = Project.create(tmp_path, PROGRAM)
    yield Stack(project, tmp_path / "files")
    project.destroy()


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "rsa-3072"])
def test_each_can_do_its_part_and_no_more(stack: Stack, algorithm: str) -> None:
    stack.up(authority={"algorithm": algorithm}, certificates={"algorithm": algorithm})
    purposes = {
        name: {p for p in ("sslserver", "sslclient") if "OK" in stack.verify(name, "-purpose", p)} for name in LEAVES
    }
    assert purposes == {"server": {"sslserver"}, "client": {"sslclient"}, "both": {"sslserver", "sslclient"}}
    root = stack.openssl("x509", "-noout", "-ext", "keyUsage,basicConstraints", "-in", "root.pem")
    assert "X509v3 Key Usage: critical\n    Certificate Sign, CRL Sign\n" in root
    assert "X509v3 Basic Constraints: critical\n    CA:TRUE\n" in root
    leaf = stack.openssl("x509", "-noout", "-ext", "keyUsage,basicConstraints,subjectAltName", "-in", "both.pem")
    assert "X509v3 Key Usage: critical\n    Digital Signature\n" in leaf
    assert "CA:FALSE" in leaf
    assert "DNS:redis1.example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1" in leaf
    assert len({stack.serial(name) for name in ("root", *LEAVES)}) == 4


def test_a_leaf_cannot_sign(stack: Stack) -> None:
    stack.up()
    stack.openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=forged"),
        *("-keyout", "forged.key", "-out", "forged.csr"),
    )
    stack.openssl(*["x509", "-req", "-in", "forged.csr", "-CA", "both.pem", "-CAkey", "both.key", "-out", "forged.pem"])
    assert "invalid CA certificate" in stack.verify("forged", "-untrusted", "both.pem")


@pytest.mark.parametrize(("name", "fits"), [("redis1.example.com", True), ("redis2.example.com", False)])
def test_names_are_checked(stack: Stack, name: str, fits: bool) -> None:
    stack.up()
    assert ("OK" in stack.verify("server", "-verify_hostname", name)) is fits


def test_issuing_anew_is_one_value(stack: Stack) -> None:
    stack.up()
    before = {name: stack.serial(name) for name in ("root", *LEAVES)}
    stack.up(certificates={"issue": 2})
    after = {name: stack.serial(name) for name in ("root", *LEAVES)}
    assert after["root"] == before["root"]
    assert all(after[name] != before[name] for name in LEAVES)


def test_authority_changes_in_three_runs(stack: Stack) -> None:
    stack.up()
    old_root, old_leaf = stack.openssl("x509", "-in", "root.pem"), (stack.files / "both.pem").read_text()
    (stack.files / "old.pem").write_text(old_root)
    stack.up(authority={"signing": 1, "trusted": [1, 2]})
    assert (stack.files / "both.pem").read_text() == old_leaf, "nothing is issued yet"
    assert (stack.files / "trusted.pem").read_text().count("BEGIN CERTIFICATE") == 2
    stack.up(authority={"signing": 2, "trusted": [1, 2]})
    assert "OK" in stack.verify("both")
    assert "OK" not in stack.verify("both", trusted="old"), "the new generation signed it"
    (stack.files / "earlier.pem").write_text(old_leaf)
    assert "OK" in stack.verify("earlier"), "and those who have not got theirs yet are trusted still"
    stack.up(authority={"signing": 2, "trusted": [2]})
    assert "OK" in stack.verify("both")
    assert "OK" not in stack.verify("earlier")


def test_near_its_end_the_next_up_renews(stack: Stack) -> None:
    stack.up()
    before = {name: stack.serial(name) for name in ("root", *LEAVES)}
    assert stack.project.up().unchanged
    stack.pretend_end("both-1", days=29)
    stack.up()
    after = {name: stack.serial(name) for name in ("root", *LEAVES)}
    assert {name for name in after if after[name] != before[name]} == {"both"}


def test_a_leaf_never_outlives_its_authority(stack: Stack) -> None:
    stack.up()
    stack.pretend_end("root-root-1", days=60)
    later = stack.project.up(check=False)
    assert later.code != 0
    assert "after its authority (" in later.text
    stack.project.configure({"authority": {"validityDays": 90}})
    refused = stack.project.up(check=False)
    assert "settings.validityDays: 90 cannot be used: its authority is valid for 90 days: use less" in refused.text


def test_policies_hold_for_them(stack: Stack, tmp_path: Path) -> None:
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"certificates": {"deployIntervalDays": 14}}))
    pack = ("--policy-pack", str(ROOT / "policies"), "--policy-pack-config", str(config))
    for algorithm in ("ecdsa-p256", "rsa-3072"):
        stack.project.configure({"authority": {"algorithm": algorithm}, "certificates": {"algorithm": algorithm}})
        outcome = stack.project.up(*pack)
        assert "[mandatory]" not in outcome.text
    stack.project.configure({"certificates": {"renewalDays": 14}})
    refused = stack.project.up(*pack, check=False)
    assert refused.code != 0
    assert "earlyRenewalHours: `336`: a deployment every 14 days may come after its end." in refused.text
    config.write_text(json.dumps({"certificates": {"deployIntervalDays": 0}}))
    assert "deployIntervalDays" in stack.project.up(*pack, check=False).text
