"""Components that close plaintext on the data tier, one folder a component.

All their public names can be had from here, and each component is imported when it is first asked for:

    from components import Host, HostArgs, HaproxyLoadBalancer, HaproxyLoadBalancerArgs
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from components.cache_service import *  # noqa: F403
    from components.certificates import *  # noqa: F403
    from components.firewall import *  # noqa: F403
    from components.haproxy_load_balancer import *  # noqa: F403
    from components.host import *  # noqa: F403
    from components.keepalived_vip import *  # noqa: F403
    from components.kubernetes_cluster import *  # noqa: F403
    from components.postgres_ha_pair import *  # noqa: F403
    from components.redis_tls_cluster import *  # noqa: F403
    from components.spinnaker_redis_mtls import *  # noqa: F403
    from components.ssh_tunnel_host import *  # noqa: F403

_COMPONENTS: Final = (
    "host",
    "certificates",
    "firewall",
    "ssh_tunnel_host",
    "haproxy_load_balancer",
    "cache_service",
    "redis_tls_cluster",
    "keepalived_vip",
    "kubernetes_cluster",
    "postgres_ha_pair",
    "spinnaker_redis_mtls",
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever a component has
    """Find a public name of a component (PEP 562); classes only, so that modules are left to Python."""
    for component in _COMPONENTS if name[:1].isupper() else ():
        module = import_module(f"{__name__}.{component}")
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
