"""Certificates: every rule broken and kept, by the inputs of pulumi-tls."""

from __future__ import annotations

from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from policies.rules.certificates import CERTIFICATE, KEY, PEERS, REQUEST, ROOT
from tests.authority import Authority
from tests.policies.support import UNKNOWN, Outcome, validate

REDIS: Final = "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"
SECRET: Final = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0IG9mIGEga2V5\n-----END EC PRIVATE KEY-----\n"
BOTH: Final = ["digital_signature", "server_auth", "client_auth"]


def request(*names: str, key: Any = None) -> str:
    """A certificate request in PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis1")])
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM).decode()


LEAF: Final = {
    "certRequestPem": request("redis1.example.com"),
    "caPrivateKeyPem": SECRET,
    "caCertPem": Authority().certificate,
    "allowedUses": BOTH,
    "validityPeriodHours": 2160.0,
    "earlyRenewalHours": 720.0,
}
CA: Final = {
    "privateKeyPem": SECRET,
    "isCaCertificate": True,
    "allowedUses": ["cert_signing", "crl_signing"],
    "validityPeriodHours": 87600.0,
}


def leaf(above: str = "", config: dict[str, Any] | None = None, **inputs: Any) -> Outcome:
    """What is said of a leaf that is right but for what is given."""
    said = validate(CERTIFICATE, {**LEAF, **inputs}, name="redis1-1", config=config, above=above)
    assert SECRET not in str(said)
    return said


def test_right_ones_break_no_rule() -> None:
    for said in (
        leaf(),
        leaf(above=REDIS),
        leaf(allowedUses=["digital_signature", "client_auth"], certRequestPem=request()),
        leaf(allowedUses=["digital_signature", "client_auth"], above=REDIS),
        validate(ROOT, CA),
        validate(ROOT, {**CA, "allowedUses": ["cert_signing"]}),
        validate(KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256"}),
        validate(REQUEST, {"privateKeyPem": SECRET, "dnsNames": ["a"]}),
    ):
        assert (said.violations, said.notes) == ([], [])


@pytest.mark.parametrize(
    ("inputs", "weak"),
    [
        ({"algorithm": "RSA", "rsaBits": 1024.0}, True),
        ({"algorithm": "RSA", "rsaBits": 2047.0}, True),
        ({"algorithm": "RSA", "rsaBits": 2048.0}, False),
        ({"algorithm": "RSA"}, False),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P224"}, True),
        ({"algorithm": "ECDSA"}, True),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P384"}, False),
        ({"algorithm": "ED25519"}, False),
        ({"algorithm": "RSA", "rsaBits": UNKNOWN}, False),
    ],
)
def test_keys(inputs: dict[str, Any], weak: bool) -> None:
    assert validate(KEY, inputs).rules == ({"weak-key"} if weak else set())


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (rsa.generate_private_key(65537, 1024), "`RSA of 1024 bits`"),
        (ec.generate_private_key(ec.SECP224R1()), "`ECDSA on secp224r1`"),
        (dsa.generate_private_key(2048), "`DSA`"),
        (rsa.generate_private_key(65537, 2048), None),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ],
)
def test_keys_of_requests(key: Any, shown: str | None) -> None:
    said = leaf(certRequestPem=request("a.example.com", key=key))
    assert said.rules == ({"weak-key"} if shown else set())
    assert not shown or shown in said.violations[0][1]


@pytest.mark.parametrize(
    "uses", [["cert_signing", "server_auth"], ["cert_signing", "digital_signature"], ["crl_signing"], []]
)
def test_authorities(uses: list[str]) -> None:
    assert validate(ROOT, {**CA, "allowedUses": uses}).rules == {"authority-usage"}
    assert validate(CERTIFICATE, {**LEAF, "isCaCertificate": True, "allowedUses": uses}).rules == {"authority-usage"}


@pytest.mark.parametrize(
    "uses",
    [[*BOTH, "cert_signing"], [*BOTH, "crl_signing"], [*BOTH, "any_extended"], ["digital_signature"], []],
)
def test_uses_of_leaves(uses: list[str]) -> None:
    assert leaf(allowedUses=uses).rules == {"leaf-usage"}


def test_names_of_servers() -> None:
    assert leaf(certRequestPem=request()).rules == {"server-name"}
    own = {key: value for key, value in LEAF.items() if not key.startswith(("ca", "cert"))}
    assert validate(ROOT, own).rules == {"server-name"}
    assert validate(ROOT, {**own, "ipAddresses": ["192.0.2.1"]}).rules == set()
    assert validate(ROOT, {**own, "dnsNames": UNKNOWN}).rules == set()


@pytest.mark.parametrize("component", sorted(PEERS))
def test_peers_are_each_others_clients(component: str) -> None:
    uses = ["digital_signature", "server_auth"]
    [(policy, message)] = leaf(above=component, allowedUses=uses).violations
    assert policy == "certificates"
    assert "allow client_auth too (usage `both`). [peer-usage]" in message
    assert leaf(above="other:index:Server", allowedUses=uses).rules == set()
    assert leaf(allowedUses=uses).rules == set()


@pytest.mark.parametrize(("hours", "longer"), [(19800.0, False), (19801.0, True), (87600.0, True)])
def test_lifetime(hours: float, longer: bool) -> None:
    assert leaf(validityPeriodHours=hours).rules == ({"certificate-lifetime"} if longer else set())


def test_leaf_never_outlives_its_authority() -> None:
    short, _ = Authority().issue("an authority for a day")
    [(_, message)] = leaf(caCertPem=short).violations
    assert "its CA is valid for 24 hours only" in message
    assert leaf(caCertPem=UNKNOWN).rules == set()


@pytest.mark.parametrize(
    ("early", "interval", "broken"),
    [
        (720.0, None, False),
        (169.0, None, False),
        (168.0, None, True),
        (0.0, None, True),
        (None, None, True),
        (720.0, 29, False),
        (720.0, 30, True),
        (25.0, 1, False),
        (2159.0, None, False),
        (2160.0, None, True),
    ],
)
def test_renewal_window(early: float | None, interval: int | None, broken: bool) -> None:
    config = {"certificates": {"deployIntervalDays": interval}} if interval else None
    said = leaf(config=config, earlyRenewalHours=early)
    assert said.rules == ({"renewal-window"} if broken else set())


def test_renewal_window_message() -> None:
    [(_, message)] = leaf(earlyRenewalHours=24.0).violations
    assert message == (
        "redis1-1: earlyRenewalHours: `24`: a deployment every 7 days may come after its end. "
        "Fix: use more than 168, or deploy more often and set deployIntervalDays. [renewal-window]"
    )


@pytest.mark.parametrize("name", ["certRequestPem", "allowedUses", "validityPeriodHours", "earlyRenewalHours"])
def test_what_is_not_known_is_told(name: str) -> None:
    said = validate(CERTIFICATE, {**LEAF, name: UNKNOWN}, name="redis1-1")
    assert said.violations == []
    assert said.notes == [f"redis1-1: not yet checkable: {name}: checked as soon as known."]


def test_keys_that_are_not_known_are_not_told() -> None:
    assert leaf(caPrivateKeyPem=UNKNOWN).notes == []


@pytest.mark.parametrize("text", ["", "no PEM", 5.0])
def test_what_cannot_be_read_does_no_harm(text: Any) -> None:
    assert leaf(certRequestPem=text, caCertPem=text).rules == set()


def test_exceptions_hold_for_properties() -> None:
    item = {"rule": "renewal-window", "resource": "redis1-*", "reason": "deployed by hand", "expires": "2999-12-31"}
    said = leaf(config={"certificates": {"exceptions": [item]}}, earlyRenewalHours=24.0)
    assert said.violations == []
    assert "exception until 2999-12-31 (deployed by hand)" in said.notes[0]
