"""SSH tunnels as resources: the far side's permission, the near side's units, and keys between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_tls as tls

from components.firewall import Flow
from components.firewall.settings import SSH, shortened
from components.host import Check, Directory, File, Host, Role, RoleSpec, Unit, User, Validation
from components.inputs import combined
from components.settings import InvalidConfigurationError
from components.ssh_tunnel_host import rendering
from components.ssh_tunnel_host.rendering import FarEnd, Tunnel, endpoint, tunnel_directory
from components.ssh_tunnel_host.settings import (
    SSH_PACKAGES,
    SSHD_PACKAGES,
    SSHD_UNIT,
    ClientSettings,
    SshTunnelSettings,
    Target,
    TunnelSettings,
)

_LOOPBACK: Final = "127.0.0.1"
_UNITS: Final = "/etc/systemd/system"
_SHARED_DIRECTORY: Final = "/etc/ssh/sealed-data-tier"
_CHECK_S: Final = 10  # for the far hosts to let this one in, beside the time to connect


def _target(tunnel: TunnelSettings, server: Host) -> pulumi.Input[str]:
    address = _LOOPBACK if tunnel.target is Target.LOOPBACK else server.dialled
    return combined(lambda resolved: endpoint(resolved, tunnel.target_port), address)


def _far_end(server: Host) -> pulumi.Input[FarEnd]:
    return combined(
        lambda address, port, host_key: FarEnd(address=address, port=int(port), host_key=host_key),
        server.dialled,
        server.args.port,
        server.args.host_key,
    )


def _directories(user: str) -> tuple[Directory, ...]:
    return (Directory(path=_SHARED_DIRECTORY), Directory(path=tunnel_directory(user)))


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A client that a far host lets in.

    Attributes:
        client: The host from which the tunnels come.
        public_key: Its key in OpenSSH form.
        targets: `address:port` that it may reach.
    """

    client: Host
    public_key: pulumi.Input[str]
    targets: Sequence[pulumi.Input[str]]


class SshTunnelServer(pulumi.ComponentResource):
    """The far side: an account that may forward to the declared targets and do nothing else.

    Two roles: the account with its sshd rules, and one generation of keys. When the generation changes, Pulumi creates
    the new role first, moves the clients, and deletes the old one last: at every moment some valid key is known.

    Attributes:
        admission: The role with the keys.
        flows: What the clients need of this host's firewall: SSH.
    """

    flows: tuple[Flow, ...]

    def __init__(
        self,
        name: str,
        host: Host,
        admissions: Sequence[Admission],
        settings: SshTunnelSettings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "host": host.host_name,
            "user": settings.user,
            "clients": [each.client.host_name for each in admissions],
        }
        super().__init__("sealed-data-tier:ssh_tunnel_host:SshTunnelServer", name, inputs, opts)
        user, generation = settings.user, settings.key_generation
        self.flows = tuple(
            Flow(
                port=SSH,
                sources=[each.client.source_addresses],
                purpose=shortened(f"SSH tunnels of {each.client.host_name}"),
            )
            for each in admissions
        )
        account = Role(
            f"{name}-account",
            host,
            self._account(host, admissions, settings),
            pulumi.ResourceOptions(parent=self),
        )
        keys = combined(lambda *lines: "".join(lines), *(self._line(each, generation) for each in admissions))
        self.admission = Role(
            f"{name}-keys-{generation}",
            host,
            RoleSpec(
                name=f"{user}-keys-{generation}",
                directories=_directories(user),
                files=(File(path=f"{tunnel_directory(user)}/generation-{generation}.keys", content=keys),),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[account]),
        )
        self.register_outputs({})

    @staticmethod
    def _line(admission: Admission, generation: int) -> pulumi.Input[str]:
        comment = f"{admission.client.host_name} generation {generation}"
        return combined(
            lambda sources, key, *targets: rendering.authorized_key(
                key, sources=sources, targets=sorted(set(targets)), comment=comment
            ),
            admission.client.source_addresses,
            admission.public_key,
            *admission.targets,
        )

    @staticmethod
    def _account(host: Host, admissions: Sequence[Admission], settings: SshTunnelSettings) -> RoleSpec:
        user, family = settings.user, host.args.family
        drop_in = f"/etc/ssh/sshd_config.d/50-{user}.conf"
        text = combined(
            lambda *targets: rendering.sshd_config(user, sorted(set(targets)), settings.timing),
            *(target for each in admissions for target in each.targets),
        )
        connection = f"user={user},host=client,addr=192.0.2.1"
        effective = f"/usr/sbin/sshd -T -C {connection}"
        return RoleSpec(
            name=f"{user}-account",
            packages=SSHD_PACKAGES[family],
            users=(User(name=user),),
            directories=_directories(user),
            files=(File(path=drop_in, content=text),),
            units=(Unit(name=SSHD_UNIT[family], reload_on=(drop_in,)),),
            validations=(
                Validation(
                    name="sshd -t",
                    # In front of the main file, as its Include has it, and in the memory of this one shell only.
                    command=f"cat @{{{drop_in}}} /etc/ssh/sshd_config >/run/sealed-data-tier/sshd_config\n"
                    "/usr/sbin/sshd -t -f /run/sealed-data-tier/sshd_config",
                ),
            ),
            checks=(
                # Of two rules sshd takes the first: one in an earlier file could have opened what this one closes.
                Check(
                    name=f"sshd really confines {user}",
                    command=f'{effective} | grep -qix "forcecommand /usr/sbin/nologin"\n'
                    f"{effective} | grep -qix 'allowtcpforwarding local'\n"
                    f"{effective} | grep -qix 'passwordauthentication no'",
                ),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class SshTunnelHostArgs:
    """What a host needs to run tunnels.

    Attributes:
        host: The host on which the tunnels start.
        client: Its tunnels.
        servers: The far hosts by name.
        private_key: Key in OpenSSH form; goes to the host as a secret file and to the unit as a credential.
        settings: What all tunnels of the set share.
    """

    host: Host
    client: ClientSettings
    servers: Mapping[str, Host]
    private_key: pulumi.Input[str]
    settings: SshTunnelSettings


class SshTunnelHost(pulumi.ComponentResource):
    """Encrypted local ports from one host to others, each a systemd unit that heals within seconds.

    Attributes:
        units: Unit names in the order of the tunnels.
        local_endpoints: `address:port` that clients on the host use.
    """

    units: list[str]
    local_endpoints: list[str]

    def __init__(self, name: str, args: SshTunnelHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        client = args.client
        outputs = {
            "units": [client.unit_of(tunnel) for tunnel in client.tunnels],
            "localEndpoints": [tunnel.local_endpoint for tunnel in client.tunnels],
        }
        inputs = {"host": args.host.host_name, **outputs}
        super().__init__("sealed-data-tier:ssh_tunnel_host:SshTunnelHost", name, inputs, opts)
        # After the line above, which makes an output of each attribute that an input is named like.
        self.units, self.local_endpoints = outputs["units"], outputs["localEndpoints"]
        self.role = Role(f"{name}-tunnels", args.host, self._spec(args), pulumi.ResourceOptions(parent=self))
        self.register_outputs(outputs)

    @staticmethod
    def _spec(args: SshTunnelHostArgs) -> RoleSpec:
        client, settings, user = args.client, args.settings, args.settings.user
        directory = tunnel_directory(user)
        script, key, pins = rendering.script_path(user), f"{directory}/id_ed25519", f"{directory}/known_hosts"
        unit_path = f"{_UNITS}/{client.unit}.service"
        instance = "%i" if client.unit.endswith("@") else client.tunnels[0].alias
        known_hosts = combined(
            lambda *far_ends: rendering.known_hosts(far_ends),
            *(_far_end(args.servers[tunnel.server]) for tunnel in client.tunnels),
        )
        files = [
            File(path=script, content=rendering.supervisor(), mode=0o755),
            File(path=unit_path, content=rendering.service_unit(instance, user, settings.probe, settings.timing)),
            File(path=pins, content=known_hosts),
            # Not a reason to restart: a tunnel that stands was let in already, and the next one reads the new key.
            File(path=key, content=args.private_key, mode=0o600, secret=True),
        ]
        units = []
        for tunnel in client.tunnels:
            config = f"{directory}/{tunnel.alias}.conf"
            files.append(File(path=config, content=_config(tunnel, args)))
            units.append(Unit(name=client.unit_of(tunnel), restart_on=(unit_path, script, config)))
        configs = " ".join(f"@{{{directory}/{tunnel.alias}.conf}}" for tunnel in client.tunnels)
        return RoleSpec(
            name=f"{user}-tunnels",
            packages=SSH_PACKAGES[args.host.args.family],
            users=(User(name=user),),
            directories=_directories(user),
            files=tuple(files),
            units=tuple(units),
            validations=(
                Validation(
                    name="ssh -G",
                    command="export CREDENTIALS_DIRECTORY=/\n"
                    f"for file in {configs}; do ssh -F $file -G any >/dev/null; done",
                ),
                Validation(name="bash -n", command=f"bash -n @{{{script}}}"),
                Validation(name="systemd-analyze verify", command=_verify_unit(unit_path, script)),
                Validation(name="free local ports", command=_ports_are_free(client, user)),
                Validation(name="free unit name", command=_unit_is_free(client.unit)),
            ),
            checks=(_let_in(args, directory, key),),
        )


def _verify_unit(unit: str, script: str) -> str:
    """The unit names a script that is itself still staged."""
    copy = f"/run/sealed-data-tier/{unit.rsplit('/', 1)[1]}"
    return (
        f"sed 's|{script}|@{{{script}}}|' @{{{unit}}} >{copy}\n"
        f"systemd-analyze --man=no --recursive-errors=no verify {copy}"
    )


def _config(tunnel: TunnelSettings, args: SshTunnelHostArgs) -> pulumi.Input[str]:
    server = args.servers[tunnel.server]

    def render(far_end: FarEnd, target_endpoint: str) -> str:
        resolved = Tunnel(
            alias=tunnel.alias,
            server=tunnel.name or tunnel.server,
            far_end=far_end,
            local_endpoint=tunnel.local_endpoint,
            target_endpoint=target_endpoint,
        )
        return rendering.ssh_config(resolved, args.settings.user, args.settings.timing)

    return combined(render, _far_end(server), _target(tunnel, server))


def _let_in(args: SshTunnelHostArgs, directory: str, key: str) -> Check:
    """Every far host that can be reached admits the key that now lies here, and one of them can be reached.

    The key itself is tried, since a tunnel that stands was let in with the one before. A far host that is away does not
    stop a change that may be about its very absence. One that refuses does, and is not asked again and again, for sshd
    would block this host's address. nologin, the forced command, answers 1; a failure of ssh itself is 255.
    """
    aliases = [tunnel.alias for tunnel in args.client.tunnels]
    ssh = f"ssh -F {directory}/$alias.conf -o IdentityFile={key} -o ClearAllForwardings=yes -o SessionType=default"
    return Check(
        name="the far hosts admit this host's key",
        command=f"""\
export CREDENTIALS_DIRECTORY=/
reached=
for alias in {" ".join(aliases)}; do
    status=0
    said=$({ssh} $alias true 2>&1) || status=$?
    case $status:$said in
    255:*'Permission denied'* | 255:*'Host key verification failed'*) echo "$alias: $said"; sleep infinity ;;
    255:*) echo "$alias: $said" ;;
    *) reached=yes ;;
    esac
done
[ "$reached" ]""",
        timeout=_CHECK_S + len(aliases) * args.settings.timing.connect_timeout,
    )


def _ports_are_free(client: ClientSettings, user: str) -> str:
    """A port that anyone but the tunnels' account holds is told with its holder, while everything still runs."""
    lines = [f"own=$(id -u {user} 2>/dev/null || echo none)"]
    for tunnel in client.tunnels:
        port = tunnel.local_port
        listeners = f"( src {tunnel.local_endpoint} or src 0.0.0.0:{port} or src [::]:{port} )"
        lines.append(
            f"taken=$(ss -Hltnpe '{listeners}' | grep -v \" uid:$own \" || :)\n"
            f'[ -z "$taken" ] || {{ echo "localPort {port} is taken: $taken" >&2; exit 1; }}'
        )
    return "\n".join(lines)


def _unit_is_free(unit: str) -> str:
    """A unit of the distribution's would be hidden by ours."""
    theirs = f"/usr/lib/systemd/system/{unit}.service"
    return f'[ ! -e {theirs} ] || {{ echo "{theirs} is a unit of this host: choose another name" >&2; exit 1; }}'


class SshTunnels(pulumi.ComponentResource):
    """A whole set of tunnels: keys, then the far sides, then the near sides.

    Args:
        name: Name of the set.
        settings: The set.
        hosts: Every host of the stack by name.

    Attributes:
        clients: The near side of each client host, by host name.
        public_keys: Each client's public key in OpenSSH form, by host name.
        flows: What the tunnels need of each far host's firewall, by host name.

    Raises:
        InvalidConfigurationError: When the hosts do not fit the set, with every problem.
    """

    clients: dict[str, SshTunnelHost]
    public_keys: dict[str, pulumi.Output[str]]
    flows: dict[str, tuple[Flow, ...]]

    def __init__(
        self,
        name: str,
        settings: SshTunnelSettings,
        hosts: Mapping[str, Host],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if problems := list(_problems(settings, hosts)):
            raise InvalidConfigurationError(problems)
        super().__init__("sealed-data-tier:ssh_tunnel_host:SshTunnels", name, {"user": settings.user}, opts)
        here = pulumi.ResourceOptions(parent=self)
        generation = settings.key_generation
        keys = {
            client.host: tls.PrivateKey(f"{name}-{client.host}-key-{generation}", algorithm="ED25519", opts=here)
            for client in settings.clients
        }
        self.public_keys = {host: key.public_key_openssh.apply(str.strip) for host, key in keys.items()}
        far_sides: dict[str, list[Admission]] = {}
        for client in settings.clients:
            for server in dict.fromkeys(tunnel.server for tunnel in client.tunnels):
                targets = [_target(each, hosts[server]) for each in client.tunnels if each.server == server]
                admission = Admission(
                    client=hosts[client.host], public_key=self.public_keys[client.host], targets=targets
                )
                far_sides.setdefault(server, []).append(admission)
        servers = {
            server: SshTunnelServer(f"{name}-{server}-server", hosts[server], admissions, settings, here)
            for server, admissions in far_sides.items()
        }
        self.flows = {name: server.flows for name, server in servers.items()}
        self.clients = {
            client.host: SshTunnelHost(
                f"{name}-{client.host}",
                SshTunnelHostArgs(
                    host=hosts[client.host],
                    client=client,
                    servers=hosts,
                    private_key=keys[client.host].private_key_openssh,
                    settings=settings,
                ),
                pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[
                        servers[server].admission for server in dict.fromkeys(each.server for each in client.tunnels)
                    ],
                ),
            )
            for client in settings.clients
        }
        self.register_outputs({"publicKeys": self.public_keys})


def _problems(settings: SshTunnelSettings, hosts: Mapping[str, Host]) -> Iterator[str]:
    known = ", ".join(sorted(hosts)) or "none is configured"
    for number, client in enumerate(settings.clients):
        here = f"clients[{number}]"
        named = [(f"{here}.host", client.host)]
        named += [(f"{here}.tunnels[{at}].server", tunnel.server) for at, tunnel in enumerate(client.tunnels)]
        for path, name in named:
            if name not in hosts:
                yield f"{path}: {name!r} is no host of this stack: use one of {known}"
        if client.host in hosts and not hosts[client.host].has_source_addresses:
            text = "tunnels start here, and a DNS name is no source address: list the IP addresses or networks that"
            yield f"hosts.{client.host}.sourceAddresses: {text} the far hosts see it come from"
    for name in sorted({tunnel.server for client in settings.clients for tunnel in client.tunnels} & set(hosts)):
        if hosts[name].args.user == settings.user:
            text = f"{settings.user!r} is how this stack logs in to {name}, and would be shut out there: name another"
            yield f"user: {text}"
