"""A certificate with its key as a resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import pulumi
import pulumi_tls as tls

from components.certificates.authority import Authority, Leaf
from components.certificates.keys import private_key
from components.certificates.settings import CertificateSettings, Usage
from components.errors import ConfigurationError
from components.inputs import combined
from components.names import is_address
from components.settings import InvalidConfigurationError


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """What a certificate needs.

    Attributes:
        authority: Who signs it: a `CertificateAuthority` of this stack, or a `SharedAuthority` of another one.
        common_name: Name of its holder, for people; clients look at `names` only. Empty: none.
        names: Every DNS name and IPv4 or IPv6 address that a client dials; empty for a client's certificate.
        usage: Server, client or both, default both: a node of a replicated service is its peers' client too.
        settings: Kind of key, validity and renewal.
    """

    authority: Authority
    common_name: str
    names: tuple[pulumi.Input[str], ...] = ()
    usage: Usage = Usage.BOTH
    settings: CertificateSettings = field(default_factory=CertificateSettings)

    def __post_init__(self) -> None:
        """Refuse a server without a name, and a certificate that could only outlive its authority.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
        """
        if not self.names and self.usage is not Usage.CLIENT:
            raise ConfigurationError("names", self.names, "list every DNS name and address that a client dials")
        days, limit = self.settings.validity_days, self.authority.longest_days
        if limit is not None and days >= limit:
            raise ConfigurationError(
                "settings.validityDays", days, f"its authority is valid for {limit} days: use less"
            )


class Certificate(pulumi.ComponentResource):
    """A key and its certificate, renewed by the `pulumi up` that finds it inside its renewal window.

    Attributes:
        certificate: The certificate in PEM.
        private_key: Its key in PEM, PKCS #8 (secret).
        expires: When it ends, as RFC 3339.

    Raises:
        InvalidConfigurationError: From `certificate`, where it would outlive its authority, before any host has it.
        UnsignedError: From `certificate` and `expires`, where the root of another stack has not signed it yet.
    """

    private_key: pulumi.Output[str]

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"commonName": args.common_name, "names": list(args.names), "usage": args.usage.value}
        super().__init__("sealed-data-tier:certificates:Certificate", name, inputs, opts)
        here = pulumi.ResourceOptions(parent=self)
        # A new issue has new names: what is there stays until every holder has the new one.
        issued = f"{name}-{args.settings.issue}"
        key = private_key(f"{issued}-key", args.settings.algorithm, here)
        request = tls.CertRequest(
            f"{issued}-request",
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=args.common_name),
            dns_names=combined(lambda *names: [each for each in names if not is_address(each)], *args.names),
            ip_addresses=combined(lambda *names: [each for each in names if is_address(each)], *args.names),
            opts=here,
        )
        self._authority = args.authority
        self._leaf = args.authority.sign(issued, request.cert_request_pem, args.usage, args.settings, here)
        self.private_key = key.private_key_pem_pkcs8
        # What another stack has not signed yet is no error before somebody needs it.
        known = {"certificate": self.certificate, "expires": self.expires} if args.authority.at_hand else {}
        self.register_outputs(known)

    @cached_property
    def certificate(self) -> pulumi.Output[str]:
        """The certificate in PEM."""
        return _vouched_for(self._name, self._leaf, self._authority)

    @cached_property
    def expires(self) -> pulumi.Output[str]:
        """When it ends, as RFC 3339."""
        return self._leaf.validity_end_time


def _vouched_for(name: str, leaf: Leaf, authority: Authority) -> pulumi.Output[str]:
    """Return the certificate, unless it is valid for longer than what vouches for it."""

    def check(known: list[str]) -> str:
        pem, its_end, authoritys_end = known
        if datetime.fromisoformat(its_end) > datetime.fromisoformat(authoritys_end):
            text = f"ends {its_end}, after its authority ({authoritys_end}): shorten validityDays, or begin to trust a"
            raise InvalidConfigurationError([f"{name}: {text} new generation of the authority"])
        return pem

    return pulumi.Output.all(leaf.cert_pem, leaf.validity_end_time, authority.expires).apply(check)
