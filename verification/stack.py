"""Reads what a stack declares out of its state, whatever the stack is called and whoever made its hosts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from policies.parsers import haproxy, openssh
from policies.parsers.formats import Format, of_format
from policies.parsers.kubernetes import items, part, texts
from policies.rules import HostFiles
from policies.rules.stdin import Stdin
from policies.rules.tunnels import clients
from verification.cluster import context_of
from verification.export import Resource, State, UnusableStackError
from verification.model import (
    Admission,
    Balancer,
    Cache,
    Cluster,
    Endpoint,
    File,
    Host,
    Login,
    Pair,
    PodGroup,
    RedisClient,
    Role,
    ServedCertificate,
    Stack,
    Tunnels,
    VirtualIps,
    Written,
)

_OURS: Final = "sealed-data-tier:"
_HOST: Final = "sealed-data-tier:host:Host"
_ROLE: Final = "sealed-data-tier:host:Role"
_TUNNELS: Final = "sealed-data-tier:ssh_tunnel_host:SshTunnelHost"
_ADMISSION: Final = "sealed-data-tier:ssh_tunnel_host:SshTunnelServer"
_BALANCER: Final = "sealed-data-tier:haproxy_load_balancer:HaproxyLoadBalancer"
_CACHE: Final = "sealed-data-tier:cache_service:CacheService"
_REDIS: Final = "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"
_VIRTUAL_IPS: Final = "sealed-data-tier:keepalived_vip:KeepalivedVip"
_POSTGRES: Final = "sealed-data-tier:postgres_ha_pair:PostgresHaPair"
_SPINNAKER: Final = "sealed-data-tier:spinnaker_redis_mtls:SpinnakerRedisMtls"
_LAB: Final = "sealed-data-tier:lab:Lab"
_COMMAND: Final = "command:remote:Command"
_OBJECT: Final = "kubernetes:"
_PODS: Final = "kubernetes:apps/v1:StatefulSet"
# Of a pod of a group, the container that can ask the member in it.
_ASKED: Final = ("follow", "sentinel")
#: What components that serve TLS register: a list of {host, address, port, certificate, trusted, renewalDays, names}.
SERVED: Final = "served"

_SSH_PORT: Final = 22
# Where HAProxy's health checks have the cache's password from, and how it is quoted there.
ENVIRONMENT: Final = "/etc/haproxy/environment.cfg"
#: The firewall's rules.
RULES: Final = "/etc/sealed-data-tier/firewall.nft"
PASSWORD: Final = "CACHE_SERVICE_PASSWORD"  # noqa: S105 - a name
_SETENV: Final = re.compile(rf"^\s*setenv {PASSWORD} '(.*)'$", re.MULTILINE)
# The firewall's refusals before translation, and ports that it lets some in to.
_CLOSED: Final = re.compile(r"^ *tcp dport { ([\d, ]+) } counter ", re.MULTILINE)
_ADMITTED: Final = re.compile(r"^ *tcp dport (\d+) .*\baccept ", re.MULTILINE)
_QUOTED_BYTE: Final = re.compile(rb"\\x([0-9a-f]{2})")


def read(state: State) -> Stack:
    """Find out what a stack declares.

    Raises:
        UnusableStackError: When it has neither hosts nor objects in a cluster, or a component tells of its certificates
            in another way.
    """
    clusters = _clusters(state)
    served = tuple(dict.fromkeys(_served(state, clusters)))
    hosts = {each.name: _host(state, each, served) for each in state.of_kind(_HOST)}
    if not hosts and not clusters:
        raise UnusableStackError("the stack has no hosts, and nothing in a cluster: bring it up first, with `make up`")
    names = [each.name for each in clusters.values()]
    otherwise = min(hosts or names)
    return Stack(
        hosts=dict(sorted(hosts.items())),
        clusters={each.name: each for each in clusters.values()},
        caches=tuple(_cache(state, each) for each in state.of_kind(_CACHE)),
        served=served,
        vips=tuple(map(_virtual_ips, state.of_kind(_VIRTUAL_IPS))),
        pairs=tuple(map(_pair, state.of_kind(_POSTGRES))),
        spinnakers=tuple(_spinnaker(each, served, names, otherwise) for each in state.of_kind(_SPINNAKER)),
        lab="; ".join(filter(None, (each.outputs.get("cache") for each in state.of_kind(_LAB)))),
    )


def _host(state: State, host: Resource, served: tuple[ServedCertificate, ...]) -> Host:
    def here(kind: str) -> Iterator[Resource]:
        return (each for each in state.of_kind(kind) if each.inputs.get("host") == host.name)

    # Every host has this one command; those of its roles have the same connection.
    command = next((each for each in state.below(host, _COMMAND)), None)
    connection = command.inputs["connection"] if command else {}
    roles = tuple(_role(state, each) for each in here(_ROLE))
    files = HostFiles(
        texts={path: file.text or "" for role in roles for path, file in role.files.items() if not file.secret}
    )
    return Host(
        name=host.name,
        address=host.outputs.get("address") or host.inputs["address"],
        login=_login(connection),
        bastion=_login(connection.get("proxy")),
        sudo_password=_sudo_password(command),
        roles=roles,
        tunnels=tuple(_tunnels(state, each) for each in here(_TUNNELS)),
        admissions=tuple(
            Admission(user=each.inputs["user"], clients=tuple(each.inputs["clients"])) for each in here(_ADMISSION)
        ),
        balancers=tuple(map(_balancer, here(_BALANCER))),
        listeners=dict(_listeners(files)),
        targets=frozenset(_targets(files)),
        exposed=frozenset(
            (
                *(endpoint for each in here(_BALANCER) for endpoint in _exposed(each)),
                *(each.endpoint for each in served if each.host == host.name and not each.endpoint.loopback),
            )
        ),
        guarded=_guarded(files.texts.get(RULES, "")),
        members={
            "redis": tuple(_redis_commands(state, host.name)),
            "postgres": tuple(_postgres_commands(state, host.name)),
        },
    )


def _clusters(state: State) -> dict[str, Cluster]:
    """Find the clusters in which components of ours have objects, by the URNs of the providers that lead there.

    Several providers may lead to the same one.
    """
    ours = [each for each in state.all() if each.kind.startswith(_OBJECT) and state.is_below(each, _OURS)]
    by_place: dict[tuple[str | None, str | None], list[str]] = {}
    for urn in dict.fromkeys(each.provider for each in ours):
        provider = state.get(urn)
        given = provider.inputs if provider else {}
        by_place.setdefault((given.get("kubeconfig") or None, given.get("context") or None), []).append(urn)
    clusters: dict[str, Cluster] = {}
    alike: Counter[str] = Counter()
    for (kubeconfig, context), urns in by_place.items():
        name = f"cluster/{context or context_of(kubeconfig) or 'default'}"
        alike[name] += 1
        cluster = Cluster(
            name=name if alike[name] == 1 else f"{name} ({alike[name]})",
            kubeconfig=kubeconfig,
            context=context,
            groups=tuple(_pod_groups(state, urns)),
            objects=tuple(_written(each) for each in ours if each.provider in urns),
        )
        clusters |= dict.fromkeys(urns, cluster)
    return clusters


def _pod_groups(state: State, providers: list[str]) -> Iterator[PodGroup]:
    for group in state.of_kind(_REDIS):
        sets = [each for each in state.below(group, _PODS) if each.provider in providers]
        if sets:
            settings = group.inputs["settings"]
            labels = [texts(part(each.inputs, "spec", "selector", "matchLabels")).items() for each in sets]
            yield PodGroup(
                name=group.name,
                namespace=settings["kubernetes"]["namespace"],
                labels=dict(set(labels[0]).intersection(*labels)),
                command=_node_command(group),
                members={name: told for each in sets for name, told in _members(each)},
            )


def _members(pods: Resource) -> Iterator[tuple[str, tuple[str, int]]]:
    """Return the pods of a StatefulSet, with the container to ask and the port that is served."""
    containers = items(part(pods.inputs, "spec", "template", "spec"), "containers")
    asked = next(each["name"] for each in containers if each["name"] in _ASKED)
    port = next(int(each["containerPort"]) for container in containers for each in items(container, "ports"))
    for number in range(int(pods.inputs["spec"]["replicas"])):
        yield f"{pods.inputs['metadata']['name']}-{number}", (asked, port)


def _written(thing: Resource) -> Written:
    metadata = part(thing.outputs, "metadata") or part(thing.inputs, "metadata")
    return Written(
        urn=thing.urn,
        resource=thing.name,
        token=thing.kind,
        namespace=str(metadata.get("namespace") or "default"),
        name=str(metadata["name"]),
        content=thing.outputs,
        asked=thing.inputs,
    )


def _redis_commands(state: State, host: str) -> Iterator[str]:
    for group in state.of_kind(_REDIS):
        if host in group.inputs["hosts"]:
            yield _node_command(group)


def _node_command(group: Resource) -> str:
    return f"/usr/local/lib/{group.inputs['settings']['flavour']}-tls/node"


def _postgres_commands(state: State, host: str) -> Iterator[str]:
    """The command by which each host of a pair tells how it is."""
    for pair in state.of_kind(_POSTGRES):
        if host in pair.inputs["hosts"]:
            yield "/usr/local/sbin/postgres-pair"


def _login(connection: Mapping[str, Any] | None) -> Login | None:
    if not connection:
        return None
    return Login(
        address=connection["host"],
        port=int(connection.get("port") or _SSH_PORT),
        user=connection["user"],
        host_key=connection["hostKey"],
        private_key=connection.get("privateKey"),
    )


def _sudo_password(command: Resource | None) -> str | None:
    """The runtime reads sudo's password from the first line of its input, if sudo asks for one."""
    if command is None or "-S" not in command.inputs["create"].split():
        return None
    return str(command.inputs["stdin"]).partition("\n")[0]


def _role(state: State, role: Resource) -> Role:
    inputs = role.inputs
    command = next(state.below(role, _COMMAND), None)
    sent = Stdin.of(command.inputs["stdin"]).files() if command else {}
    secret = set(inputs.get("secretFiles", ()))
    files = {}
    for path, place in inputs.get("modes", {}).items():
        mode, owner = _place(place)
        text = sent.get(path) if path in secret else inputs["files"][path]
        files[path] = File(text=text, mode=mode, owner=owner, secret=path in secret)
    return Role(
        name=role.name,
        files=files,
        directories={
            path: _place(place)
            for path, place in inputs.get("directories", {}).items()
            if path not in inputs.get("discards", ())
        },
        filled=tuple(inputs.get("discards", ())),
        users=tuple(user.split(" ")[0] for user in inputs.get("users", ())),
        units=tuple(inputs.get("units", ())),
    )


def _place(text: str) -> tuple[str, str]:
    mode, _, owner = text.partition(" ")
    return mode, owner


def _tunnels(state: State, tunnels: Resource) -> Tunnels:
    role = next((_role(state, each) for each in state.below(tunnels, _ROLE)), Role(name=""))
    keys = (file.text for file in role.files.values() if file.secret)
    return Tunnels(user="".join(role.users[:1]), units=tuple(tunnels.inputs["units"]), key=next(keys, None))


def _virtual_ips(group: Resource) -> VirtualIps:
    instances = group.inputs["settings"]["instances"]
    return VirtualIps(
        name=group.name,
        hosts=tuple(group.inputs["hosts"]),
        instances={each["name"]: tuple(vip.partition("/")[0] for vip in each["addresses"]) for each in instances},
        led=frozenset(each["name"] for each in instances if each.get("followsLeader")),
    )


def _pair(pair: Resource) -> Pair:
    settings = pair.inputs["settings"]
    nodes = tuple(node["host"] for node in settings["nodes"])
    return Pair(name=pair.name, nodes=nodes, port=int(settings["connections"]["port"]))


def _spinnaker(
    spinnaker: Resource, served: tuple[ServedCertificate, ...], clusters: Collection[str], otherwise: str
) -> RedisClient:
    """Redis' own host tries it, where Redis is of this stack: firewalls may let in none of the others.

    Names of a cluster mean nothing to a host; there the pod is dialled that answers by the name.
    """
    settings, client = spinnaker.inputs["settings"], spinnaker.outputs["client"]
    endpoint = Endpoint(settings["redis"]["host"], int(settings["redis"]["port"]))
    own = next((each for each in served if _serves(each, endpoint)), None)
    return RedisClient(
        name=spinnaker.name,
        host=own.host if own else settings.get("halyard", {}).get("host", otherwise),
        endpoint=endpoint,
        pod=own.endpoint if own and own.host in clusters else None,
        certificate=client["certificate"],
        key=client["key"],
        trusted=client["trusted"],
        password=client["password"],
    )


def _serves(served: ServedCertificate, endpoint: Endpoint) -> bool:
    return served.endpoint.port == endpoint.port and endpoint.address in (served.endpoint.address, *served.names)


def _balancer(balancer: Resource) -> Balancer:
    frontends = balancer.inputs["settings"]["frontends"]
    open_ones = (each["name"] for each in frontends if any("exposedBecause" in bind for bind in each["binds"]))
    return Balancer(socket=balancer.outputs["statsSocket"], exposed=frozenset(open_ones))


def _exposed(balancer: Resource) -> Iterator[Endpoint]:
    settings = balancer.inputs["settings"]
    for frontend in settings["frontends"]:
        for bind in frontend["binds"]:
            if "exposedBecause" in bind:
                yield Endpoint(bind["address"], int(bind["port"]))
    peers = settings.get("peers")
    if peers and peers["tls"]:
        yield from (Endpoint(each["address"], int(each["port"])) for each in peers["members"])


def _listeners(files: HostFiles) -> Iterator[tuple[Endpoint, str]]:
    """Near ends of tunnels, and HAProxy's addresses."""
    for client in clients(files):
        for forward in client.forwards:
            if forward.port.isdigit():
                yield Endpoint(forward.bind or "127.0.0.1", int(forward.port)), "ssh"
    for text in of_format(files.texts, Format.HAPROXY).values():
        for listener in haproxy.parse(text).listeners():
            if endpoint := Endpoint.of(listener.address):
                yield endpoint, "haproxy"


def _targets(files: HostFiles) -> Iterator[Endpoint]:
    """What sshd lets the accounts of tunnels reach."""
    server = openssh.parse_server(of_format(files.texts, Format.SSHD), files.texts)
    for block in server.blocks:
        permitted = block.first("PermitOpen")
        for word in permitted.words if permitted else ():
            if endpoint := Endpoint.of(word):
                yield endpoint


def _served(state: State, clusters: Mapping[str, Cluster]) -> Iterator[ServedCertificate]:
    """Read what components that serve TLS tell of it; other outputs of that name are none of ours."""
    for resource in state.with_output(SERVED):
        if not resource.kind.startswith(_OURS):
            continue
        here = {clusters[each.provider].name for each in state.below(resource, _PODS) if each.provider in clusters}
        try:
            for each in resource.outputs[SERVED]:
                yield ServedCertificate(
                    # Pods are in the cluster in which the component has its objects.
                    host=each["host"] if "host" in each else next(iter(here)),
                    endpoint=Endpoint(each["address"], int(each["port"])),
                    certificate=each["certificate"] or "",
                    trusted=each["trusted"] or "",
                    renewal_days=int(each["renewalDays"]),
                    names=tuple(each["names"]),
                    asked_first=bool(each.get("askedFirst")),
                )
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise UnusableStackError(
                f"{resource.name}: its output `{SERVED}` cannot be read ({error!r}): run `pulumi up` again"
            ) from None


def _guarded(rules: str) -> frozenset[int]:
    closed = {int(port) for ports in _CLOSED.findall(rules) for port in ports.split(", ")}
    return frozenset(closed - set(map(int, _ADMITTED.findall(rules))))


def _cache(state: State, cache: Resource) -> Cache:
    # On the load balancer tunnels lead to single workers; applications have the service itself.
    near_ends = (each for each in state.below(cache, _TUNNELS) if each.inputs["host"] != cache.inputs["loadBalancer"])
    endpoints = ((each.inputs["host"], Endpoint.of(each.inputs["localEndpoints"][0])) for each in near_ends)
    far_ends = {each.inputs["host"] for each in state.below(cache, _ADMISSION)}
    roles = [_role(state, each) for each in state.below(cache, _ROLE)]
    files = [role.files[ENVIRONMENT] for role in roles if ENVIRONMENT in role.files]
    passwords = (password for file in files if (password := _password(file.text or "")) is not None)
    return Cache(
        name=cache.name,
        applications={host: endpoint for host, endpoint in endpoints if endpoint},
        workers=frozenset(far_ends - {cache.inputs["loadBalancer"]}),
        password=next(passwords, None),
    )


def _password(environment: str) -> str | None:
    quoted = _SETENV.search(environment)
    if quoted is None:
        return None
    return _QUOTED_BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), quoted[1].encode()).decode()
