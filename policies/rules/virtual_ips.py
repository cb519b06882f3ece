"""Virtual IPs: VRRP is spoken between declared hosts only, and no script of it is root's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.parsers import keepalived
from policies.parsers.formats import Format, of_format
from policies.parsers.keepalived import Configuration, Statement
from policies.rules.finding import Finding, HostFiles, unreadable

RULES: Final = {
    "vrrp-unicast": "VRRP goes to named peers and not to a multicast group",
    "vrrp-source": "adverts are taken from those peers only",
    "vrrp-password": "no password stands for authentication",
    "vrrp-script-security": "keepalived checks its scripts before it runs them",
    "vrrp-script-user": "no script runs as root",
}
_NOTIFIES: Final = (
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_deleted",
    "notify_master_rx_lower_pri",
)
_FIFO_SCRIPTS: Final = ("notify_fifo_script", "vrrp_notify_fifo_script", "lvs_notify_fifo_script")
_STARTERS: Final = ("startup_script", "shutdown_script")
_SUPERUSERS: Final = ("root", "0")
_OWN_USER: Final = 3  # words of a notify with a user: keyword, script, user


def check(host: HostFiles) -> Iterator[Finding]:
    """Find what strangers of the segment could hear or say, and scripts with too many rights."""
    for path, text in of_format(host.texts, Format.KEEPALIVED).items():
        configuration = keepalived.parse(text)
        for problem in configuration.problems:
            yield unreadable(path, problem)
        yield from _included(path, configuration)
        for instance in configuration.top.all("vrrp_instance"):
            yield from _unicast(path, instance)
            yield from _source(path, instance, configuration.globals)
        for part in configuration.top.all("vrrp_instance", "vrrp_sync_group"):
            yield from _password(path, part)
        yield from _scripts(path, configuration)


def _included(path: str, configuration: Configuration) -> Iterator[Finding]:
    for statement in configuration.top.all("include", "includer", "includem", "includew", "includeb", "includea"):
        yield _finding(
            "vrrp-unicast",
            path,
            statement,
            "what it includes is not looked at here",
            "write it into this file",
            note=True,
        )


def _unicast(path: str, instance: Statement) -> Iterator[Finding]:
    peers = [peer for block in instance.all("unicast_peer") for peer in block.block]
    if not peers:
        problem = "adverts go to a multicast group: every host of the segment hears them and may answer"
        yield _finding("vrrp-unicast", path, instance, problem, "list the other hosts: 'unicast_peer { ADDRESS }'")


def _source(path: str, instance: Statement, everywhere: Statement) -> Iterator[Finding]:
    ttl = any(
        {"min_ttl", "max_ttl"} & set(peer.words) for block in instance.all("unicast_peer") for peer in block.block
    )
    if not ttl and not instance.last("check_unicast_src") and not everywhere.last("vrrp_check_unicast_src"):
        problem = "an advert of anybody who reaches the host counts"
        yield _finding("vrrp-source", path, instance, problem, "write 'check_unicast_src' into the instance")


def _password(path: str, instance: Statement) -> Iterator[Finding]:
    for block in instance.all("authentication"):
        problem = "a password of eight characters travels in every advert in plaintext, and VRRPv3 has none"
        fix = "remove it; name the peers, check their addresses, and let the firewall admit them alone"
        yield _finding("vrrp-password", path, block.last("auth_type") or block, problem, fix)


def _scripts(path: str, configuration: Configuration) -> Iterator[Finding]:
    everywhere = configuration.globals
    scripts = list(_with_users(configuration))
    is_checked = everywhere.last("enable_script_security") is not None
    if scripts and not is_checked:
        problem = "a script that others may write is run with keepalived's rights"
        first, _ = scripts[0]
        fix = "write 'enable_script_security' into global_defs"
        yield _finding("vrrp-script-security", path, first, problem, fix)
    default = everywhere.last("script_user")
    for statement, own in scripts:
        user = own or (default.words[1] if default and len(default.words) > 1 else None)
        # Without either, keepalived takes its account `keepalived_script`; and root, if that is not there.
        if user in _SUPERUSERS or (user is None and not is_checked):
            fix = "name an account without rights: 'script_user ACCOUNT' in global_defs, or one behind the script"
            yield _finding("vrrp-script-user", path, statement, "it runs as root", fix)


def _with_users(configuration: Configuration) -> Iterator[tuple[Statement, str | None]]:
    """Every script with the user that it names itself."""
    for script in configuration.top.all("vrrp_script"):
        user = script.last("user")
        yield script, user.words[1] if user and len(user.words) > 1 else None
    for part in configuration.top.all("vrrp_instance", "vrrp_sync_group"):
        yield from ((each, _named(each)) for each in part.all(*_NOTIFIES) if len(each.words) > 1)
    for statement in configuration.globals.all(*_FIFO_SCRIPTS, *_STARTERS):
        yield statement, _named(statement)


def _named(statement: Statement) -> str | None:
    return statement.words[2] if len(statement.words) >= _OWN_USER else None


def _finding(rule: str, path: str, statement: Statement, problem: str, fix: str, *, note: bool = False) -> Finding:
    shown = str(statement)
    return Finding(rule=rule, path=path, line=statement.line, value=shown, problem=problem, fix=fix, note=note)
