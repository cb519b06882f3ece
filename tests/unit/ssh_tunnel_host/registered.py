"""What a program registers, as tests look at it: every resource with its parent, inputs and secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime.mocks import MockMonitor

from components.host import Host, HostArgs

HOST_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILlgr8l/G7NryHnJnSJ91lmLGnupyBGM4d0KAzmhg0C3"
PRIVATE_KEY: Final = "the private key of "
STACK: Final = "project-stack"


@dataclass(frozen=True)
class Registered:
    """One resource as the engine was told of it.

    Attributes:
        kind: Its type.
        name: Its name.
        parent: Name of its parent; `STACK` at the top.
        inputs: Its inputs; secrets are in Pulumi's envelope.
        provider: Name of its provider; empty is the default one.
        ignored: Inputs whose changes are ignored.
        retained: Whether what it stands for is left when it is removed.
    """

    kind: str
    name: str
    parent: str
    inputs: Mapping[str, Any]
    provider: str = ""
    ignored: tuple[str, ...] = ()
    retained: bool = False


class _Mocks(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        keys = {
            "privateKeyOpenssh": pulumi.Output.secret(PRIVATE_KEY + args.name),
            "publicKeyOpenssh": f"ssh-ed25519 AAAAkeyOf{args.name} \n",
            "privateKeyPem": pulumi.Output.secret(PRIVATE_KEY + args.name),
            "privateKeyPemPkcs8": pulumi.Output.secret(PRIVATE_KEY + args.name),
            "certPem": f"the certificate {args.name}\n",
            "certRequestPem": f"the request {args.name}\n",
            "validityEndTime": f"{2040 if 'SelfSigned' in args.typ else 2030}-01-01T00:00:00Z",
        }
        return f"{args.name}-id", {**args.inputs, **(keys if args.typ.startswith("tls:") else {})}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


class _Monitor(MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Mocks())
        self.registered: dict[str, Registered] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        parent = request.parent.rpartition("::")[2]
        if request.type != "pulumi:pulumi:Stack":
            assert request.name not in self.registered, f"{request.name} is registered twice"
            provider = request.provider.rpartition("::")[0].rpartition("::")[2]
            ignored, retained = tuple(request.ignoreChanges), request.retainOnDelete
            self.registered[request.name] = Registered(
                request.type, request.name, parent, inputs, provider, ignored, retained
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def register(program: Callable[[], None]) -> dict[str, Registered]:
    """Run a program to its end, outputs included, and return its resources by name."""
    monitor = _Monitor()
    pulumi.runtime.set_mocks(monitor.mocks, monitor=monitor)
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return monitor.registered


def host(name: str, **args: Any) -> Host:
    """A host with whatever a test does not care for."""
    return Host(name, HostArgs(**{"address": "192.0.2.1", "user": "ops", "host_key": HOST_KEY, **args}))


def revealed(value: Any) -> Any:
    """What a secret holds; fails for what is no secret."""
    assert isinstance(value, dict), "no secret"
    assert value[rpc._special_sig_key] == rpc._special_secret_sig
    return value["value"]
