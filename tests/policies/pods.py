"""What the policies' tests about Kubernetes share: pods that break no rule, and a stack as the engine hands it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pulumi_policy import PolicyResource, StackValidationArgs, StackValidationPolicy
from pulumi_policy.proxy import unknown_checking_proxy

from policies.pack import STACK_NOTES, policies
from tests.policies.support import ROLE, Outcome, options, validate

SEALED: Final = ("--tls-port", "6379", "--port", "0", "--tls-auth-clients", "yes", "--tls-replication", "yes")
LABELS: Final = {"app": "redis"}
#: What a server without options breaks.
OPEN: Final = {"redis-bind", "redis-port"}


def workload(**container: Any) -> dict[str, Any]:
    """A StatefulSet with one container that breaks no rule but for what is given."""
    mount = {"name": "certificates", "mountPath": "/certs"}
    server = {"name": "redis", "image": "redis:8", "command": ["redis-server"], "args": list(SEALED)}
    spec = {
        "containers": [{**server, "volumeMounts": [mount], **container}],
        "volumes": [{"name": "certificates", "secret": {"secretName": "certificates"}}],
    }
    metadata = {"name": "redis", "namespace": "data"}
    return {"metadata": metadata, "spec": {"template": {"metadata": {"labels": LABELS}, "spec": spec}}}


def asked(kind: str, inputs: Mapping[str, Any]) -> Outcome:
    """Ask about one object."""
    return validate(f"kubernetes:{kind}", inputs, name="thing")


def whole(*resources: tuple[str, Mapping[str, Any]], config: Mapping[str, Any] | None = None) -> Outcome:
    """Ask the policies that look at the whole stack."""
    outcome = Outcome()
    for policy in policies():
        if not isinstance(policy, StackValidationPolicy):
            continue
        given = [
            PolicyResource(
                kind if kind == ROLE else f"kubernetes:{kind}",
                unknown_checking_proxy(dict(props)),
                f"urn:pulumi:test::scratch::kubernetes:{kind}::{at}",
                f"{at}",
                options(),
                None,
                None,
                [],
                {},
            )
            for at, (kind, props) in enumerate(resources)
        ]

        def report(message: str, urn: str | None = None, *, of: str = policy.name) -> None:
            assert urn is not None
            if of == STACK_NOTES:
                outcome.notes.append(message)
            else:
                outcome.violations.append((of, message))

        policy.validate(StackValidationArgs(given, (config or {}).get(policy.name)), report)
    return outcome


def rule(namespace: str = "data", **spec: Any) -> tuple[str, dict[str, Any]]:
    """A NetworkPolicy that lets nobody into these pods but for what is given."""
    selected = {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress"], **spec}
    return "networking.k8s.io/v1:NetworkPolicy", {"metadata": {"namespace": namespace}, "spec": selected}
