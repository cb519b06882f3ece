"""What each host of a pair has."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname
from typing import Any, Final

import pulumi

from components.certificates import Certificate, CertificateArgs
from components.host import Check, Directory, File, RoleSpec, Unit, Validation, with_parents
from components.inputs import combined, secret
from components.passwords import Passwords
from components.postgres_ha_pair import rendering
from components.postgres_ha_pair.arguments import PostgresHaPairArgs
from components.postgres_ha_pair.parameters import TLS
from components.postgres_ha_pair.rendering import (
    COMMAND,
    CONFIGURATION,
    ETCD,
    ETCD_LIBRARY,
    IS_LEADER,
    LIBRARY,
    PGBACKREST,
    RUN,
    SYSCTL,
    VIRTUAL_IP_HERE,
    Group,
    Place,
)
from components.postgres_ha_pair.settings import PATRONI, REPLICATION, REWIND, FenceSettings, PostgresHaSettings

_UNITS: Final = "/etc/systemd/system"
_DROP_INS: Final = f"{_UNITS}/patroni.service.d"
_ETCD_UNIT: Final = f"{_UNITS}/etcd.service"
_ETCD_LEADER: Final = "patroni-etcd-leader.service"
_ETCD_LEADER_FILES: Final = (f"{_UNITS}/{_ETCD_LEADER}", f"{ETCD_LIBRARY}/member", f"{ETCD_LIBRARY}/member.env")
_CREATE_CLUSTER: Final = "/etc/postgresql-common/createcluster.conf"
_FACTS: Final = f"{LIBRARY}/pair.json"
_INTERNAL: Final = (REPLICATION, REWIND, PATRONI)
_ACCESS_S: Final = 60
_FENCE: Final = "postgres-pair-fence.service"
_FENCE_FILES: Final = (f"{LIBRARY}/fence", f"{LIBRARY}/fence.json", f"{_UNITS}/{_FENCE}")

#: pgBackRest's server, by which hosts reach each other's.
SERVER: Final = "pgbackrest.service"
PGBACKREST_CONF: Final = f"{PGBACKREST}/pgbackrest.conf"

#: Passwords of accounts by their generation.
Accepted = Mapping[str, Mapping[int, pulumi.Input[str]]]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all hosts of a pair share.

    Attributes:
        administrator: Certificate of whoever administers etcd.
        patroni: Certificate with which Patroni reaches etcd.
        client: Certificate of the applications.
        current: The password in use by account.
        accepted: Every password that is let in by account, and its generation.
    """

    administrator: Certificate
    patroni: Certificate
    client: Certificate
    current: Mapping[str, pulumi.Input[str]]
    accepted: Accepted

    @staticmethod
    def of(
        settings: PostgresHaSettings,
        generated: Passwords,
        *,
        administrator: Certificate,
        patroni: Certificate,
        client: Certificate,
    ) -> Shared:
        """Take what is configured, and the generated ones for the rest."""
        current: dict[str, pulumi.Input[str]] = {}
        accepted: dict[str, Mapping[int, pulumi.Input[str]]] = {}
        for account in (*_INTERNAL, *settings.users):
            given = settings.given_password(account)
            if given is None:
                current[account] = generated.current(account)
                accepted[account] = dict(zip(settings.passwords.generations, generated.accepted(account), strict=True))
            else:
                current[account] = secret(given.get_secret_value())
                accepted[account] = {1: current[account]}
        return Shared(administrator=administrator, patroni=patroni, client=client, current=current, accepted=accepted)


class Member:
    """What one host of a pair has: a member of etcd, and on two of them a server."""

    def __init__(
        self, name: str, args: PostgresHaPairArgs, host: str, shared: Shared, opts: pulumi.ResourceOptions
    ) -> None:
        self.args, self.settings, self.shared = args, args.settings, shared
        self.host, self.address, self.group = args.hosts[host], args.address(host), args.group()
        self.node = next((each for each in args.settings.nodes if each.host == host), None)
        dialled: list[pulumi.Input[str]] = [self.address]
        if self.node:
            dialled += [*self.node.names, *map(str, self.settings.leader_addresses), *self.settings.names]
        self.names = tuple(dict.fromkeys(dialled))
        self.certificate = Certificate(
            f"{name}-{host}",
            CertificateArgs(
                authority=args.authority,
                common_name=self.settings.common_name,
                names=self.names,
                settings=self.settings.certificates,
            ),
            opts,
        )
        self.etcd_files = tuple(self._etcd_files())
        self.files = tuple(self._files()) if self.node else ()

    def served(self) -> Iterator[dict[str, Any]]:
        """Certificates that are seen from outside, for whoever verifies them."""
        settings = self.settings
        ports = [settings.etcd.client_port, settings.etcd.peer_port]
        if self.node:
            ports += [settings.rest_port, settings.connections.port]
        if settings.backup:
            ports.append(settings.backup.port)
        for port in ports:
            yield {
                "host": self.host.host_name,
                "address": self.address,
                "port": port,
                "certificate": self.certificate.certificate,
                "trusted": self.args.authority.trusted,
                "renewalDays": settings.certificates.renewal_days,
                "names": list(self.names),
                # PostgreSQL speaks TLS only once it was asked to.
                "askedFirst": port == settings.connections.port,
            }

    def rendered(self, render: Callable[[PostgresHaSettings, Place, Group], str]) -> pulumi.Input[str]:
        """Render what needs this host's place and the whole group.

        Args:
            render: Returns a file's text.
        """

        def known(group: Group) -> str:
            here = next(each for each in group.members if each.name == self.host.host_name)
            return render(self.settings, here, group)

        return combined(known, self.group)

    def certificates(self, directory: str, owner: str) -> Iterator[File]:
        """Yield the root, this host's certificate and its key.

        Args:
            directory: Where they are: `root.crt`, `node.crt`, `node.key`.
            owner: Who reads the key.
        """
        key = self.certificate.private_key
        yield File(path=f"{directory}/root.crt", content=self.args.authority.trusted)
        yield File(path=f"{directory}/node.crt", content=self.certificate.certificate)
        yield File(path=f"{directory}/node.key", content=key, mode=0o600, owner=owner, group=owner, secret=True)

    # --- etcd ----------------------------------------------------------------------------------------------------

    def _etcd_files(self) -> Iterator[File]:
        root = self.shared.administrator
        yield File(path=f"{ETCD_LIBRARY}/member", content=rendering.script("member.sh"), mode=0o755)
        yield File(path=f"{ETCD_LIBRARY}/member.env", content=self.rendered(rendering.etcd_facts))
        yield File(
            path=f"{ETCD}/etcd.env",
            content=self.rendered(lambda settings, here, _: rendering.etcd_environment(settings, here)),
        )
        yield File(path=_ETCD_UNIT, content=rendering.etcd_unit(self.settings))
        if self.leads_etcd:
            yield File(path=_ETCD_LEADER_FILES[0], content=rendering.etcd_leader_unit(self.settings))
        yield from self.certificates(f"{ETCD}/tls", "etcd")
        if not self.node:
            yield File(path=COMMAND, content=rendering.script("witness.py"), mode=0o755)
            yield File(path=f"{LIBRARY}/witness.json", content=rendering.witness_facts(self.settings))
        yield File(path=f"{ETCD}/tls/administrator.crt", content=root.certificate)
        yield File(path=f"{ETCD}/tls/administrator.key", content=root.private_key, mode=0o600, secret=True)

    @property
    def leads_etcd(self) -> bool:
        """Whether etcd's leader is brought here."""
        return self.node is None and self.settings.etcd.leader_on_witness

    def etcd_spec(self) -> RoleSpec:
        """Say what etcd puts on its host."""
        settings = self.settings.etcd
        data = settings.data_directory
        return RoleSpec(
            name="etcd",
            packages=("etcd-server", "etcd-client", "curl", *(() if self.node else ("python3",))),
            directories=(
                Directory(path=ETCD),
                Directory(path=f"{ETCD}/tls"),
                *with_parents(ETCD_LIBRARY),
                *(() if self.node else (Directory(path=LIBRARY),)),
                *with_parents(data)[:-1],
                Directory(path=data, mode=0o700, owner="etcd", group="etcd", discard=self.settings.remove_data),
            ),
            files=self.etcd_files,
            units=(
                Unit(
                    name="etcd.service",
                    # Certificate and key are read at each handshake; the root only at the start.
                    restart_on=(f"{ETCD}/etcd.env", _ETCD_UNIT, f"{ETCD}/tls/root.crt"),
                ),
                *([Unit(name=_ETCD_LEADER, restart_on=_ETCD_LEADER_FILES)] if self.leads_etcd else ()),
            ),
            validations=(
                Validation(name="no other pair", command=_no_other_pair(self.settings.name)),
                Validation(name="no other etcd", command=_no_other_etcd(settings.client_port)),
            ),
            checks=(
                Check(
                    name="etcd is healthy, or waits for its others",
                    command=f"{ETCD_LIBRARY}/member settled",
                    timeout=self.settings.settle_seconds,
                ),
            ),
        )

    # --- PostgreSQL ----------------------------------------------------------------------------------------------

    def packages_spec(self) -> RoleSpec:
        """Say what has to be there before the server's package comes, which makes a cluster of its own otherwise."""
        return RoleSpec(
            name="postgresql-common",
            packages=("postgresql-common",),
            files=(File(path=_CREATE_CLUSTER, content=rendering.no_cluster()),),
        )

    def _files(self) -> Iterator[File]:
        shared = self.shared
        internal = [shared.current[account] for account in _INTERNAL]
        passwords = combined(lambda *known: rendering.passwords(dict(zip(_INTERNAL, known, strict=True))), *internal)
        yield File(path=COMMAND, content=rendering.script("pair.py"), mode=0o755)
        yield File(path=_FACTS, content=self.rendered(rendering.facts))
        is_leader = self.rendered(lambda settings, here, _: rendering.leader_check(settings, here))
        yield File(path=IS_LEADER, content=is_leader, mode=0o755)
        yield File(path=f"{LIBRARY}/accounts.sql", content=self._accounts(), mode=0o600, secret=True)
        yield File(path=f"{CONFIGURATION}/10-pair.yml", content=self._configuration())
        yield File(
            path=f"{CONFIGURATION}/20-passwords.yml",
            content=passwords,
            mode=0o600,
            owner="postgres",
            group="postgres",
            secret=True,
        )
        yield from self.certificates(TLS, "postgres")
        own, key = shared.patroni.certificate, shared.patroni.private_key
        yield File(path=f"{TLS}/etcd.crt", content=own)
        yield File(path=f"{TLS}/etcd.key", content=key, mode=0o600, owner="postgres", group="postgres", secret=True)
        if self.settings.backup:
            yield File(path=PGBACKREST_CONF, content=self.rendered(rendering.pgbackrest_of_node))
        if self.settings.fence:
            yield from self._fence_files(self.settings.fence)
        yield File(path=f"{_DROP_INS}/sealed-data-tier.conf", content=rendering.unit(self.settings))
        if self.settings.virtual_ip:
            here = self.rendered(lambda settings, here, _: rendering.virtual_ip_here(settings, here))
            yield File(path=VIRTUAL_IP_HERE, content=here, mode=0o755)
        if self.settings.leader_addresses:
            yield File(path=SYSCTL, content=rendering.sysctl(self.settings))

    def _fence_files(self, fence: FenceSettings) -> Iterator[File]:
        facts = self.rendered(lambda settings, here, group: rendering.fence_facts(settings, fence, here, group))
        yield File(path=_FENCE_FILES[0], content=rendering.script("fence.py"), mode=0o755)
        yield File(path=_FENCE_FILES[1], content=facts)
        yield File(path=_FENCE_FILES[2], content=rendering.fence_unit(self.settings))

    def _configuration(self) -> pulumi.Input[str]:
        def known(group: Group, allowed: list[str]) -> str:
            here = next(each for each in group.members if each.name == self.host.host_name)
            return rendering.configuration(self.settings, here, group, allowed)

        return combined(known, self.group, self.args.sources())

    def _accounts(self) -> pulumi.Input[str]:
        accepted = {name: known for name, known in self.shared.accepted.items() if name != PATRONI}
        keys = [(account, generation) for account, known in accepted.items() for generation in known]

        def with_passwords(*passwords: str) -> str:
            known: dict[str, dict[int, str]] = {}
            for (account, generation), password in zip(keys, passwords, strict=True):
                known.setdefault(account, {})[generation] = password
            return rendering.accounts(self.settings, known)

        return combined(with_passwords, *(accepted[account][generation] for account, generation in keys))

    def spec(self) -> RoleSpec:
        """Say what PostgreSQL and Patroni put on their host."""
        settings = self.settings
        configuration = (f"{CONFIGURATION}/10-pair.yml", f"{CONFIGURATION}/20-passwords.yml")
        certificates = tuple(f"{TLS}/{name}" for name in ("root.crt", "node.crt", "node.key", "etcd.crt", "etcd.key"))
        staged = " ".join(f"@{{{path}}}" for path in (_FACTS, *configuration))
        return RoleSpec(
            name="postgres",
            packages=(
                *(f"postgresql-{settings.version}", "patroni", "python3-etcd", "curl", "iproute2", "procps"),
                *(("pgbackrest",) if settings.backup else ()),
            ),
            directories=(
                Directory(path=dirname(CONFIGURATION)),
                Directory(path=CONFIGURATION, discard=True),
                Directory(path=TLS),
                Directory(path=_DROP_INS),
                Directory(path=LIBRARY),
                Directory(path=RUN, discard=True),
                *(pgbackrest_directories() if settings.backup else ()),
                *self._data_directories(),
            ),
            files=self.files,
            units=(
                *((Unit(name=SERVER, reload_on=(PGBACKREST_CONF, *certificates[:3])),) if settings.backup else ()),
                Unit(
                    name="patroni.service",
                    # A restart of Patroni is one of PostgreSQL: what the drop-in says of a start waits for the next.
                    reload_on=(*configuration, *certificates, _FACTS, COMMAND),
                ),
                *((Unit(name=_FENCE, restart_on=_FENCE_FILES),) if settings.fence else ()),
            ),
            validations=(
                *([_has_program(settings.fence)] if settings.fence else ()),
                Validation(
                    name="data, ports and parameters", command=f"python3 @{{{COMMAND}}} examine {staged}", timeout=60
                ),
                *([_begins_rightly()] if settings.backup else ()),
            ),
            checks=(
                Check(
                    name="serves what was written, or follows",
                    command=f"{COMMAND} healthy",
                    timeout=settings.settle_seconds,
                ),
                Check(name="roles and databases", command=f"{COMMAND} accounts", timeout=_ACCESS_S),
            ),
        )

    def _data_directories(self) -> Iterator[Directory]:
        *above, last = with_parents(self.settings.data)
        for each in above:
            yield Directory(path=each.path, owner="postgres", group="postgres")
        yield Directory(
            path=last.path, mode=0o700, owner="postgres", group="postgres", discard=self.settings.remove_data
        )


def pgbackrest_directories() -> tuple[Directory, ...]:
    """Where pgBackRest has its configuration, its locks and its logs."""
    kept = {"owner": "postgres", "group": "postgres"}
    return (
        Directory(path=PGBACKREST),
        Directory(path="/var/spool/pgbackrest", mode=0o750, discard=True, **kept),
        Directory(path="/var/log/pgbackrest", mode=0o750, discard=True, **kept),
    )


def _begins_rightly() -> Validation:
    read = (_FACTS, PGBACKREST_CONF, *(f"{TLS}/{name}" for name in ("root.crt", "node.crt", "node.key")))
    command = f"python3 @{{{COMMAND}}} examine-backups {' '.join(f'@{{{path}}}' for path in read)}"
    return Validation(name="backups", command=command, timeout=60)


def _has_program(fence: FenceSettings) -> Validation:
    program, user = shlex.quote(fence.command[0]), shlex.quote(fence.user)
    script = (
        f"runuser -u {user} -- test -x {program} || {{ echo {program} is no program that {user} may run; exit 1; }}"
    )
    return Validation(name="fence.command", command=script)


def _no_other_pair(name: str) -> str:
    """Refuse a host that a pair of another stack has, or one that is called something else now."""
    fix = "name another host, or take that pair out of its stack first"
    return (
        f"known=$(sed -n 's/^SCOPE=//p' {ETCD_LIBRARY}/member.env 2>/dev/null || :)\n"
        f'[ "${{known:-{name}}}" = {name} ] || {{ echo "this host is in the pair $known: {fix}"; exit 1; }}'
    )


def _no_other_etcd(port: int) -> str:
    """Refuse a host that has an etcd of its own: its unit would be replaced."""
    fix = "stop it and remove its package, or name another host"
    return (
        f"[ ! -e {_ETCD_UNIT} ] || exit 0\n"
        "! systemctl is-active -q etcd.service && [ ! -d /var/lib/etcd/default/member ] ||\n"
        f'    {{ echo "this host runs an etcd of its own: {fix}"; exit 1; }}\n'
        f"other=$(ss -Hltnp 'sport = :{port}' 2>/dev/null || :)\n"
        f'[ -z "$other" ] || {{ echo "port {port} is taken by another program: $other"; exit 1; }}'
    )
