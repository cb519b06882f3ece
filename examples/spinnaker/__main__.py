"""A Redis with TLS on a host, and Spinnaker's services as its clients, by the operator or by Halyard; see README.md."""

import pulumi

from components import (
    CertificateAuthority,
    Firewall,
    FirewallArgs,
    Host,
    HostArgs,
    JavaService,
    RedisTlsCluster,
    RedisTlsClusterArgs,
    RedisTlsSettings,
    SpinnakerRedisMtls,
    SpinnakerRedisMtlsArgs,
    SpinnakerRedisSettings,
)
from components.redis_tls_cluster.settings import UserSettings
from components.settings import ServerNode
from components.spinnaker_redis_mtls.settings import (
    ApiGroup,
    EndpointSettings,
    GoService,
    HalyardSettings,
    OperatorSettings,
    SeparateSettings,
)

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "redis1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ+WfvU4/NTb2pQX3cQb4TkhtRAUxUX0s0N17OT4W6+"),
    "halyard1": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVjRC0zyLkxDmDb88n4nEn6hzbkwInMJLq/uvPbZjOg"),
}
CLUSTER = "198.51.100.0/24"  # where the cluster's pods come from, as redis1 sees them
OTHER = "rediss://redis-without-client-certificates.example.com:6380"

by_halyard = pulumi.Config().get_bool("halyard") or False
hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
authority = CertificateAuthority("authority")
redis = RedisTlsClusterArgs(
    settings=RedisTlsSettings(
        name="ci",
        nodes=(ServerNode(host="redis1", names=("redis-ssl.example.com",)),),
        # Spinnaker's services send a password and no name, and Gate wants to be told of sessions that end.
        users=(UserSettings(name="default"),),
        keyspace_events="Egx",
        clients=(CLUSTER,),
    ),
    hosts=hosts,
    authority=authority,
)
ci = RedisTlsCluster("ci", redis)
# Last, since until then others may use the port.
for name, flows in ci.flows.items():
    Firewall(name, FirewallArgs(host=hosts[name], flows=flows), pulumi.ResourceOptions(depends_on=[ci]))

spinnaker = SpinnakerRedisMtls(
    "spinnaker",
    SpinnakerRedisMtlsArgs(
        settings=SpinnakerRedisSettings(
            redis=EndpointSettings(host="redis-ssl.example.com"),
            services=(JavaService.GATE, JavaService.IGOR, JavaService.ROSCO),
            # Orca keeps its data in SQL, and would show its database the certificate; Dinghy can show none.
            separate=(
                SeparateSettings(service=JavaService.ORCA, redis=OTHER),
                SeparateSettings(service=GoService.DINGHY, redis=OTHER),
            ),
            profiles={"orca": {"sql": {"enabled": True}}},
            operator=None if by_halyard else OperatorSettings(api_group=ApiGroup.ARMORY),
            halyard=HalyardSettings(host="halyard1") if by_halyard else None,
        ),
        group=redis,
        redis_password=ci.passwords["default"],
        authority=authority,
        hosts=hosts,
        after=[ci],
    ),
)
pulumi.export("spinnaker", spinnaker.outputs)
