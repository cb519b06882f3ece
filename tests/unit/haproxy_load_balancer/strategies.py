"""Settings of load balancers as hypothesis thinks of them: all that a configuration may say and have accepted."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
names = st.text(alphabet=f"{_letters}0123456789-_.:", min_size=1, max_size=40).filter(lambda text: text[0] in _letters)
times = st.one_of(
    st.builds("{}ms".format, st.integers(1, 10_000)),
    st.builds("{}s".format, st.integers(1, 100_000)),
    st.builds("{}m".format, st.integers(1, 1000)),
    st.builds("{}h".format, st.integers(1, 500)),
    st.builds("{}d".format, st.integers(1, 24)),
)
sizes = st.builds("{}{}".format, st.integers(1, 500), st.sampled_from(["", "k"]))
ports = st.integers(1, 65535)
variables = st.from_regex(r"\A[A-Z][A-Z0-9_]{0,30}\Z").filter(lambda text: not text.startswith("HAPROXY_"))
reasons = st.text(min_size=1, max_size=60).filter(lambda text: bool(text.strip()) and text.isprintable())
certificate_names = st.from_regex(r"\A[a-z][a-z0-9.-]{0,30}( [a-z0-9.-]{1,20})?\Z")
ipv4 = st.ip_addresses(v=4, network="198.51.100.0/24").map(str)
ipv6 = st.ip_addresses(v=6, network="2001:db8::/64").map(str)
loopback = st.sampled_from(["127.0.0.1", "127.0.0.2", "::1"])


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with any of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


@st.composite
def binds(draw: st.DrawFn, port: int) -> dict[str, Any]:
    """A bind on a port of its own."""
    exposed = draw(st.booleans())
    data: dict[str, Any] = {"port": port}
    if exposed:
        data["address"] = draw(st.one_of(st.sampled_from(["*", "0.0.0.0", "::"]), ipv4, ipv6))
        data["exposedBecause"] = draw(reasons)
    else:
        data["address"] = draw(loopback)
        data["acceptProxy"] = draw(st.booleans())
    data["transparent"] = draw(st.booleans())
    return data


default_servers = st.fixed_dictionaries(
    {"inter": st.sampled_from(["2s", "10s", "1m"]), "fastinter": st.sampled_from(["500ms", "1s", "2s"])},
    optional={
        "downinter": times,
        "rise": st.integers(1, 100),
        "fall": st.integers(1, 100),
        "slowstart": st.one_of(st.none(), times),
        "maxconn": st.integers(1, 100_000),
        "maxqueue": st.integers(1, 100_000),
        "weight": st.integers(1, 256),
        "observe": st.sampled_from([None, "layer4"]),
        "errorLimit": st.integers(1, 1000),
        "onMarkedDown": st.sampled_from([None, "shutdown-sessions"]),
    },
)


@st.composite
def health_checks(draw: st.DrawFn) -> dict[str, Any]:
    """TCP or Redis, with everything that each allows."""
    if draw(st.booleans()):
        return {"protocol": "tcp"}
    data: dict[str, Any] = {"protocol": "redis"}
    if draw(st.booleans()):
        data |= {"password": draw(variables), **draw(optional(user=st.from_regex(r"\A[A-Za-z0-9_.@-]{1,20}\Z")))}
    else:
        data["withoutPassword"] = True
    return data | draw(optional(role=st.just("master"), tls=st.booleans()))


@st.composite
def backends(draw: st.DrawFn, name: str, sees_clients: bool) -> dict[str, Any]:
    """A backend for frontends that do or do not tell clients apart."""
    servers: list[dict[str, Any]] = []
    for number, label in enumerate(draw(st.lists(names, min_size=1, max_size=4, unique=True))):
        host = st.one_of(ipv4, ipv6, st.sampled_from(["127.0.0.1", "::1"]))
        server = {"name": label, "address": draw(host), "port": 40_000 + number}
        servers.append(server | draw(optional(weight=st.integers(0, 256), backup=st.booleans())))
    check = draw(health_checks())
    if check.get("tls"):
        for server in servers:
            server["certificateName"] = draw(certificate_names)
    data = {"name": name, "servers": servers, "healthCheck": check, "defaultServer": draw(default_servers)}
    if sees_clients:
        data |= draw(
            optional(
                balance=st.sampled_from(["roundrobin", "leastconn", "source"]),
                stick=optional(by=st.sampled_from(["source", "sslSessionId"]), size=sizes, expire=times),
            )
        )
    if check["protocol"] == "tcp":
        data |= draw(optional(sendProxy=st.sampled_from(["v1", "v2"])))
    return data | draw(optional(timeoutServer=times))


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    """A whole configuration that is accepted."""
    backend_names = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    free = iter(draw(st.lists(st.integers(20_000, 39_999), min_size=12, max_size=12, unique=True)))
    frontends: list[dict[str, Any]] = []
    labels = draw(st.lists(names, min_size=len(backend_names), max_size=len(backend_names) + 1, unique=True))
    for number, label in enumerate(labels):
        frontend = {
            "name": label,
            "binds": [draw(binds(next(free))) for _ in range(draw(st.integers(1, 3)))],
            "defaultBackend": backend_names[number % len(backend_names)],
        }
        networks = st.lists(st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]), max_size=2, unique=True)
        frontends.append(
            frontend | draw(optional(timeoutClient=times, tlsOnly=st.booleans(), expectProxyFrom=networks))
        )
    data: dict[str, Any] = {"frontends": frontends, "backends": []}
    for name in backend_names:
        leading = [frontend for frontend in frontends if frontend["defaultBackend"] == name]
        sees = any(
            frontend.get("expectProxyFrom") or any("exposedBecause" in b or b["acceptProxy"] for b in frontend["binds"])
            for frontend in leading
        )
        data["backends"].append(draw(backends(name, sees)))
    if any("stick" in backend for backend in data["backends"]) and draw(st.booleans()):
        addresses = draw(st.lists(ipv4, min_size=2, max_size=3, unique=True))
        data["peers"] = {
            "members": [
                {"name": f"lb{number}", "address": address, **draw(optional(certificateName=st.just("lb.example.com")))}
                for number, address in enumerate(addresses, 1)
            ]
        }
    every = optional(connect=times, client=times, server=times, queue=times, check=times, fin=times)
    return data | draw(
        optional(
            timeouts=every,
            maxconn=st.integers(1, 1000),
            retries=st.integers(0, 100),
            hardStopAfter=times,
            logLevel=st.sampled_from(["debug", "info", "notice", "warning", "err"]),
            readiness=st.booleans(),
        )
    )
