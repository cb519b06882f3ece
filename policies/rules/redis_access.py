"""Redis access: whoever is served has shown a certificate or a password, over TLS that keeps what it promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from policies.parsers import redis
from policies.parsers.redis import Configuration, Directive, Setting
from policies.rules.finding import Command, Finding, HostFiles
from policies.rules.redis_servers import servers
from policies.rules.stdin import Stdin

RULES: Final = {
    "redis-default-user": "where not every client shows a certificate, the user `default` is off or has a password",
    "redis-protected-mode": "protected mode stays on",
    "redis-protocols": "TLS 1.2 and 1.3 only",
    "redis-ciphers": "no cipher without encryption or authentication, and none that is broken",
}
_PROTOCOLS: Final = frozenset({"tlsv1.2", "tlsv1.3"})
# OpenSSL's ciphers(1): what each name stands for, and the parts of which names of suites are made.
_WEAK: Final = frozenset(
    {"NULL", "ENULL", "ANULL", "ADH", "AECDH", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "LOW", "RC2", "RC4", "DES",
     "3DES", "MD5", "COMPLEMENTOFALL", "COMPLEMENTOFDEFAULT"}
)  # fmt: skip
_EVERYTHING: Final = "ALL"  # with those that authenticate nobody
# RFC 9150: TLS 1.3 without encryption.
_INTEGRITY_ONLY: Final = frozenset({"TLS_SHA256_SHA256", "TLS_SHA384_SHA384"})
_LOWEST_LEVEL: Final = re.compile(r"@SECLEVEL=0", re.IGNORECASE)


def check(host: HostFiles) -> Iterator[Finding]:
    """Find servers that let somebody in unasked, or speak TLS that is broken."""
    for server in servers(host):
        yield from _default_user(server, host)
        yield from _protected_mode(server)
        if server.encrypted or server.is_on("tls-replication", "no") or server.is_on("tls-cluster", "no"):
            yield from _protocols(server)
            yield from _ciphers(server)


def check_command(command: Command) -> Iterator[Finding]:
    """Find servers whose users are in a secret file, which only a role's command has."""
    sent = Stdin.of(command.stdin).files()
    for server in servers(HostFiles(texts=sent)):
        visible = {path: text for path, text in sent.items() if path in server.files and not _is_password_part(path)}
        known = HostFiles(texts=visible, secret=frozenset(sent) - frozenset(visible))
        seen = next((each for each in servers(known) if each.path == server.path), None)
        if seen is not None and _state(seen, known) is None:
            yield from _default_user(server, HostFiles(texts=sent))


def _is_password_part(path: str) -> bool:
    return path.endswith("/passwords.conf")


@dataclass(frozen=True, slots=True)
class _User:
    """The user whom everybody is who does not log in.

    Attributes:
        open: Whether it is on and asks for no password.
        line: What says so; None for the default.
    """

    open: bool
    line: Directive | None


def _default_user(server: Configuration, host: HostFiles) -> Iterator[Finding]:
    asked = server.setting("tls-auth-clients", "yes")
    all_show = asked.value.lower() == "yes" and server.port.value == "0"
    if not server.encrypted or not server.exposed or all_show:
        return
    user = _state(server, host)
    if user is None and not _told_elsewhere(server, host):
        acl = server.setting("aclfile")
        yield _finding(
            "redis-default-user",
            server,
            acl,
            "its users are not part of the role, and `default` may be open",
            "let the role own the ACL file",
            note=True,
        )
    if user is None or not user.open:
        return
    gap = f"port {server.port.value} asks for no certificate"
    if asked.value.lower() != "yes":
        gap = f"tls-auth-clients {asked.value} lets clients in without a certificate"
    shown = user.line and Directive(("user", "default", "on", "nopass"), user.line.path, user.line.line)
    yield _finding(
        "redis-default-user",
        server,
        Setting((), shown),
        f"{gap}, and the user `default` needs no password: whoever connects may do what it may",
        "write 'user default off', or 'tls-auth-clients yes' and 'port 0'",
    )


def _told_elsewhere(server: Configuration, host: HostFiles) -> bool:
    """Tell whether what is not known is a secret or an unknown part of the same role: its command is checked too."""
    path = server.setting("aclfile").value
    return host.holds(path) if path else True


def _state(server: Configuration, host: HostFiles) -> _User | None:
    """Find out about the user `default`; None where a part is not known (acl.c, ACLLoadUsersAtStartup)."""
    if path := server.setting("aclfile").value:
        text = host.texts.get(path, host.hidden.get(path))
        return None if text is None else _of_lines(redis.parse(path, {path: text}).directives)
    unread = [each.words[1] for each in server.unread]
    if not host.hidden.keys() >= set(unread):
        return None
    hidden = (each for path in unread for each in redis.parse(path, host.hidden).directives)
    directives = (*server.directives, *hidden)
    user = _of_lines(directives)
    passwords = [each.words[1:] for each in directives if each.words[0] == "requirepass"]
    # A user's own line counts after `requirepass`, which is a password of `default`.
    if user.line is None and passwords and any(passwords[-1]):
        return _User(open=False, line=None)
    return user


def _of_lines(directives: tuple[Directive, ...]) -> _User:
    user = _User(open=True, line=None)
    for each in directives:
        if each.words[:2] == ("user", "default"):
            user = _User(open=_is_open(each.words[2:]), line=each)
    return user


def _is_open(rules: tuple[str, ...]) -> bool:
    """Apply a user's rules from the left, beginning with one that is off and has no password."""
    on = free = False
    for rule in map(str.lower, rules):
        if rule in {"on", "off"}:
            on = rule == "on"
        elif rule == "reset":
            on = free = False
        elif rule == "nopass":
            free = True
        elif rule == "resetpass" or rule.startswith((">", "#")):
            free = False
    return on and free


def _protected_mode(server: Configuration) -> Iterator[Finding]:
    mode = server.setting("protected-mode")
    if mode.value.lower() == "no":
        problem = "without a password whoever reaches the port is let in"
        fix = "leave the line out: with passwords or users it stands in nobody's way"
        yield _finding("redis-protected-mode", server, mode, problem, fix)


def _protocols(server: Configuration) -> Iterator[Finding]:
    protocols = server.setting("tls-protocols")
    weak = [each for each in " ".join(protocols.values).split() if each.lower() not in _PROTOCOLS]
    if weak:
        problem = f"{', '.join(weak)} can be broken or is not known"
        yield _finding("redis-protocols", server, protocols, problem, "write 'tls-protocols \"TLSv1.2 TLSv1.3\"'")


def _ciphers(server: Configuration) -> Iterator[Finding]:
    for keyword, find in (("tls-ciphers", _weak_ciphers), ("tls-ciphersuites", _weak_suites)):
        ciphers = server.setting(keyword)
        weak = find(ciphers.value)
        if weak:
            problem = f"{', '.join(weak)} encrypts badly or not at all, or authenticates nobody"
            yield _finding("redis-ciphers", server, ciphers, problem, f"leave {keyword} out, or name suites of AEAD")


def _weak_ciphers(text: str) -> list[str]:
    words = [each for each in re.split(r"[:, ]+", text) if each]
    banned = {word[1:].upper() for word in words if word.startswith("!")}
    weak = [word for word in words if _LOWEST_LEVEL.fullmatch(word)]
    for word in words:
        parts = set(re.split(r"[-+]", word.upper()))
        if word[0] in "!-+@":
            continue  # takes ciphers away or reorders them
        nobody = _EVERYTHING in parts and not {"ANULL"} <= banned
        if nobody or (parts & _WEAK) - banned:
            weak.append(word)
    return weak


def _weak_suites(text: str) -> list[str]:
    words = [each for each in text.split(":") if each]
    return [each for each in words if each.upper() in _INTEGRITY_ONLY or set(each.upper().split("_")) & _WEAK]


def _finding(
    rule: str, server: Configuration, setting: Setting, problem: str, fix: str, *, note: bool = False
) -> Finding:
    directive = setting.directive
    return Finding(
        rule=rule,
        path=directive.path if directive else server.path,
        line=directive.line if directive else None,
        value=str(directive or ""),
        problem=problem,
        fix=fix,
        note=note,
    )
