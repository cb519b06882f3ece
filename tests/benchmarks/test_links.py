"""What TLS costs: `make bench`, or this file alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.benchmarks.conftest import Bench
from tests.benchmarks.links import (
    CONNECTIONS,
    DEFAULTS,
    GET,
    GET_16,
    LOADS,
    PLAINTEXT,
    SET,
    SET_16,
    SSH,
    STUNNEL,
    TLS,
    VARIANTS,
    Case,
    Links,
)

pytestmark = [pytest.mark.lab, pytest.mark.engine]

FLOORS = {GET: 0.6, SET: 0.6, GET_16: 0.5, SET_16: 0.5}
ROUNDS = 3
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def links(bench: Bench) -> Iterator[Links]:
    """A server and a client."""
    made = Links(bench.empty("links"), bench.say)
    yield made
    made.destroy()


def test_links(bench: Bench, links: Links) -> None:
    flavours = {"redis": (PLAINTEXT, TLS, STUNNEL, SSH), "valkey": (PLAINTEXT, TLS)}
    for flavour, ways in flavours.items():
        links.serve(flavour=flavour)
        if STUNNEL in ways:
            links.tunnel(flavour)
        cases = [Case(load, way, flavour) for load in LOADS for way in ways]
        links.measure(cases, bench.runs, limit_s=LIMIT_S)
        others = links.disturbance(cases, bench.runs)
        bench.say(f"{flavour}: others took {others.median:.0%} of the processors (up to {others.spread[1]:.0%})")
    for flavour, ways in flavours.items():
        for load, way in product(LOADS, ways):
            ours, theirs = Case(load, TLS, flavour), Case(load, way, flavour)
            if ours != theirs:
                name, floor = f"TLS, {flavour}: {load.name}", FLOORS[load] if way == PLAINTEXT else None
                compare(bench, links, name, (ours, theirs), peer=way, runs=bench.runs, floor=floor)


def test_settings(bench: Bench, links: Links) -> None:
    loads = (GET, GET_16, CONNECTIONS)
    for _ in range(ROUNDS):
        for variant in VARIANTS:
            links.serve(flavour="redis", **variant.settings)
            links.measure([Case(load, TLS, variant.name) for load in loads], 1, limit_s=0)
    for variant, load in product(VARIANTS, loads):
        ours, theirs = Case(load, TLS, variant.name), Case(load, TLS, DEFAULTS.name)
        if ours != theirs:
            name = f"TLS, {variant.name}: {load.name}"
            compare(bench, links, name, (ours, theirs), peer=DEFAULTS.name, runs=ROUNDS)


def compare(
    bench: Bench, links: Links, name: str, sides: tuple[Case, Case], *, peer: str, runs: int, floor: float | None = None
) -> None:
    """Report how many commands a second both sides do, and how much processor time one takes."""
    rates, costs = ([measure(side, runs) for side in sides] for measure in (links.rates, links.costs))
    bench.report.compare(name, rates[0], peer, rates[1], unit="1/s", floor=floor)
    bench.report.compare(f"{name}: processor time", costs[0], peer, costs[1], unit="µs")
