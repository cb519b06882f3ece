"""Roles refuse what a host could not take, and pack into the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigurationError
from components.host import Check, Directory, File, RoleSpec, Unit, User, Validation
from components.host.bundle import FORMAT, pack


def unpack(text: str) -> dict[str, bytes]:
    header, _, body = text.partition("\n")
    name, digest = header.split()
    blob = base64.b64decode(body)
    assert name == FORMAT
    assert hashlib.sha256(blob).hexdigest() == digest
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
    return {name: file.read() for name, file in members.items() if file is not None}


def role(**parts: Any) -> RoleSpec:
    return RoleSpec(**{"name": "proof", **parts})


@pytest.mark.parametrize(
    ("parts", "path", "fix"),
    [
        ({"name": "Proof"}, "role.name", "lower-case"),
        ({"packages": ("a\tb",)}, "role[proof].packages", "tab"),
        ({"users": (User(name="a\nb"),)}, "role[proof].users", "line break"),
        ({"files": (File(path="etc/x", content=""),)}, "role[proof].file[etc/x]", "absolute path"),
        ({"files": (File(path="/etc/../x", content=""),)}, "role[proof].file[/etc/../x]", "'..'"),
        ({"directories": (Directory(path="/etc/x/"),)}, "role[proof].directory[/etc/x/]", "absolute path"),
        ({"files": (File(path="/x", content="", mode=0o10000),)}, "role[proof].file[/x]", "permission bits"),
        ({"files": (File(path="/x", content="", mode=0o644, secret=True),)}, "role[proof].file[/x]", "0o600"),
        ({"files": (File(path="/x", content=""), File(path="/x", content=""))}, "role[proof].files", "once"),
        ({"units": (Unit(name="a.service", reload_on=("/x",)),)}, "role[proof].units[a.service]", "name a file"),
        ({"checks": (Check(name="a\tb", command="true"),)}, "role[proof].check", "tab"),
    ],
)
def test_refusals_name_path_and_fix(parts: dict[str, Any], path: str, fix: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        role(**parts)
    assert refused.value.path == path
    assert fix in refused.value.fix


def test_manifest_says_everything() -> None:
    spec = role(
        packages=("haproxy",),
        users=(User(name="tunnel"),),
        directories=(Directory(path="/etc/proof", mode=0o750, group="tunnel"),),
        files=(File(path="/etc/proof/a", content="", mode=0o640),),
        units=(Unit(name="a.service", reload_on=("/etc/proof/a",)),),
        validations=(Validation(name="a -t", command="true"),),
        checks=(Check(name="lives", command="true", timeout=7),),
        selinux_booleans=("haproxy_connect_any",),
    )
    manifest = unpack(pack(spec, {"/etc/proof/a": "text\n"}, family="debian", incarnation="7"))["manifest"].decode()
    assert manifest.splitlines() == [
        "role\tproof",
        "family\tdebian",
        "incarnation\t7",
        "package\thaproxy",
        "boolean\thaproxy_connect_any",
        "user\ttunnel\t/nonexistent\t/usr/sbin/nologin",
        "directory\t/etc/proof\t750\troot\ttunnel",
        "file\t/etc/proof/a\t640\troot\troot\tfile-0",
        "validation\ta -t\t30\tvalidation-0",
        "unit\ta.service",
        "reload\ta.service\t/etc/proof/a",
        "check\tlives\t7\tcheck-0",
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_content_arrives_as_it_was(text: str) -> None:
    spec = role(files=(File(path="/etc/proof", content=""),))
    assert unpack(pack(spec, {"/etc/proof": text}, family="debian"))["file-0"].decode() == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_same_role_is_the_same_input(text: str) -> None:
    spec = role(files=(File(path="/etc/proof", content=""),))
    contents = {"/etc/proof": text}
    assert pack(spec, contents, family="debian") == pack(spec, contents, family="debian")


def test_incarnation_alone_is_a_change() -> None:
    assert pack(role(), {}, family="debian", incarnation="1") != pack(role(), {}, family="debian", incarnation="2")
