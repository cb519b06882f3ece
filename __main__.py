"""One stack: its configuration, the hosts it names or creates, and what is put on them."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import pulumi

from components.cache_service import CacheService, CacheServiceArgs, CacheServiceSettings
from components.certificates import AuthoritySettings, CertificateAuthority, CertificateAuthorityArgs
from components.errors import ConfigurationError
from components.firewall import Firewall, FirewallArgs, FirewallSettings, Flow
from components.host import Host, HostArgs, HostSettings
from components.kubernetes_cluster import KubernetesCluster
from components.postgres_ha_pair import PostgresHaPair, PostgresHaPairArgs, PostgresHaSettings
from components.redis_tls_cluster import RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import InvalidConfigurationError, Problems, load
from components.spinnaker_redis_mtls import SpinnakerRedisMtls, SpinnakerRedisMtlsArgs, SpinnakerRedisSettings
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

_PROJECT: Final = "sealed-data-tier"
_SECTIONS: Final = (
    "lab",
    "hosts",
    "cacheService",
    "certificateAuthority",
    "redis",
    "postgres",
    "spinnaker",
    "firewall",
)

# Pulumi's own section, and what is read of it.
_KUBERNETES: Final = "kubernetes"
_OF_CLUSTER: Final = ("kubernetes:context", "kubernetes:kubeconfig")

Group = TypeVar("Group", RedisTlsSettings, PostgresHaSettings, SpinnakerRedisSettings)


def _refuse_unknown_sections() -> None:
    given = (key.partition(":") for key in pulumi.runtime.get_config_env() if key.startswith(f"{_PROJECT}:"))
    if unknown := sorted({section for _, _, section in given} - set(_SECTIONS)):
        known = ", ".join(_SECTIONS)
        raise InvalidConfigurationError([f"{name}: nobody reads this key: use one of {known}" for name in unknown])


def _declared_hosts(config: pulumi.Config) -> Mapping[str, HostSettings]:
    hosts = config.get_object("hosts") or {}
    if not isinstance(hosts, Mapping):
        raise InvalidConfigurationError(["hosts: map each host's name to its address, user and hostKey"])
    problems, settings = Problems(), {}
    for name, data in hosts.items():
        with problems:
            settings[name] = load(HostSettings, data, f"hosts.{name}")
    problems.refuse()
    return settings


def _groups(config: pulumi.Config, section: str, model: type[Group], members: str, problems: Problems) -> list[Group]:
    """Read a section that lists groups, each with a name of its own."""
    settings, names = list[Group](), list[str]()
    groups = config.get_object(section) or []
    with problems:
        if not isinstance(groups, list):
            raise InvalidConfigurationError([f"{section}: list the groups, each with its name and {members}"])
    for at, data in enumerate(groups if isinstance(groups, list) else ()):
        with problems:
            group = load(model, data, f"{section}[{at}]")
            if group.name in names:
                raise InvalidConfigurationError(
                    [f"{section}[{at}].name: {group.name!r} is the name of another group: choose one"]
                )
            settings.append(group)
            names.append(group.name)
    return settings


def _refuse_two_clusters(lab: LabSettings | None) -> None:
    """Refuse what nobody reads of Pulumi's own section for Kubernetes, and all of it where the lab has a cluster."""
    keys = sorted(key for key in pulumi.runtime.get_config_env() if key.startswith(f"{_KUBERNETES}:"))
    if lab is not None and lab.cluster is not None:
        fix = "the stack's cluster is the lab's: remove this, or lab.cluster"
    else:
        fix = f"nobody reads this key: use one of {', '.join(_OF_CLUSTER)}"
        keys = [key for key in keys if key not in _OF_CLUSTER]
    if keys:
        raise InvalidConfigurationError([f"{key}: {fix}" for key in keys])


def _cluster(lab: pulumi.Output[str] | None) -> KubernetesCluster:
    """Return the one cluster of the stack: the lab's, the configured one, or else the one that kubectl would take."""
    given = pulumi.Config(_KUBERNETES)
    kubeconfig = given.get_secret("kubeconfig") if lab is None else lab
    return KubernetesCluster(kubeconfig=kubeconfig, context=given.get("context"))


def _group_of(
    settings: SpinnakerRedisSettings, groups: Sequence[RedisTlsClusterArgs], path: str
) -> RedisTlsClusterArgs | None:
    """Return the group that Spinnaker uses, if it is one of this stack."""
    wanted, known = settings.redis.group, {each.settings.name: each for each in groups}
    if wanted is None or wanted in known:
        return known[wanted] if wanted else None
    raise ConfigurationError(path, wanted, f"name a group of this stack: {', '.join(known) or 'it has none'}")


def _firewalls(
    settings: FirewallSettings,
    hosts: Mapping[str, Host],
    cache: CacheService | None,
    groups: Sequence[RedisTlsClusterArgs | PostgresHaPairArgs],
) -> dict[str, Firewall]:
    """One firewall a host, with what all services need of it.

    The cache service comes before it: until its tunnels stand applications may use the NodePort. Redis and PostgreSQL
    come after it, since their nodes have to reach each other.
    """
    flows: dict[str, list[Flow]] = {}
    for name, needed in (cache.flows if cache else {}).items():
        flows.setdefault(name, []).extend(needed)
    for group in groups:
        for name in group.members:
            flows.setdefault(name, []).extend(group.flows(name))
    after = pulumi.ResourceOptions(depends_on=[cache] if cache else [])
    return {
        name: Firewall(name, FirewallArgs(host=hosts[name], flows=needed, settings=settings), after)
        for name, needed in sorted(flows.items())
        if settings.closes(needed)
    }


def _serve(
    groups: Sequence[RedisTlsClusterArgs], pairs: Sequence[PostgresHaPairArgs], firewalls: Mapping[str, Firewall]
) -> dict[str, RedisTlsCluster]:
    """Bring up Redis and PostgreSQL, each once the firewalls of its hosts let its members in; returns Redis by name."""

    def closed(args: RedisTlsClusterArgs | PostgresHaPairArgs) -> list[pulumi.Resource]:
        return [firewalls[name].confirmation for name in args.members if name in firewalls]

    clusters = {
        args.settings.name: RedisTlsCluster(args.settings.name, replace(args, after=closed(args))) for args in groups
    }
    if clusters:
        pulumi.export("redis", {name: cluster.outputs for name, cluster in clusters.items()})
    both = {args.settings.name: PostgresHaPair(args.settings.name, replace(args, after=closed(args))) for args in pairs}
    if both:
        pulumi.export("postgres", {name: pair.outputs for name, pair in both.items()})
    return clusters


def _seal(spinnakers: Sequence[SpinnakerRedisMtlsArgs], clusters: Mapping[str, RedisTlsCluster]) -> None:
    """Make Spinnaker's services clients of Redis, each once its group is there."""

    def served(args: SpinnakerRedisMtlsArgs) -> SpinnakerRedisMtlsArgs:
        group = clusters.get(args.settings.redis.group or "")
        return replace(args, redis_password=group.passwords["default"], after=[group]) if group else args

    sealed = {args.settings.name: SpinnakerRedisMtls(args.settings.name, served(args)) for args in spinnakers}
    if sealed:
        pulumi.export("spinnaker", {name: each.outputs for name, each in sealed.items()})


def main() -> None:
    """Compose the stack."""
    config, problems = pulumi.Config(), Problems()
    with problems:
        _refuse_unknown_sections()
    declared: Mapping[str, HostSettings] = {}
    with problems:
        declared = _declared_hosts(config)
    lab_settings = cache_settings = firewall_settings = None
    with problems:
        if (data := config.get_object("lab")) is not None:
            lab_settings = load(LabSettings, data, "lab")
    with problems:
        _refuse_two_clusters(lab_settings)
    with problems:
        if (data := config.get_object("cacheService")) is not None:
            cache_settings = load(CacheServiceSettings, data, "cacheService")
    redis_groups = _groups(config, "redis", RedisTlsSettings, "nodes or kubernetes", problems)
    postgres_pairs = _groups(config, "postgres", PostgresHaSettings, "nodes and witness", problems)
    spinnaker_settings = _groups(config, "spinnaker", SpinnakerRedisSettings, "redis", problems)
    authority_settings = AuthoritySettings()
    with problems:
        authority_settings = load(
            AuthoritySettings, config.get_object("certificateAuthority") or {}, "certificateAuthority"
        )
    with problems:
        if (data := config.get_object("firewall")) is not None:
            firewall_settings = load(FirewallSettings, data, "firewall")
    problems.refuse()

    arguments = {name: HostArgs.of(each) for name, each in declared.items()}
    cache_password: pulumi.Output[str] | None = None
    kubeconfig: pulumi.Output[str] | None = None
    if lab_settings is not None:
        lab = Lab("lab", LabArgs(settings=lab_settings))
        arguments |= {name: endpoint.arguments for name, endpoint in lab.endpoints.items()}
        cache_password, kubeconfig = lab.cache_password, lab.kubeconfig
    hosts = {name: Host(name, args) for name, args in arguments.items()}
    pulumi.export("hosts", {name: host.address for name, host in hosts.items()})
    cache = None
    if cache_settings is not None:
        cache = CacheService(
            "cache-service",
            CacheServiceArgs(settings=cache_settings, hosts=hosts, password=cache_password),
        )
        pulumi.export("cacheService", cache.outputs)
    groups: list[RedisTlsClusterArgs] = []
    pairs: list[PostgresHaPairArgs] = []
    spinnakers: list[SpinnakerRedisMtlsArgs] = []
    if redis_groups or postgres_pairs or spinnaker_settings:
        authority = CertificateAuthority("authority", CertificateAuthorityArgs(settings=authority_settings))
        cluster = _cluster(kubeconfig)
        groups = [
            RedisTlsClusterArgs(
                settings=settings, hosts=hosts, authority=authority, where=f"redis[{at}]", cluster=cluster
            )
            for at, settings in enumerate(redis_groups)
        ]
        pairs = [
            PostgresHaPairArgs(settings=settings, hosts=hosts, authority=authority, where=f"postgres[{at}]")
            for at, settings in enumerate(postgres_pairs)
        ]
        spinnakers = [
            SpinnakerRedisMtlsArgs(
                settings=settings,
                hosts=hosts,
                authority=authority,
                cluster=cluster,
                group=_group_of(settings, groups, f"spinnaker[{at}].redis.group"),
                where=f"spinnaker[{at}]",
            )
            for at, settings in enumerate(spinnaker_settings)
        ]
    firewalls = {} if firewall_settings is None else _firewalls(firewall_settings, hosts, cache, [*groups, *pairs])
    _seal(spinnakers, _serve(groups, pairs, firewalls))


# What a stack is made of lives until its end. Looking for garbage in it, again and again and once more at exit, takes
# half of the time of a preview of hundreds of hosts, and finds next to nothing.
gc.disable()
atexit.register(gc.freeze)
# When something failed the engine interrupts the program. Where the program was does not belong into that error.
signal.signal(signal.SIGINT, lambda *_: os._exit(1))
main()
