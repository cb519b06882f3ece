"""How a host looks at keepalived: could it start with what is staged, and does it run what was written."""

from __future__ import annotations

from typing import Final

from components.keepalived_vip.rendering import ADDRESSES, CONFIGURATION, NOTIFY, SCRIPT, number
from components.keepalived_vip.settings import KeepalivedVipSettings, VrrpInstance


def can_hold() -> str:
    """Refuse interfaces and addresses that this host does not have, and virtual IPs that somebody else has."""
    return f"sh @{{{SCRIPT}}} check @{{{ADDRESSES}}}"


_RUNNABLE: Final = """runnable() { # property path, account, program
    getent passwd "$2" >/dev/null ||
        { echo "$1.user: $2 is no account of this host: make it first, or name another"; exit 1; }
    [ -f "$3" ] && [ -x "$3" ] ||
        { echo "$1.command: $3 is no program of this host: correct it, or bring it first"; exit 1; }
}
"""


def can_run(settings: KeepalivedVipSettings) -> str:
    """Refuse accounts and programs that are not there; keepalived would log it and do without some of them."""
    scripts = [
        (f"instances[{at}].trackScripts[{number}]", script.user, script.command[0])
        for at, instance in enumerate(settings.instances)
        for number, script in enumerate(instance.track_scripts)
    ]
    if settings.hook:
        scripts.append(("hook", settings.hook.user, settings.hook.command[0]))
    return _RUNNABLE + "\n".join(f"runnable '{path}' {user} {program}" for path, user, program in scripts)


def accepted(settings: KeepalivedVipSettings) -> str:
    """The daemon's own checker, which asks for scripts where keepalived.conf says that they are."""
    if settings.hook is None:
        return f"keepalived --config-test -f @{{{CONFIGURATION}}}"
    return (
        "copy=$(mktemp -d /run/keepalived-test.XXXXXX)\n"
        'trap "rm -rf -- $copy" EXIT\n'
        'chmod 0755 "$copy"\n'
        f'install -m 0755 @{{{NOTIFY}}} "$copy/notify"\n'
        f'sed "s|{NOTIFY} |$copy/notify |" @{{{CONFIGURATION}}} >"$copy/keepalived.conf"\n'
        'keepalived --config-test -f "$copy/keepalived.conf"'
    )


_RUNS: Final = """state=$({script} state)
runs() {{ # name field…: the instance that keepalived runs has every field
    told=$(printf '%s\\n' "$state" | sed 's/{{"data"/\\n&/g' | grep -F "\\"iname\\":\\"$1\\"") ||
        {{ echo "keepalived does not run the instance $1"; exit 1; }}
    name=$1
    shift
    for field; do
        printf '%s\\n' "$told" | grep -Fq -e "$field" || {{ echo "instance $name runs without $field"; exit 1; }}
    done
}}
"""


def runs_this(settings: KeepalivedVipSettings, host: str) -> str:
    """What the process itself says that it was told: a reload reports success before it is over."""
    lines = [f"runs {' '.join(_fields(settings, instance, host))}" for instance in settings.instances]
    return _RUNS.format(script=SCRIPT) + "\n".join(lines)


def _fields(settings: KeepalivedVipSettings, instance: VrrpInstance, host: str) -> list[str]:
    fields = [
        f'"vrid":{instance.router_id},',
        f'"base_priority":{settings.priorities(instance)[host]},',
        f'"adver_int":{number(instance.advert_interval)},',
        f'"nopreempt":{"false" if instance.preempt else "true"},',
        *(f'"{vip.ip} dev {settings.interface_of(host)} ' for vip in instance.addresses),
    ]
    return [instance.name, *(f"'{field}'" for field in fields)]
