"""The sealed cache service as a resource."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi

from components.cache_service.settings import PASSWORD, CacheServiceSettings, ConnectionsSettings
from components.firewall import Flow
from components.haproxy_load_balancer import HaproxyLoadBalancer, HaproxyLoadBalancerArgs
from components.host import Host
from components.inputs import combined, secret
from components.settings import InvalidConfigurationError
from components.ssh_tunnel_host import SshTunnels
from components.templates import Templates

_WHERE: Final = "cacheService"
_TEMPLATES: Final = Templates(__file__)


@dataclass(frozen=True, kw_only=True)
class CacheServiceArgs:
    """What the cache service needs.

    Attributes:
        settings: Hosts, ports and names.
        hosts: Every host of the stack by name.
        password: The cache's password (secret); default `settings.password`.
    """

    settings: CacheServiceSettings
    hosts: Mapping[str, Host]
    password: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        """Refuse hosts that the stack does not have, and a cache without a password.

        Raises:
            InvalidConfigurationError: With the property paths and the fix.
        """
        self.settings.refuse_unknown_hosts(self.hosts, _WHERE)
        if self.password is None and self.settings.password is None:
            fix = f"set it: pulumi config set --secret --path {_WHERE}.password"
            raise InvalidConfigurationError([f"{_WHERE}.password: is missing: {fix}"])

    @property
    def cache_password(self) -> pulumi.Output[str]:
        """The cache's password, from wherever it was given."""
        if self.settings.password is not None:
            return secret(self.settings.password.get_secret_value())
        return secret(cast("pulumi.Input[str]", self.password))  # or there would be no arguments


class CacheService(pulumi.ComponentResource):
    """Applications reach the cache through their own loopback; nothing of it is on any network in plaintext.

    Attributes:
        tunnels: Tunnels from the applications to the load balancer and from there to the workers.
        load_balancer: HAProxy between them.
        outputs: Units, local endpoints and public keys by host.
        flows: What it needs of each host's firewall, by host; on every node the NodePort is closed to all but itself.
    """

    def __init__(self, name: str, args: CacheServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        inputs = {"port": settings.port, "nodePort": settings.node_port, "loadBalancer": settings.load_balancer}
        super().__init__("sealed-data-tier:cache_service:CacheService", name, inputs, opts)
        password = args.cache_password
        self.tunnels = SshTunnels(
            f"{name}-tunnels", settings.tunnels(), args.hosts, pulumi.ResourceOptions(parent=self)
        )
        balancer = args.hosts[settings.load_balancer]
        self.load_balancer = HaproxyLoadBalancer(
            f"{name}-balancer",
            HaproxyLoadBalancerArgs(host=balancer, settings=settings.haproxy(), passwords={PASSWORD: password}),
            pulumi.ResourceOptions(parent=self),
        )
        if settings.connections is not None:
            host = args.hosts[settings.connections.host]
            self._configure_connections(settings.connections, settings.port, host, password)
        # The NodePort is the node's own: on workers that is where the tunnel comes out.
        closed = Flow(port=settings.node_port, sources=(), purpose="cache service: by the tunnels only")
        self.flows = {name: list(flows) for name, flows in self.tunnels.flows.items()}
        for node in settings.nodes:
            self.flows.setdefault(node, []).append(closed)
        clients = self.tunnels.clients
        self.outputs: dict[str, Any] = {
            "units": {host: client.units for host, client in clients.items()},
            "localEndpoints": {host: client.local_endpoints for host, client in clients.items()},
            "publicKeys": self.tunnels.public_keys,
            "haproxy": self.load_balancer.endpoints,
        }
        self.register_outputs(self.outputs)

    def _configure_connections(
        self, settings: ConnectionsSettings, port: int, host: Host, password: pulumi.Output[str]
    ) -> None:
        """Run the vendor's script, once, and again when what it is told changes.

        Its passwords go to the host by standard input; see `templates/configure.sh`.
        """
        given = ("-m", "localhost", "-po", str(port), "-ic", settings.url, "-ic_u", settings.user)
        configure = _TEMPLATES.render("configure.sh", {})
        secrets = combined("secrets\n{}\n{}\n".format, settings.password.get_secret_value(), password)
        tunnels = [client.role.command for client in self.tunnels.clients.values()]
        host.command(
            "connections",
            host.as_root(
                f"exec {shlex.join(['bash', '-c', configure, 'configure', settings.script])} "
                f"{settings.timeout} {shlex.join(given)}"
            ),
            stdin=host.with_sudo_password(secrets),
            parent=self,
            depends_on=[*tunnels, self.load_balancer.role.command],
        )
