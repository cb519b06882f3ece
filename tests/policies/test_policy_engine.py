"""The pack under the real engine: previews, updates, policy configuration, and an existing state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import ROOT, Outcome, Project

pytestmark = pytest.mark.engine

PACK = str(ROOT / "policies")
SECRET = "Tr0ub4dor-3!"

# A role as the engine sees it, without the command below it: no host is needed. `late` comes from a resource, so that
# a preview does not know it.
PROGRAM = """\
import pulumi
from pulumi_command import local

config = pulumi.Config()
late = local.Command(
    "late",
    create=config.require("late"),
    add_previous_output_in_env=False,
    logging=local.Logging.STDERR,
)
files = {
    "/etc/haproxy/haproxy.cfg": f"frontend f\\n    bind {config.require('bind')}\\n",
    "/etc/valkey/valkey.conf": late.stdout,
}
pulumi.ComponentResource("sealed-data-tier:host:Role", "lb1-haproxy", {"host": "lb1", "role": "x", "files": files})
"""
SEALED = {"bind": "127.0.0.1:30379", "late": "echo 'bind 127.0.0.1'"}
MESSAGE = "lb1-haproxy: /etc/haproxy/haproxy.cfg:2: `bind *:30379`: listens without TLS of its own"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.create(tmp_path_factory.mktemp("policies"), PROGRAM, SEALED)


def preview(project: Project, policies: Mapping[str, Any] | None = None, **config: object) -> Outcome:
    """Preview under the pack."""
    project.configure({**SEALED, **config})
    return project.pulumi("preview", *under(project, policies), check=False)


def under(project: Project, policies: Mapping[str, Any] | None) -> list[str]:
    options = ["--policy-pack", PACK]
    if policies is not None:
        path = project.directory / "policies.json"
        path.write_text(json.dumps(policies))
        options += ["--policy-pack-config", str(path)]
    return options


def exception(**changes: str) -> dict[str, Any]:
    item = {
        "rule": "haproxy-bind",
        "resource": "lb1-*",
        "reason": "only for this test",
        "expires": "2999-01-01",
        **changes,
    }
    return {"bind-to-localhost": {"exceptions": [item]}}


def test_a_sealed_preview_passes(project: Project) -> None:
    outcome = preview(project)
    assert outcome.code == 0
    assert "[mandatory]" not in outcome.text


def test_a_soft_preview_fails(project: Project) -> None:
    outcome = preview(project, bind="*:30379")
    assert outcome.code != 0
    assert "[mandatory]  bind-to-localhost  (sealed-data-tier:host:Role: lb1-haproxy)" in outcome.text
    assert MESSAGE in outcome.text


def test_what_is_not_known_is_told(project: Project) -> None:
    outcome = preview(project)
    assert "[advisory]  notes  (sealed-data-tier:host:Role: lb1-haproxy)" in outcome.text
    assert "not yet checkable: files./etc/valkey/valkey.conf" in outcome.text
    strict = preview(project, {"notes": "mandatory"})
    assert strict.code != 0


def test_enforcement_is_configurable(project: Project) -> None:
    outcome = preview(project, {"bind-to-localhost": "advisory"}, bind="*:30379")
    assert outcome.code == 0
    assert "[advisory]  bind-to-localhost" in outcome.text


def test_exceptions(project: Project) -> None:
    held = preview(project, exception(), bind="*:30379")
    assert held.code == 0
    assert f"exception until 2999-01-01 (only for this test): {MESSAGE}" in held.text
    ended = preview(project, exception(expires="2020-01-01"), bind="*:30379")
    assert ended.code != 0
    assert "ended on 2020-01-01: renew or remove it." in ended.text


@pytest.mark.parametrize("change", [{"rule": "haproxy-binds"}, {"reason": "why"}, {"expires": "soon"}, {"host": "lb1"}])
def test_exceptions_of_the_wrong_shape_are_refused(project: Project, change: dict[str, str]) -> None:
    outcome = preview(project, exception(**change))
    assert outcome.code != 0
    assert "bind-to-localhost: exceptions.0" in outcome.text


def test_what_a_preview_did_not_know_stops_the_update(project: Project) -> None:
    project.configure({**SEALED, "late": "echo 'bind 0.0.0.0'"})
    outcome = project.up("--policy-pack", PACK, check=False)
    assert outcome.code != 0
    assert "lb1-haproxy: /etc/valkey/valkey.conf:1: `bind 0.0.0.0`" in outcome.text
    project.destroy()


def test_an_existing_state(project: Project, tmp_path: Path) -> None:
    project.configure({**SEALED, "bind": "*:30379"})
    project.up()
    exported = tmp_path / "state.json"
    project.pulumi("stack", "export", "--file", str(exported))
    environment = {name: value for name, value in project.environment.items() if name != "PULUMI_OPTION_STACK"}
    stackless = Project(project.directory, environment)
    for run in (
        project.pulumi("policy", "analyze", *under(project, None), check=False),
        stackless.pulumi("policy", "analyze", "--file", str(exported), *under(project, None), check=False),
    ):
        assert run.code != 0
        assert MESSAGE in run.text
    project.configure(SEALED)
    project.up()
    assert project.pulumi("policy", "analyze", *under(project, None)).code == 0
    project.destroy()


# A group of pods that clients outside reach, and perhaps a Service that somebody else put beside it.
PODS = """\
import pulumi
import pulumi_kubernetes as kubernetes
from components import CertificateAuthority, RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load

pods = {"namespace": "data", "image": "redis:8.0", "exposure": {"type": "NodePort", "names": ["orders.example.com"]}}
settings = load(RedisTlsSettings, {"name": "orders", "topology": "sentinel", "kubernetes": pods}, "redis")
RedisTlsCluster("orders", RedisTlsClusterArgs(settings=settings, authority=CertificateAuthority("authority")))
if selector := pulumi.Config().get_object("selector"):
    spec = {"type": "NodePort", "selector": selector, "ports": [{"port": 6379}]}
    kubernetes.core.v1.Service("by-hand", metadata={"namespace": "data"}, spec=spec)
"""


@pytest.mark.parametrize(
    ("selector", "is_sealed"),
    [
        (None, True),
        ({"statefulset.kubernetes.io/pod-name": "orders-server-1"}, True),
        ({"statefulset.kubernetes.io/pod-name": "payments-0"}, False),
    ],
)
def test_pods_that_are_reached_from_outside(project: Project, selector: dict[str, str] | None, is_sealed: bool) -> None:
    project.program(PODS)
    try:
        outcome = preview(project, **({"selector": selector} if selector else {}))
    finally:
        project.program(PROGRAM)
    assert "orders-server-2-outside-service" in outcome.text
    assert (outcome.code == 0) is is_sealed
    assert ("[mandatory]" in outcome.text) is not is_sealed
    assert ("[exposed-service]" in outcome.text) is not is_sealed


def test_no_message_holds_a_secret(project: Project) -> None:
    project.program(
        "import pulumi\n"
        "from pulumi_command import local\n"
        "config = pulumi.Config()\n"
        "secret, hidden = config.require('late'), config.require_secret('late')\n"
        "local.Command('x', create=f'x --password {secret}', delete=f'echo {secret}', stdin=hidden)\n"
    )
    try:
        outcome = preview(project, late=SECRET)
    finally:
        project.program(PROGRAM)
    assert outcome.code != 0
    assert outcome.text.count("[secret-in-command]") == 2
    policies = outcome.text.partition("Policies:")[2]
    assert policies
    assert SECRET not in policies
