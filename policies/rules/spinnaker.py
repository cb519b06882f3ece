"""Spinnaker's own objects and Halyard's files: which services show Redis a certificate, and keys that none reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from policies.parsers import settings_tree
from policies.parsers.formats import Format, of_format
from policies.parsers.kubernetes import all_texts, items, part, texts
from policies.parsers.settings_tree import Entry
from policies.rules.finding import Command, Finding, HostFiles, KubernetesObject, unreadable
from policies.rules.kubernetes import hidden_authorities, password_in_variable, plaintext_urls
from policies.rules.stdin import Stdin

RULES: Final = {
    "spinnaker-sql": "a service that keeps its data in SQL has no key store for Redis",
    "spinnaker-dead-key": "no `redis.baseUrl` where `redis.connection` is read",
    "unreadable": "Halyard's files can be read",
}
_KIND: Final = "SpinnakerService"
_GO: Final = frozenset({"dinghy", "terraformer"})
_STORE: Final = "javax.net.ssl.keyStore"
_OPTION_FILES: Final = ("JDK_JAVA_OPTIONS", "@")
# Files of one deployment: what a service is started with, and what it reads.
_HALYARD: Final = re.compile(
    r"(?P<deployment>.*)/(?P<folder>service-settings|profiles)/(?P<service>.+?)(-local)?\.ya?ml"
)


@dataclass(frozen=True, slots=True)
class _Document:
    """Settings or profile of one service.

    Attributes:
        content: What it says.
        path: Its file, or the property that holds it.
        lines: The same with lines, where it is a file.
    """

    content: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    lines: Entry | None = None

    def place(self, finding: Finding) -> Finding:
        """Return a finding about a property of it with the place where that is."""
        if self.lines is None:
            return replace(finding, path=f"{self.path}.{finding.path}".strip("."))
        return replace(finding, path=self.path, line=_at(self.lines, finding.path).line)


def check(thing: KubernetesObject) -> Iterator[Finding]:
    """Find what a SpinnakerService shows, and what does not work in it."""
    if thing.kind != _KIND:
        return
    configuration = part(thing.inputs, "spec", "spinnakerConfig")
    profiles, settings = part(configuration, "profiles"), part(configuration, "service-settings")
    for service in dict.fromkeys((*settings, *profiles)):
        yield from _service(
            service,
            _Document(part(settings, service), f"service-settings.{service}"),
            _Document(part(profiles, service), f"profiles.{service}"),
        )


def check_files(host: HostFiles) -> Iterator[Finding]:
    """Find the same in Halyard's files, secret ones included as far as they are known."""
    documents: dict[tuple[str, str], dict[str, list[_Document]]] = {}
    files = {**host.texts, **host.hidden}
    for path, text in of_format(files, Format.HALYARD_SETTINGS, Format.HALYARD_PROFILE).items():
        read, problems = settings_tree.documents(path, text)
        yield from (unreadable(path, each) for each in problems)
        if found := _HALYARD.fullmatch(path):
            of_service = documents.setdefault((found["deployment"], found["service"]), {})
            made = [_Document(part({"": content}, ""), path, lines) for content, lines in read]
            of_service[found["folder"]] = made
            for document in made:
                for where, value in all_texts(document.content):
                    yield from map(document.place, plaintext_urls(where, value))
    for (_, service), of_service in documents.items():
        for settings in of_service.get("service-settings") or [_Document()]:
            for profile in of_service.get("profiles") or [_Document()]:
                yield from _service(service, settings, profile)


def check_command(command: Command) -> Iterator[Finding]:
    """Find the same in files that a role sends: of secret ones nothing else shows the text."""
    yield from check_files(HostFiles(texts=Stdin.of(command.stdin).files()))


def _service(service: str, settings: _Document, profile: _Document) -> Iterator[Finding]:
    yield from map(settings.place, _shown(settings.content))
    yield from map(profile.place, _does_nothing(service, profile.content))
    yield from map(settings.place, _serves_sql(settings.content, profile.content))


def _shown(settings: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in texts(part(settings, "env")).items():
        yield from password_in_variable(f"env.{name}", name, value)
    for volume in items(part(settings, "kubernetes"), "volumes"):
        if volume.get("type", "secret") == "secret":
            yield from hidden_authorities("kubernetes.volumes", str(volume.get("mountPath", "")))


def _does_nothing(service: str, profile: Mapping[str, Any]) -> Iterator[Finding]:
    if service not in _GO and _value(profile, "redis.baseUrl") is not None:
        yield Finding(
            rule="spinnaker-dead-key",
            path="redis.baseUrl",
            value="redis.baseUrl",
            problem=f"{service} does not read it, and goes on with the Redis that it had",
            fix="write redis.connection",
        )


def _serves_sql(settings: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterator[Finding]:
    if _value(profile, "sql.enabled") is not True:
        return
    variables = texts(part(settings, "env"))
    name, mark = _OPTION_FILES
    if any(_STORE in each for each in variables.values()) or variables.get(name, "").startswith(mark):
        yield Finding(
            rule="spinnaker-sql",
            path="env",
            value="a key store",
            problem="its JVM shows the certificate to its database too, which refuses it: the service does not start",
            fix="leave the key store out, and give the service a Redis that asks for no certificate",
        )


def _value(profile: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever a profile holds
    """Return a value that is written as one dotted key, as nested keys or as both; None where there is none."""
    if path in profile:
        return profile[path]
    first, _, rest = path.partition(".")
    inner = profile.get(first)
    return _value(inner, rest) if rest and isinstance(inner, Mapping) else None


def _at(entry: Entry, path: str) -> Entry:
    """Return where a property is written, or what is nearest above it."""
    if path in entry.keys:
        return entry.keys[path]
    first, _, rest = path.partition(".")
    inner = entry.keys.get(re.sub(r"\[\d+\]", "", first))
    return entry if inner is None else _at(inner, rest) if rest else inner
