"""The far end of a tunnel: what sshd lets the account do, and what each key may do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from policies.parsers import authorized_keys, openssh
from policies.parsers.authorized_keys import Key
from policies.parsers.formats import Format, of_format
from policies.parsers.openssh import Block, Option
from policies.rules.finding import Finding, HostFiles, unreadable
from policies.rules.requirements import Requirement, is_one_target, off, one_of
from policies.rules.tunnels import sample

_NO_SHELLS: Final = frozenset({"/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false"})
# A Match block that says one of these is about an account for tunnels.
_ABOUT_TUNNELS: Final = ("AllowTcpForwarding", "PermitOpen", "PermitListen", "ForceCommand", "AuthorizedKeysCommand")
_TAKEN_BACK: Final = ("pty", "agent-forwarding", "x11-forwarding", "user-rc")


def _targets(option: Option) -> bool:
    return option.words == ("none",) or (bool(option.words) and all(map(is_one_target, option.words)))


def _forced(option: Option) -> bool:
    return option.raw.lower() not in {"", "none"}


_REQUIREMENTS: Final = (
    Requirement("PasswordAuthentication", off, "no", "passwords are taken"),
    Requirement("KbdInteractiveAuthentication", off, "no", "passwords are taken by way of PAM"),
    Requirement("AllowTcpForwarding", one_of("local"), "local", "the account may open listeners here"),
    Requirement("PermitOpen", _targets, "127.0.0.1:PORT", "any target can be reached"),
    Requirement("PermitListen", one_of("none"), "none", "the account may open listeners here"),
    Requirement("PermitTTY", off, "no", "a terminal is given"),
    Requirement("X11Forwarding", off, "no", "X11 is forwarded"),
    Requirement("AllowAgentForwarding", off, "no", "agents are forwarded"),
    Requirement("AllowStreamLocalForwarding", off, "no", "sockets of other services can be reached"),
    Requirement("PermitTunnel", off, "no", "network devices can be bridged"),
    Requirement("GatewayPorts", off, "no", "listeners may open on every interface"),
    Requirement("ForceCommand", _forced, "/usr/sbin/nologin", "commands can be run"),
)


def check(host: HostFiles) -> Iterator[Finding]:
    """Find what is soft about the far end of tunnels."""
    files = of_format(host.texts, Format.SSHD)
    main = [path for path in files if path.endswith("/sshd_config")]
    configuration = openssh.parse_server(main or files, host.texts)
    for path, problem in configuration.problems:
        yield unreadable(path, problem)
    for block in configuration.blocks:
        subjects = _subjects(block)
        if not subjects or not any(block.first(keyword) for keyword in _ABOUT_TUNNELS):
            continue
        for requirement in _REQUIREMENTS:
            options = configuration.possible(requirement.keyword, subjects)
            yield from requirement.judge("tunnel-server", options, block.path, block.line)
        yield from shells(host, [subjects.get("user", "")])
    for path, text in of_format(host.texts, Format.AUTHORIZED_KEYS).items():
        keys, problems = authorized_keys.parse(text)
        for problem in problems:
            yield unreadable(path, problem)
        for key in keys:
            for shown, why, fix in _key(key):
                yield Finding(rule="tunnel-key", path=path, line=key.line, value=shown, problem=why, fix=fix)


def shells(host: HostFiles, users: Iterable[str]) -> Iterator[Finding]:
    """Find accounts of tunnels that can log in, of those that come with the files."""
    for user in users:
        shell = host.users.get(user)
        if shell is not None and shell not in _NO_SHELLS:
            yield Finding(
                rule="tunnel-user",
                path=f"users[{user}]",
                value=shell,
                problem="the tunnels' account can log in",
                fix="give it the shell /usr/sbin/nologin",
            )


def _subjects(block: Block) -> dict[str, str]:
    """Make up someone whom the block is about."""
    wanted = {each.name: [name for name in each.patterns if not name.startswith("!")] for each in block.criteria}
    return {criterion: sample(names[0]) for criterion, names in wanted.items() if names}


def _key(key: Key) -> Iterator[tuple[str, str, str]]:
    """Yield what stands there, what is wrong and what to write; the key itself is not shown."""
    if not key.has("restrict"):
        yield "restrict not set", "everything that is not forbidden is allowed", "begin the options with 'restrict'"
    elif not key.has("port-forwarding"):
        yield "port-forwarding not set", "the key cannot carry a tunnel", "write 'port-forwarding' behind 'restrict'"
    if not any(key.values("command")):
        fix = "write 'command=\"/usr/sbin/nologin\"'"
        yield "command not set", "'restrict' alone still lets the key run commands", fix
    sources = [source for value in key.values("from") for source in value.split(",")]
    if not sources:
        yield "from not set", "the key works from anywhere", "write 'from=\"ADDRESS\"' with the client's address"
    for source in sources:
        if not source.strip("*?.:") or source.endswith("/0"):
            yield f'from="{source}"', "the key works from anywhere", "name the client's address"
    targets = key.values("permitopen")
    if not targets:
        yield "permitopen not set", "any target can be reached", "write 'permitopen=\"127.0.0.1:PORT\"'"
    for target in targets:
        if not is_one_target(target):
            yield f'permitopen="{target}"', "more than one target can be reached", "name one address and one port"
    for option in _TAKEN_BACK:
        if key.has(option):
            yield option, "it takes back a part of 'restrict'", f"remove '{option}'"
