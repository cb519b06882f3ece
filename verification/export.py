"""A stack's state as `pulumi stack export` prints it: resources, their parents, and secrets in plaintext."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_PULUMI: Final = ROOT / "toolchain" / "pulumi"
_STACK: Final = "pulumi:pulumi:Stack"
_LIMIT_S: Final = 300  # the first run of a fresh clone may have to make the toolchain ready

# How Pulumi marks special values in a state (sdk/go/common/resource/sig).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker


class UnusableStackError(Exception):
    """There is nothing to verify; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of the state.

    Attributes:
        urn: Its URN.
        kind: Its type token.
        parent: URN of its parent, or an empty string.
        provider: URN of its provider, or an empty string.
        inputs: Inputs, secrets in plaintext.
        outputs: Outputs, likewise.
    """

    urn: str
    kind: str
    parent: str
    provider: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name in the program."""
        return self.urn.split("::", 3)[-1]

    def __repr__(self) -> str:
        """Name the resource and show none of its values: some are secrets."""
        return f"Resource({self.urn})"


class State:
    """The resources of a stack."""

    def __init__(self, deployment: Mapping[str, Any]) -> None:
        resources = [_resource(item) for item in deployment.get("resources") or () if not item.get("delete")]
        self._by_urn = {each.urn: each for each in resources}

    def of_kind(self, kind: str) -> Iterator[Resource]:
        """Yield the resources of a type, in the state's order."""
        return (each for each in self._by_urn.values() if each.kind == kind)

    def get(self, urn: str) -> Resource | None:
        """Return a resource by its URN."""
        return self._by_urn.get(urn)

    def all(self) -> Iterator[Resource]:
        """Yield all resources, in the state's order."""
        return iter(self._by_urn.values())

    def is_below(self, resource: Resource, prefix: str) -> bool:
        """Tell whether a component whose type begins with a text holds a resource, at any depth."""
        return any(above.kind.startswith(prefix) for above in self._ancestors(resource))

    def with_output(self, name: str) -> Iterator[Resource]:
        """Yield the resources that have an output of some name, except the stack itself with what it exports."""
        return (each for each in self._by_urn.values() if name in each.outputs and each.kind != _STACK)

    def below(self, ancestor: Resource, kind: str) -> Iterator[Resource]:
        """Yield the resources of a type that an ancestor holds, at any depth."""
        return (each for each in self.of_kind(kind) if any(above is ancestor for above in self._ancestors(each)))

    def _ancestors(self, resource: Resource) -> Iterator[Resource]:
        above = self._by_urn.get(resource.parent)
        while above is not None:
            yield above
            above = self._by_urn.get(above.parent)


def export() -> State:
    """Ask the CLI for the state of the stack that the environment selects.

    Raises:
        UnusableStackError: When there is none, or it cannot be read.
    """
    command = [str(_PULUMI), "--non-interactive", "stack", "export", "--show-secrets"]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UnusableStackError(f"pulumi stack export took longer than {_LIMIT_S} s") from None
    if run.returncode:
        raise UnusableStackError(
            f"the state of the stack cannot be read: {run.stderr.strip().removeprefix('error: ')}\n"
            "Bring a stack up first with `make up`, and verify it with `make verify` (`STACK=<name>` for another one)."
        )
    return parse(run.stdout)


def parse(text: str) -> State:
    """Read an export."""
    return State(json.loads(text).get("deployment") or {})


def _resource(item: Mapping[str, Any]) -> Resource:
    return Resource(
        urn=item["urn"],
        kind=item["type"],
        parent=item.get("parent", ""),
        # What follows the URN is the provider's identity.
        provider=item.get("provider", "").rpartition("::")[0],
        inputs=_plain(item.get("inputs") or {}),
        outputs=_plain(item.get("outputs") or {}),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a property holds
    """Take secrets out of their wrapping."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get(_SIGNATURE) != _SECRET:
        return {key: _plain(each) for key, each in value.items()}
    if "plaintext" not in value:
        raise UnusableStackError("the state's secrets cannot be read: set the passphrase or log in to its provider")
    return _plain(json.loads(value["plaintext"]))
