"""The plugins on the Terraform bridge offer what the pinned Python packages know, or refuse it."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pulumi_docker
import pulumi_tls
import pytest
from cryptography import x509
from pulumi import _types

from tests.integration.toolchain.engine import Project

pytestmark = pytest.mark.engine

# Inputs of the pinned Python packages that the Terraform provider behind the stand-in does not know.
REFUSED_BY_STAND_IN = {
    "SelfSignedCert.maxPathLength",
    "SelfSignedCert.privateKeyPemWo",
    "SelfSignedCert.privateKeyPemWoVersion",
    "SelfSignedCert.subject.emailAddress",
    "LocallySignedCert.maxPathLength",
    "LocallySignedCert.caPrivateKeyPemWo",
    "LocallySignedCert.caPrivateKeyPemWoVersion",
    "CertRequest.privateKeyPemWo",
    "CertRequest.privateKeyPemWoVersion",
    "CertRequest.subject.emailAddress",
}

CA: dict[str, Any] = {
    "type": "ca",
    "private_key_pem": {"of": "key", "take": "private_key_pem"},
    "subject": {"common_name": "Test CA"},
    "is_ca_certificate": True,
    "allowed_uses": ["cert_signing"],
    "validity_period_hours": 24,
}


def test_certificates(project: Project) -> None:
    key = {"type": "key", "algorithm": "ECDSA", "ecdsa_curve": "P256"}
    request: dict[str, Any] = {
        "type": "request",
        "private_key_pem": {"of": "key", "take": "private_key_pem"},
        "subject": {"common_name": "leaf"},
        "dns_names": ["leaf.example.com"],
        "ip_addresses": ["192.0.2.1"],
    }
    leaf: dict[str, Any] = {
        "type": "leaf",
        "cert_request_pem": {"of": "request", "take": "cert_request_pem"},
        "ca_private_key_pem": {"of": "key", "take": "private_key_pem"},
        "ca_cert_pem": {"of": "ca", "take": "cert_pem"},
        "allowed_uses": ["server_auth", "client_auth"],
        "validity_period_hours": 12,
        "early_renewal_hours": 1,
    }
    project.up(key=key, ca=CA, request=request, leaf=leaf)
    outputs = project.outputs()
    issued, authority = (
        x509.load_pem_x509_certificate(outputs[f"{name}.cert_pem"].encode()) for name in ("leaf", "ca")
    )
    issued.verify_directly_issued_by(authority)
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["leaf.example.com"]
    assert "ciphertext" in project.state("key")["outputs"]["privateKeyPem"]
    assert "ciphertext" in project.state("ca")["inputs"]["privateKeyPem"]
    assert "PRIVATE KEY" not in project.pulumi("stack", "export")

    project.pulumi("refresh", "--yes", "--skip-preview")
    assert "5 unchanged" in project.pulumi("preview")
    said = project.up(key=key, ca=CA, request=request | {"dns_names": ["other.example.com"]}, leaf=leaf)
    assert "+-2 replaced" in said  # the request and the leaf, but neither the key nor the CA
    project.pulumi("destroy", "--yes", "--skip-preview")


def test_what_would_be_ignored_is_refused(project: Project, only_stand_in: Callable[[str], None]) -> None:
    only_stand_in("tls")
    key = {"type": "key", "algorithm": "ED25519"}
    for refused in ({"max_path_length": 0}, {"subject": {"common_name": "x", "email_address": "x@example.com"}}):
        said = project.refused(key=key, ca=CA | refused)
        assert "is not supported by the Terraform provider behind this stand-in plugin, which would ignore it" in said


@pytest.mark.parametrize(
    ("package", "resources"),
    [
        (pulumi_tls, ["PrivateKey", "CertRequest", "SelfSignedCert", "LocallySignedCert"]),
        (pulumi_docker, ["Network", "Container", "Volume", "RemoteImage"]),
    ],
)
def test_every_input_is_offered_or_refused(project: Project, package: Any, resources: list[str]) -> None:
    plugin = package.__name__.removeprefix("pulumi_")
    schema = json.loads(project.pulumi("package", "get-schema", plugin))
    for resource in resources:
        token = next(token for token in schema["resources"] if token.endswith(f":{resource}"))
        known = set(known_to_plugin(schema, schema["resources"][token]["inputProperties"], resource))
        used = set(known_to_python(getattr(package, f"{resource}Args"), resource))
        assert known <= used
        assert used - known <= REFUSED_BY_STAND_IN


def known_to_plugin(schema: dict[str, Any], properties: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the path of every input in a plugin's schema."""
    for name, described in properties.items():
        yield f"{path}.{name}"
        reference = described.get("$ref") or described.get("items", {}).get("$ref") or ""
        if reference.startswith("#/types/"):
            inner = schema["types"][reference.removeprefix("#/types/")]
            yield from known_to_plugin(schema, inner["properties"], f"{path}.{name}")


def known_to_python(arguments: type, path: str) -> Iterator[str]:
    """Yield the path of every input in a Python package."""
    types = _types.input_type_types(arguments)
    for python_name, name in _types.input_type_py_to_pulumi_names(arguments).items():
        yield f"{path}.{name}"
        if inner := nested(types.get(name, types.get(python_name))):
            yield from known_to_python(inner, f"{path}.{name}")


def nested(annotation: Any) -> type | None:
    """Return the class of nested inputs that an annotation mentions, if any."""
    if inspect.isclass(annotation) and _types.is_input_type(annotation):
        return annotation
    return next(filter(None, map(nested, typing.get_args(annotation))), None)
