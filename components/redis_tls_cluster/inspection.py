"""How the host looks at a node: would it start with what is staged, and does it serve what was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from components.redis_tls_cluster.rendering import applied as applied_directory
from components.redis_tls_cluster.rendering import library, place
from components.redis_tls_cluster.settings import RedisTlsSettings

_OWN: Final = "server|sentinel"
_TRIAL: Final = "/run/sealed-data-tier/trial"


def starts(settings: RedisTlsSettings) -> str:
    """Start a server of its own on a socket, with what is staged and nothing of the data; there is no other checker."""
    flavour, here = settings.flavour, place(settings)
    server = f"{settings.tls_directory}/server"
    certificates = " ".join(
        f"--tls-{option}-file @{{{server}/{name}}}"
        for option, name in (("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "root.crt"))
    )
    return (
        f"mkdir -p {_TRIAL}\n"
        f"cat @{{{here}/startup.conf}} @{{{here}/passwords.conf}} @{{{here}/{flavour}.conf}} | grep -v '^include ' |\n"
        f"    {flavour}-server - --port 0 --tls-port 0 --tls-replication yes {certificates} \\\n"
        f"    --aclfile @{{{here}/users.acl}} --cluster-enabled no --dir {_TRIAL} --appendonly no --save '' \\\n"
        f"    --unixsocket {_TRIAL}/socket --daemonize no >{_TRIAL}/log 2>&1 &\n"
        "server=$!\n"
        'trap "kill $server 2>/dev/null || :" EXIT\n'
        f"until {flavour}-cli -s {_TRIAL}/socket PING >/dev/null 2>&1; do\n"
        f"    kill -0 $server 2>/dev/null || {{ cat {_TRIAL}/log; exit 1; }}\n"
        "    sleep 0.05\n"
        "done"
    )


def can_bind(settings: RedisTlsSettings, ports: Iterable[int]) -> str:
    """Refuse an address that the host does not have, and ports that another program has."""
    lines = [
        f". @{{{library(settings)}/node.env}}",
        'ip -o address show to "$ADDRESS" | grep -q . ||',
        '    { echo "$ADDRESS is no address of this host: correct nodes[].address"; exit 1; }',
    ]
    for port in ports:
        lines += [
            f"other=$(ss -Hltnp 'sport = :{port}' | grep -Ev '\"{settings.flavour}-({_OWN})' || :)",
            f'[ -z "$other" ] || {{ echo "port {port} is taken by another program: $other"; exit 1; }}',
        ]
    return "\n".join(lines)


def same_port(settings: RedisTlsSettings) -> str:
    """Refuse another TLS port for a group that runs: its nodes know each other by it, and change one after another."""
    port = settings.tls_port
    fix = "say port: $had, or remove the group and bring it up anew"
    return (
        f"had=$(cat {applied_directory(settings)}/port 2>/dev/null || :)\n"
        f'[ -z "$had" ] || [ "$had" = {port} ] ||\n'
        f'    {{ echo "this group runs on port $had, which cannot change to {port} node by node: {fix}"; exit 1; }}'
    )


def no_other_data(settings: RedisTlsSettings) -> str:
    """Refuse a host whose server has data elsewhere, which it would no longer show after a restart."""
    former = f"/var/lib/{settings.flavour}"
    return (
        f"[ ! -e {settings.data}/{settings.flavour}.conf ] || exit 0\n"
        f"[ {settings.data} != {former} ] && [ -d {former} ] || exit 0\n"
        f"found=$(find {former} -name '*.rdb' -size +1k -o -name '*.aof' -size +1k | head -n 1)\n"
        f'[ -z "$found" ] || {{ echo "this host has data of {settings.flavour} already, in {former}: set dataDirectory'
        f' to {former} to go on with it, or move it away"; exit 1; }}'
    )


def settled(settings: RedisTlsSettings) -> str:
    """The node serves, and is in sync if it is a replica."""
    return f"{library(settings)}/node settled"


def applied(settings: RedisTlsSettings) -> str:
    """The running server has what was written."""
    names = (f"{settings.flavour}.conf", "users.acl", "passwords.conf")
    return "\n".join(f"cmp {place(settings)}/{name} {applied_directory(settings)}/{name}" for name in names)
