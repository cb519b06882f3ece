"""The state of a production stack as a release makes it, kept so that later ones can show what they would do to it.

`UPDATE_GOLDEN=1 pytest tests/integration/production` writes tests/golden/upgrade/VERSION.json and its configuration; do
that once a release, and never again for the same one.
"""

from __future__ import annotations

import json
import os
import tomllib
from typing import Any, Final

import yaml

from tests.integration.production.conftest import Production
from tests.integration.support import ROOT

GOLDEN: Final = ROOT / "tests" / "golden" / "upgrade"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "recorded without its value"
_PLAIN: Final = ("host", "user", "hostKey")


def record(production: Production) -> None:
    """Write the state and the configuration, without secrets, if goldens are to be written."""
    if not os.environ.get("UPDATE_GOLDEN"):
        return
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    GOLDEN.mkdir(exist_ok=True)
    exported = json.loads(production.project.pulumi("stack", "export", "--show-secrets").text)
    exported["deployment"].pop("secrets_providers")
    for resource in exported["deployment"]["resources"]:
        for where in ("sourcePosition", "stackTrace"):
            resource.pop(where, None)
    (GOLDEN / f"{version}.json").write_text(json.dumps(_blank(exported), indent=1) + "\n")
    config = yaml.safe_load((production.project.directory / "Pulumi.test.yaml").read_text())["config"]
    values = {key.partition(":")[2]: value for key, value in config.items()}
    for host in values["hosts"].values():
        host["privateKey"] = _SECRET
    values["cacheService"]["password"] = _SECRET
    (GOLDEN / f"{version}.yaml").write_text(yaml.safe_dump(values))


def _blank(value: Any, *, secret: bool = False) -> Any:
    """A state without its secrets, whose shape is kept: a connection is one as a whole, for its private key's sake."""
    if isinstance(value, dict) and _SIGNATURE in value:
        return {**value, "plaintext": json.dumps(_blank(json.loads(value["plaintext"]), secret=True))}
    if isinstance(value, dict):
        return {key: each if key in _PLAIN else _blank(each, secret=secret) for key, each in value.items()}
    if isinstance(value, list):
        return [_blank(each, secret=secret) for each in value]
    return _SECRET if secret and isinstance(value, str) else value
