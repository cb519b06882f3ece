"""Whatever virtual IPs may be told."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from hypothesis import strategies as st

_NAMES: Final = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,30}", fullmatch=True)
_WORDS: Final = st.from_regex(r"[A-Za-z0-9_./:=,%+?&\[\]-][A-Za-z0-9_./:=,%+?&@\[\]-]{0,20}", fullmatch=True)
_COMMANDS: Final = st.lists(_WORDS, max_size=3).map(lambda words: ["/usr/bin/true", *words])
_IPV4: Final = ipaddress.ip_network("198.51.100.0/24")
_IPV6: Final = ipaddress.ip_network("2001:db8:51::/64")


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Each key may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def scripts(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A health check."""
    interval = round(draw(st.floats(0.05, 3600)), 3)
    more = optional(
        timeout=st.just(interval), fall=st.integers(1, 100), rise=st.integers(1, 100), user=st.just("nobody")
    )
    return {"name": name, "command": draw(_COMMANDS), "interval": interval, **draw(more)}


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    """Settings, with the nodes' addresses among them."""
    count = draw(st.integers(2, 4))
    version6 = draw(st.booleans())
    network = _IPV6 if version6 else _IPV4
    hosts = [f"lb{number}" for number in range(count)]
    names = draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True))
    ids = draw(st.lists(st.integers(1, 255), min_size=len(names), max_size=len(names), unique=True))
    taken = iter(draw(st.lists(st.integers(20, 250), min_size=12, max_size=12, unique=True)))
    instances = []
    for at, (name, router_id) in enumerate(zip(names, ids, strict=True)):
        addresses = [f"{network[next(taken)]}/{network.prefixlen}" for _ in range(draw(st.integers(1, 2)))]
        if draw(st.booleans()):
            other = _IPV4 if version6 else _IPV6
            addresses.append(f"{other[next(taken)]}/{other.prefixlen}")
        numbers = draw(st.lists(st.integers(1, 254), min_size=count, max_size=count, unique=True))
        more = optional(
            priorities=st.just(dict(zip(hosts, numbers, strict=True))),
            preempt=st.booleans(),
            advertInterval=st.floats(0.01, 40.95).map(lambda value: round(value, 2)),
            lostAdverts=st.integers(2, 100),
            trackScripts=st.tuples(scripts(f"check-{at}")).map(list),
        )
        instances.append({"name": name, "routerId": router_id, "addresses": addresses, **draw(more)})
    more = optional(
        hook=st.fixed_dictionaries({"command": _COMMANDS, "timeout": st.integers(1, 3600)}),
        mail=st.just({"sender": "a@example.com", "recipients": ["b@example.com", "c@example.com"], "port": 2525}),
        garpRefresh=st.integers(1, 86_400),
        nonlocalBind=st.booleans(),
        realtimePriority=st.none() | st.integers(1, 99),
    )
    nodes = [{"host": host, "address": str(network[number])} for number, host in enumerate(hosts, start=11)]
    return {"nodes": nodes, "interface": "eth0", "instances": instances, **draw(more)}
