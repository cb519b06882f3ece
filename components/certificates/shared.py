"""One root for the stacks of several regions: they ask, it signs, and its key never leaves its own stack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import pulumi

from components.certificates.authority import CertificateAuthority
from components.certificates.exchange import (
    REQUESTS,
    SIGNED,
    Answer,
    Request,
    Requests,
    excesses,
    expiry,
    misfits,
    ungrounded,
)
from components.certificates.settings import (
    REGION,
    CertificateSettings,
    RegionSettings,
    SharedAuthoritySettings,
    Usage,
)
from components.errors import ConfigurationError
from components.settings import InvalidConfigurationError, load

Known = TypeVar("Known")


class UnsignedError(pulumi.RunError):
    """Another stack has to sign first; the text says what to run."""


@dataclass(frozen=True, kw_only=True)
class SharedAuthorityArgs:
    """What a region needs to have its certificates signed.

    Attributes:
        settings: The root's stack, and this one's name there.
    """

    settings: SharedAuthoritySettings


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What the root's stack has for one request: `problem` says why there is no `certificate`."""

    request: Request
    certificate: str | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request, and what became of it. A value that is not there fails when it is asked for, not before."""

    name: str
    stack: str
    found: pulumi.Output[_Found]

    @cached_property
    def cert_pem(self) -> pulumi.Output[str]:
        """The certificate in PEM."""

        def require(found: _Found) -> str:
            if found.certificate is not None:
                return found.certificate
            if pulumi.runtime.is_dry_run():
                return cast("str", pulumi.UNKNOWN)
            raise UnsignedError(f"{found.problem}\n{_next(self.stack)}")

        return self.found.apply(require)

    @cached_property
    def validity_end_time(self) -> pulumi.Output[str]:
        """When it ends, as RFC 3339."""
        return self.cert_pem.apply(expiry)


class SharedAuthority(pulumi.ComponentResource):
    """The root of another stack, for `Certificate(authority=…)` as `CertificateAuthority` is.

    Keys and requests are made here. The program exports `requests` as `certificateRequests`, once all certificates are
    declared, and awaits `signed()` before it uses any of them:

        async def main() -> None:
            authority = SharedAuthority("root", SharedAuthorityArgs(settings=…))
            server = Certificate("redis1", CertificateArgs(authority=authority, …))
            pulumi.export("certificateRequests", authority.requests)
            await authority.signed()
            …

        pulumi.run(main)

    Raises:
        UnsignedError: From its values, as long as the root's stack does not know this region.
    """

    at_hand: Final = False
    longest_days: Final = None
    settings: SharedAuthoritySettings

    def __init__(self, name: str, args: SharedAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self.settings = settings = args.settings
        inputs = {"stack": settings.stack, "region": settings.region}
        super().__init__("sealed-data-tier:certificates:SharedAuthority", name, inputs, opts)
        here = pulumi.ResourceOptions(parent=self)
        self._root = pulumi.StackReference(f"{name}-stack", stack_name=settings.stack, opts=here)
        self._answer = self._root.get_output(SIGNED).apply(self._read)
        self._asked: list[_Asked] = []
        self._told = 0
        self.register_outputs({})

    @cached_property
    def trusted(self) -> pulumi.Output[str]:
        """Certificates of all trusted generations, in PEM, one after another: what peers are told to trust."""
        return self._required.apply(lambda answer: answer.trusted)

    @cached_property
    def certificate(self) -> pulumi.Output[str]:
        """The certificate that signs, in PEM."""
        return self._required.apply(lambda answer: answer.certificate)

    @cached_property
    def expires(self) -> pulumi.Output[str]:
        """When the certificate that signs ends, as RFC 3339."""
        return self._required.apply(lambda answer: answer.expires)

    @property
    def requests(self) -> pulumi.Output[dict[str, Any]]:
        """What the root's stack has to read here, without a secret; of the certificates declared so far."""

        def told(answer: Answer | None, *found: _Found) -> dict[str, Any]:
            requests = {
                asked.name: each.request.model_copy(update={"held": each.certificate})
                for asked, each in zip(self._asked, found, strict=True)
            }
            whole = Requests(trusted=answer.trusted if answer else "", requests=requests)
            return whole.model_dump(by_alias=True, mode="json", exclude_none=True)

        self._told = len(self._asked)
        outputs = (self._answer, *(each.found for each in self._asked))
        return pulumi.Output.all(*outputs).apply(lambda known: told(*known))

    def sign(
        self,
        name: str,
        request: pulumi.Input[str],
        usage: Usage,
        settings: CertificateSettings,
        opts: pulumi.ResourceOptions,  # noqa: ARG002 - nothing is registered here
    ) -> _Asked:
        """Ask the root's stack for a certificate.

        Args:
            name: Name of the request; the certificate has it there, after that of the region.
            request: Certificate request in PEM (PKCS #10).
            usage: What its holder does with it.
            settings: How long it is valid, and when it is renewed.
            opts: Its parent.
        """

        def find(known: list[Any]) -> _Found:
            answer, pem = known
            asked = Request(
                request=pem, usage=usage, validity_days=settings.validity_days, renewal_days=settings.renewal_days
            )
            return self._look_up(name, asked, answer)

        found = pulumi.Output.all(self._answer, _public(request)).apply(find)
        asked = _Asked(name=name, stack=self.settings.stack, found=found)
        self._asked.append(asked)
        return asked

    async def signed(self) -> None:
        """Wait until it is known whether the root's stack has signed everything that was asked for so far.

        In a preview, what is missing is told as a warning, and unknown.

        Raises:
            UnsignedError: With every certificate that is missing or does not fit, and with what to run.
            ConfigurationError: When something was asked for and is not in `requests`, so that nobody would sign it.
            InvalidConfigurationError: When the root's stack exports secrets: a reference takes all of them along.
        """
        if untold := [each.name for each in self._asked[self._told :]]:
            fix = "export the authority's `requests` under that name, once all certificates are declared"
            raise ConfigurationError(REQUESTS, untold, fix)
        if secrets := await _secrets(self._root):
            text = f"exports secrets ({secrets}), and every region's state would hold them: export none there"
            raise InvalidConfigurationError([f"{self.settings.stack}: {text}"])
        answer_known, answer = await _known(self._answer)
        problems = [self._unknown_region] if answer_known and answer is None else []
        if not problems:
            found = [(await _known(each.found))[1] for each in self._asked]
            problems = [each.problem for each in found if each and each.problem]
        if not problems:
            return
        text = "\n".join([*problems, _next(self.settings.stack)])
        if not pulumi.runtime.is_dry_run():
            raise UnsignedError(text)
        pulumi.log.warn(text, self)

    @property
    def _unknown_region(self) -> str:
        stack, region = self.settings.stack, self.settings.region
        return f"{self._name}: {stack} does not know the region {region!r}: add it to `regions` there."

    @cached_property
    def _required(self) -> pulumi.Output[Answer]:
        def require(answer: Answer | None) -> Answer:
            if answer is None and pulumi.runtime.is_dry_run():
                return cast("Answer", pulumi.UNKNOWN)
            if answer is None:
                raise UnsignedError(self._unknown_region)
            return answer

        return self._answer.apply(require)

    def _read(self, told: Any) -> Answer | None:  # noqa: ANN401 - whatever another stack exports
        mine = told.get(self.settings.region) if isinstance(told, Mapping) else None
        return None if mine is None else load(Answer, mine, f"{self.settings.stack}: {SIGNED}.{self.settings.region}")

    def _look_up(self, name: str, request: Request, answer: Answer | None) -> _Found:
        certificate = answer.certificates.get(name) if answer else None
        if answer is None or certificate is None:
            return _Found(request=request, problem=f"{name}: {self.settings.stack} has not signed it yet.")
        reasons = list(misfits(certificate, request, answer.trusted, datetime.now(tz=UTC)))
        if reasons:
            text = f"{name}: what {self.settings.stack} signed does not fit: {'; '.join(reasons)}."
            return _Found(request=request, problem=text)
        return _Found(request=request, certificate=certificate)


@dataclass(frozen=True, kw_only=True)
class RegionCertificatesArgs:
    """What it takes to sign for regions.

    Attributes:
        authority: The root, of this stack.
        regions: Regions by name: their stacks, and what each may have.
    """

    authority: CertificateAuthority
    regions: Mapping[str, RegionSettings]

    def __post_init__(self) -> None:
        """Refuse two regions that have one stack: each would be signed for as the other may.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
        """
        owners: dict[str, str] = {}
        for region, settings in self.regions.items():
            if not REGION.fullmatch(region):
                fix = "use up to 63 lower-case letters, digits and hyphens"
                raise ConfigurationError(f"regions.{region}", region, fix)
            if (other := owners.setdefault(settings.stack, region)) != region:
                fix = f"it is that of regions.{other}: give every region a stack of its own"
                raise ConfigurationError(f"regions.{region}.stack", settings.stack, fix)


class RegionCertificates(pulumi.ComponentResource):
    """Certificates for the stacks of regions, by the root of this one.

    Requests are read in the run itself, so the program that signs them is asynchronous:

        async def main() -> None:
            authority = CertificateAuthority("root")
            regions = RegionCertificates("regions", RegionCertificatesArgs(authority=authority, regions=…))
            pulumi.export("signedCertificates", await regions.signed())

        pulumi.run(main)
    """

    def __init__(self, name: str, args: RegionCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"regions": {region: list(settings.names) for region, settings in args.regions.items()}}
        super().__init__("sealed-data-tier:certificates:RegionCertificates", name, inputs, opts)
        self._args, self._here = args, pulumi.ResourceOptions(parent=self)
        self._stacks = {
            region: pulumi.StackReference(f"{name}-{region}-stack", stack_name=settings.stack, opts=self._here)
            for region, settings in args.regions.items()
        }
        self.register_outputs({})

    async def signed(self) -> pulumi.Output[dict[str, Any]]:
        """Sign everything that the regions ask for, and return what their stacks have to read here.

        Raises:
            InvalidConfigurationError: With everything that a region may not have, and every region for which the
                roots would change too early. Nothing is signed then.
        """
        for region, settings in self._args.regions.items():
            if secrets := await _secrets(self._stacks[region]):
                text = f"exports secrets ({secrets}), and the state of this stack holds them too: export none there"
                pulumi.log.warn(f"regions.{region}: {settings.stack} {text}", self)
        asked = {region: await self._requests(region) for region in self._args.regions}
        await self._check(asked)
        authority = self._args.authority
        answers = {region: self._answer(region, requests) for region, requests in asked.items()}
        shared = {"trusted": authority.trusted, "certificate": authority.certificate, "expires": authority.expires}
        return pulumi.Output.from_input({region: {**shared, **answer} for region, answer in answers.items()})

    async def _requests(self, region: str) -> Requests:
        _, told = await _known(self._stacks[region].get_output(REQUESTS))
        return load(Requests, told or {}, f"{self._args.regions[region].stack}: {REQUESTS}")

    async def _check(self, asked: Mapping[str, Requests]) -> None:
        authority = self._args.authority
        (_, signing), (_, trusted) = await asyncio.gather(_known(authority.certificate), _known(authority.trusted))
        problems = [each for region, requests in asked.items() for each in self._refused(region, requests)]
        for region, requests in asked.items():
            if signing is not None and trusted is not None:
                stack = self._args.regions[region].stack
                problems += [
                    f"regions.{region}: {reason}: run `pulumi up` of {stack} before this generation changes"
                    for reason in ungrounded(requests, signing, trusted)
                ]
        if problems:
            raise InvalidConfigurationError(problems)

    def _refused(self, region: str, requests: Requests) -> Iterator[str]:
        settings, limit = self._args.regions[region], self._args.authority.longest_days
        for name, request in requests.requests.items():
            for problem in excesses(settings, request):
                yield f"regions.{region}: {name}: {problem}"
            if request.validity_days >= limit:
                yield f"regions.{region}: {name}: {request.validity_days} days, but the root is valid for {limit}"

    def _answer(self, region: str, requests: Requests) -> dict[str, Any]:
        certificates = {}
        for name, request in requests.requests.items():
            settings = CertificateSettings(validity_days=request.validity_days, renewal_days=request.renewal_days)
            leaf = self._args.authority.sign(f"{region}-{name}", request.request, request.usage, settings, self._here)
            certificates[name] = _public(leaf.cert_pem)
        return {"certificates": certificates}


def _next(stack: str) -> str:
    return f"Run `pulumi up` of {stack}, then this one again."


def _public(value: pulumi.Input[str]) -> pulumi.Output[str]:
    """A certificate or a request is no secret, although a key was used to make it."""
    return pulumi.Output.unsecret(pulumi.Output.from_input(value))


async def _secrets(stack: pulumi.StackReference) -> str:
    """Name the secrets that a stack exports."""
    _, names = await _known(stack.secret_output_names)
    return ", ".join(sorted(names or ()))


async def _known(output: pulumi.Output[Known]) -> tuple[bool, Known | None]:
    """Return whether a value is known yet, and the value."""
    return await output.is_known(), await output.future()
