"""What previews of this repository's own program say of Kubernetes, where no cluster is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.production.conftest import NAME, PROGRAM
from tests.integration.support import Project

pytestmark = pytest.mark.engine

POD: Final = {"kubernetes": {"namespace": "data", "image": "redis:8.0"}}
REDIS: Final[dict[str, Any]] = {"name": "ci", "users": [{"name": "default"}], "keyspaceEvents": "Egx", **POD}
SPINNAKER: Final[dict[str, Any]] = {"redis": {"host": "ci.data.svc", "group": "ci"}, "operator": {}}
BOTH: Final = {"redis": [REDIS], "spinnaker": [SPINNAKER]}
ELSEWHERE: Final = {"kubernetes:kubeconfig": "/nowhere/kubeconfig", "kubernetes:context": "production"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path, PROGRAM, name=NAME)


def test_everything_is_put_into_the_one_cluster_that_is_configured(project: Project) -> None:
    project.configure({**BOTH, **ELSEWHERE})
    said = project.pulumi("preview", "--json").text
    states = [step["newState"] for step in json.loads(said[said.index("{\n") :])["steps"] if "newState" in step]
    providers = {each["urn"]: each["inputs"] for each in states if each["type"] == "pulumi:providers:kubernetes"}
    known = {(each["kubeconfig"], each["context"]) for each in providers.values()}
    assert known == {("[secret]", "production")}
    used = {each["provider"].rpartition("::")[0] for each in states if each["type"].startswith("kubernetes:")}
    assert used == set(providers)
    assert {urn.rpartition("::")[2] for urn in used} == {"kubernetes", "kubernetes-keeper"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"kubernetes:cluster": "a"},
            "kubernetes:cluster: nobody reads this key: use one of kubernetes:context, kubern",
        ),
        (
            {
                "lab": {"hosts": ["a", "b"], "cache": None, "cluster": {"controlPlane": "a", "workers": ["b"]}},
                **ELSEWHERE,
            },
            "kubernetes:kubeconfig: the stack's cluster is the lab's: remove this, or lab.cluster",
        ),
    ],
    ids=["unknown", "beside-the-labs"],
)
def test_another_cluster_is_refused(project: Project, config: dict[str, Any], said: str) -> None:
    project.configure(config)
    assert said in project.pulumi("preview", check=False).text


def test_spinnakers_services_are_warned_of_what_is_not_read_and_not_seen(project: Project) -> None:
    own = {"gate": {"redis": {"baseUrl": "rediss://ci.data.svc:6379"}}, "orca": {"sql": {"enabled": False}}}
    services = ["gate", "orca", "clouddriver"]
    project.configure({**BOTH, "spinnaker": [{**SPINNAKER, "services": services, "profiles": own}]})
    text = project.pulumi("preview").text
    dead = "spinnaker[0].profiles.gate.redis.baseUrl: no Java service reads it; they read redis.connection"
    assert f"warning: {dead}" in text
    assert "warning: spinnaker[0].services[2]: clouddriver may keep its data in SQL, and its database" in text
    assert "services[1]" not in text
