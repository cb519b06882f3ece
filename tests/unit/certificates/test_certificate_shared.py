"""A region's certificates with the engine's part played: names, and what is said before anything is built."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from components.certificates import (
    Certificate,
    CertificateArgs,
    SharedAuthority,
    SharedAuthorityArgs,
    SharedAuthoritySettings,
    UnsignedError,
)
from components.errors import ConfigurationError
from components.settings import InvalidConfigurationError
from tests.authority import Authority

ROOT: Final = "acme/root/prod"
NAME: Final = "redis1.eu.example.com"


def request() -> str:
    """A request as the provider makes it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class Engine(pulumi.runtime.Mocks):
    """Plays the engine, with a root's stack that exports something."""

    def __init__(self, exported: dict[str, Any], secrets: list[str]) -> None:
        self.exported, self.secrets = exported, secrets
        self.resources: dict[str, str] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources[args.name] = args.typ
        outputs: dict[str, Any] = {}
        if args.typ == "pulumi:pulumi:StackReference":
            outputs = {"outputs": self.exported, "secretOutputNames": self.secrets}
        elif args.typ == "tls:index/certRequest:CertRequest":
            outputs = {"certRequestPem": request()}
        return f"{args.name}-id", {**args.inputs, **outputs}

    def call(self, _: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        return {}, None


def run(
    exported: dict[str, Any], *secrets: str, told: bool = True, preview: bool = False
) -> tuple[Engine, dict[str, Any]]:
    """Declare a certificate, export its request, and wait for the root."""
    engine = Engine(exported, list(secrets))
    pulumi.runtime.set_mocks(engine, preview=preview)
    kept: dict[str, Any] = {}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[Any]:
        settings = SharedAuthoritySettings(stack=ROOT, region="eu")
        authority = SharedAuthority("root", SharedAuthorityArgs(settings=settings))
        Certificate("redis1", CertificateArgs(authority=authority, common_name=NAME, names=(NAME,)))

        async def signed() -> bool:
            await authority.signed()
            return True

        if told:
            authority.requests.apply(lambda known: kept.update(requests=known))
        return pulumi.Output.from_input(signed())

    program()
    return engine, kept["requests"]


def answer(**certificates: str) -> dict[str, Any]:
    """What a root's stack exports for the region `eu`."""
    root = Authority().certificate
    mine = {"trusted": root, "certificate": root, "expires": "2036-01-01T00:00:00Z", "certificates": certificates}
    return {"signedCertificates": {"eu": mine, "us": {}}}


@pytest.mark.parametrize(
    ("exported", "problem"),
    [
        ({}, f"root: {ROOT} does not know the region 'eu': add it to `regions` there."),
        ({"signedCertificates": {"us": {}}}, f"root: {ROOT} does not know the region 'eu'"),
        (answer(), f"redis1-1: {ROOT} has not signed it yet."),
        (
            answer(**{"redis1-1": Authority().issue(NAME)[0]}),
            f"redis1-1: what {ROOT} signed does not fit: it is for another key; none of the trusted roots signed it.",
        ),
    ],
)
def test_region_ends_with_what_to_run_next(exported: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnsignedError) as ended:
        run(exported)
    assert str(ended.value).startswith(problem)
    assert str(ended.value).endswith(f"Run `pulumi up` of {ROOT}, then this one again.")


def test_preview_goes_on() -> None:
    engine, requests = run(answer(), preview=True)
    assert requests["requests"]["redis1-1"]["usage"] == "both"
    assert set(requests["requests"]["redis1-1"]) == {"request", "usage", "validityDays", "renewalDays"}
    assert engine.resources == {
        "root": "sealed-data-tier:certificates:SharedAuthority",
        "root-stack": "pulumi:pulumi:StackReference",
        "redis1": "sealed-data-tier:certificates:Certificate",
        "redis1-1-key": "tls:index/privateKey:PrivateKey",
        "redis1-1-request": "tls:index/certRequest:CertRequest",
    }


def test_answer_of_another_shape_is_told_by_its_path() -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        run({"signedCertificates": {"eu": {"trusted": ""}}})
    assert refused.value.problems[0] == f"{ROOT}: signedCertificates.eu.certificate: is missing: set it"


def test_root_that_exports_secrets_is_refused() -> None:
    with pytest.raises(InvalidConfigurationError, match=r"exports secrets \(password\)"):
        run({**answer(), "password": "x"}, "password")


def test_request_that_nobody_would_see_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        run(answer(), told=False, preview=True)
    assert str(refused.value).startswith("certificateRequests: ['redis1-1'] cannot be used: export the authority's")
