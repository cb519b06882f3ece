"""The systemd unit of a tunnel: it never gives up, and can reach nothing but the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from policies.parsers import systemd
from policies.parsers.formats import Format, of_format
from policies.parsers.systemd import Assignment, Unit, is_yes
from policies.rules.finding import Finding, HostFiles, unreadable
from policies.rules.tunnel_server import shells
from policies.rules.tunnels import runs_ssh

_LONGEST_RESTART_S: Final = 5
_CREDENTIALS: Final = ("LoadCredential", "LoadCredentialEncrypted", "SetCredentialEncrypted")


def _yes(value: str | None) -> bool:
    return value is not None and is_yes(value)


def _zero(value: str | None) -> bool:
    return value is not None and systemd.seconds(value) == 0


def _soon(value: str | None) -> bool:
    if not value:
        return True  # systemd's default is 100 ms
    delay = systemd.seconds(value)
    return delay is not None and delay <= _LONGEST_RESTART_S


def _yes_or(*others: str) -> Callable[[str | None], bool]:
    return lambda value: _yes(value) or value in others


# Section, key, what is accepted, what to write, what is wrong otherwise (systemd.service(5), systemd.exec(5)).
_REQUIREMENTS: Final[tuple[tuple[str, str, Callable[[str | None], bool], str, str], ...]] = (
    ("Unit", "StartLimitIntervalSec", _zero, "0", "after a few failures systemd leaves the tunnel dead"),
    ("Service", "Restart", lambda value: value == "always", "always", "a tunnel that ended is not started again"),
    ("Service", "RestartSec", _soon, "500ms", f"a tunnel stays away for more than {_LONGEST_RESTART_S} s"),
    ("Service", "NoNewPrivileges", _yes, "yes", "the process may gain privileges"),
    ("Service", "ProtectSystem", lambda value: value == "strict", "strict", "the file system is writable"),
    ("Service", "ProtectHome", _yes_or("tmpfs"), "yes", "home directories can be read"),
    ("Service", "PrivateTmp", _yes_or("disconnected"), "yes", "temporary files of other services can be seen"),
    ("Service", "PrivateDevices", _yes, "yes", "devices can be used"),
    ("Service", "ProtectKernelTunables", _yes, "yes", "/proc/sys can be written"),
    ("Service", "ProtectControlGroups", _yes_or("private", "strict"), "yes", "control groups can be written"),
    ("Service", "RestrictSUIDSGID", _yes, "yes", "setuid files can be made"),
)
# What DynamicUser=yes switches on by itself (systemd.exec(5)).
_DYNAMIC_USER: Final = {
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "ProtectSystem": "strict",
    "RestrictSUIDSGID": "yes",
}


def check(host: HostFiles) -> Iterator[Finding]:
    """Find what is soft about the units of tunnels."""
    for unit in systemd.units(of_format(host.texts, Format.UNIT)):
        if unit.name.endswith(".service") and _keeps_tunnel(unit, host):
            for path, problem in unit.problems:
                yield unreadable(path, problem)
            yield from _settings(unit)
            yield from _user(unit, host)
            yield from _capabilities(unit)
            yield from _credentials(unit)


def _keeps_tunnel(unit: Unit, host: HostFiles) -> bool:
    return "tunnel" in unit.name or any(runs_ssh(words, host) for _, words in unit.commands())


def _settings(unit: Unit) -> Iterator[Finding]:
    for section, key, accepts, wanted, why in _REQUIREMENTS:
        given = unit.last(section, key)
        implied = _DYNAMIC_USER.get(key) if _is_dynamic(unit) else None
        # Drop-ins alone say nothing about what they leave alone.
        if accepts(given.value if given else implied) or (given is None and not unit.whole):
            continue
        # systemd ignores a key in the wrong section with no more than a warning.
        misplaced = None if given else unit.last("Service" if section == "Unit" else "Unit", key)
        yield _finding(unit, given or misplaced, key, why, f"write '{key}={wanted}' in section [{section}]")


def _user(unit: Unit, host: HostFiles) -> Iterator[Finding]:
    user = unit.last("Service", "User")
    if _is_dynamic(unit) or (user is None and not unit.whole):
        return
    if user is None or user.value in {"", "root", "0"}:
        yield _finding(unit, user, "User", "the tunnel runs as root", "name an account without a shell: 'User=ACCOUNT'")
    else:
        yield from shells(host, [user.value])


def _is_dynamic(unit: Unit) -> bool:
    dynamic = unit.last("Service", "DynamicUser")
    return dynamic is not None and is_yes(dynamic.value)


def _capabilities(unit: Unit) -> Iterator[Finding]:
    """An empty value begins anew, a value adds, a value with `~` takes away (systemd.exec(5))."""
    given = [each for each in unit.assignments if (each.section, each.key) == ("Service", "CapabilityBoundingSet")]
    kept: set[str] | None = None  # all of them
    for each in given:
        names = set(each.value.removeprefix("~").split())
        if not each.value:
            kept = set()
        elif each.value.startswith("~"):
            kept = None if kept is None or not names else kept - names
        else:
            kept = (kept or set()) | names
    if kept != set() and (given or unit.whole):
        fix = "leave it empty: 'CapabilityBoundingSet='"
        last = given[-1] if given else None
        yield _finding(unit, last, "CapabilityBoundingSet", "the process keeps capabilities", fix)


def _credentials(unit: Unit) -> Iterator[Finding]:
    if unit.whole and not any(unit.all("Service", key) for key in _CREDENTIALS):
        fix = "write 'LoadCredential=NAME:/path/of/key', and 'IdentityFile ${CREDENTIALS_DIRECTORY}/NAME' for ssh"
        yield _finding(unit, None, "LoadCredential", "the account itself can read the key's file", fix)


def _finding(unit: Unit, given: Assignment | None, key: str, problem: str, fix: str) -> Finding:
    return Finding(
        rule="tunnel-unit",
        path=given.path if given else unit.path,
        line=given.line if given else None,
        value=str(given) if given else f"{key} not set",
        problem=problem,
        fix=fix,
    )
