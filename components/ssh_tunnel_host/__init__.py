"""SSH tunnels: encrypted local ports from one host to others."""

from components.ssh_tunnel_host.component import (
    Admission,
    SshTunnelHost,
    SshTunnelHostArgs,
    SshTunnels,
    SshTunnelServer,
)
from components.ssh_tunnel_host.settings import ClientSettings, Probe, SshTunnelSettings, Target, Timing, TunnelSettings

__all__ = [
    "Admission",
    "ClientSettings",
    "Probe",
    "SshTunnelHost",
    "SshTunnelHostArgs",
    "SshTunnelServer",
    "SshTunnelSettings",
    "SshTunnels",
    "Target",
    "Timing",
    "TunnelSettings",
]
