"""Settings of authorities and certificates, and what cannot work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from components.names import is_address
from components.settings import Problem, Settings, Some, refuse

# RFC 5280, appendix A.1: ub-common-name.
_LONGEST_NAME: Final = 64
_NAME: Final = re.compile(r"[\w .,:@()+-]+", re.ASCII)
_PATTERN: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9*-][A-Za-z0-9.*-]{0,252}")
_STACK: Final = re.compile(r"[\w.-]+(?:/[\w.-]+){0,2}", re.ASCII)
#: Names of regions.
REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _subject(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(f"{name!r} is no common name: use up to {_LONGEST_NAME} letters, digits, blanks and .,:@()+-_")
    return name


def _permitted(name: str) -> str:
    if "/" in name or is_address(name):
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"{name!r} is no network: {error}") from None
    elif not _PATTERN.fullmatch(name):
        raise ValueError(f"{name!r} is no name: give a DNS name, perhaps with `*` within labels, or a network")
    return name


def _stack(name: str) -> str:
    if not _STACK.fullmatch(name):
        raise ValueError(f"{name!r} is no stack: write organization/project/stack")
    return name


def _region(name: str) -> str:
    if not REGION.fullmatch(name):
        raise ValueError(f"{name!r} is no region: use up to 63 lower-case letters, digits and hyphens")
    return name


CommonName = Annotated[str, AfterValidator(_subject)]
#: A DNS name, with `*` for any characters of one label, or an IPv4 or IPv6 address or network.
PermittedName = Annotated[str, AfterValidator(_permitted)]
#: A stack as other stacks refer to it: `organization/project/stack`.
StackName = Annotated[str, AfterValidator(_stack)]
RegionName = Annotated[str, AfterValidator(_region)]


class KeyAlgorithm(StrEnum):
    """Kinds of keys: ECDSA is several times cheaper in a handshake, RSA is for clients that know nothing else."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class Usage(StrEnum):
    """What the holder of a certificate does with it (RFC 5280, 4.2.1.12)."""

    SERVER = "server"
    CLIENT = "client"
    BOTH = "both"


class AuthoritySettings(Settings):
    """A private root.

    Its certificate is never renewed by itself, since that would take away everybody's trust at once. `signing` and
    `trusted` change it in three runs of `pulumi up`: trust both (`signing: 1, trusted: [1, 2]`), re-issue
    (`signing: 2`), drop the old one (`trusted: [2]`).

    Attributes:
        common_name: Name in the certificate, default `sealed-data-tier`; the generation is added to it.
        algorithm: Kind of its keys, default `ecdsa-p256`.
        validity_days: How long a generation is valid, default 3650.
        signing: Generation that signs, default 1.
        trusted: Generations that are trusted, default the one that signs.
    """

    common_name: CommonName = "sealed-data-tier"
    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256
    validity_days: int = Field(default=3650, ge=1, le=36500)
    signing: int = Field(default=1, ge=1)
    trusted: tuple[int, ...] = ()

    @property
    def generations(self) -> tuple[int, ...]:
        """Every generation that exists, oldest first."""
        return tuple(sorted({*self.trusted, self.signing}))

    @model_validator(mode="after")
    def _trust_fits(self) -> AuthoritySettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Problem]:
        if self.trusted and self.signing not in self.trusted:
            text = f"{list(self.trusted)} lacks {self.signing}, which signs: nobody would trust what it signs; add it"
            yield ("trusted",), text
        for at, generation in enumerate(self.trusted):
            if generation < 1:
                yield ("trusted", at), f"{generation} is no generation: they begin with 1"
            if generation in self.trusted[:at]:
                yield ("trusted", at), f"{generation} is listed twice: remove one"


class CertificateSettings(Settings):
    """What all certificates of one kind share.

    Attributes:
        algorithm: Kind of their keys, default `ecdsa-p256`.
        validity_days: How long one is valid, default 90.
        renewal_days: How long before its end the next `pulumi up` renews it, default 30. Deploy more often than that.
        issue: Raise it to issue all of them anew, with new keys; default 1.
    """

    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256
    validity_days: int = Field(default=90, ge=1, le=825)
    renewal_days: int = Field(default=30, ge=0)
    issue: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _renewal_fits(self) -> CertificateSettings:
        if self.renewal_days >= self.validity_days:
            text = f"{self.renewal_days} days before the end of {self.validity_days} every `up` would renew: use less"
            refuse([(("renewalDays",), text)])
        return self


class SharedAuthoritySettings(Settings):
    """Where a stack has its certificates from, when another stack has the root.

    Attributes:
        stack: The root's stack, `organization/project/stack`.
        region: What this stack is called there, in `regions`.
    """

    stack: StackName
    region: RegionName


class RegionSettings(Settings):
    """What the stack of one region may have signed.

    Attributes:
        stack: Its stack, `organization/project/stack`.
        names: What its certificates may be for: DNS names, in which `*` stands for any characters of one label, and
            IPv4 and IPv6 addresses or networks.
        common_names: Common names beside `names`, with `*` for any characters; default none. A server that knows its
            clients by their common name believes them.
        validity_days: The longest validity that it may ask for, default 90.
    """

    stack: StackName
    names: Some[PermittedName]
    common_names: tuple[str, ...] = ()
    validity_days: int = Field(default=90, ge=1, le=825)
