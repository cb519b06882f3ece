"""Each family finds what is wrong, and nothing where all is well."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from components.ssh_tunnel_host import rendering
from policies.exceptions import Exemption
from tests.unit.verification.samples import (
    APPLICATION,
    BALANCER,
    DROP_IN,
    EFFECTIVE,
    LOCAL,
    OUTSIDER,
    OWN,
    SOCKET,
    STACK,
    UNIT,
    facts_of,
    listener,
    secret_file,
    text_file,
    unit,
    with_host,
)
from verification.connection import Connections
from verification.facts import Account, Facts, Session, Stat
from verification.families import (
    FAMILIES,
    clients,
    confinement,
    exposure,
    files,
    firewall,
    listeners,
    members,
    policies,
    replication,
    traffic,
    units,
    virtual_ips,
)
from verification.families.exposure import Answer, Attempt
from verification.families.traffic import NotPassed
from verification.family import Family, Outcome, Survey
from verification.model import Cache, Endpoint, Host, Role, Stack, VirtualIps
from verification.stack import RULES

HOSTS = (APPLICATION, BALANCER, OUTSIDER)
PASSIVE = [family for family in FAMILIES if family.judge is not None]


def changed(host: Host, **changes: Any) -> Facts:
    """What a host tells, with something else in it."""
    return replace(facts_of(host), **changes)


def listening(host: Host, *more: Any) -> Facts:
    """What a host tells that listens on more than it should."""
    facts = facts_of(host)
    return replace(facts, listeners=(*facts.listeners, *more))


def only(problems: tuple[str, ...] | list[str]) -> str:
    """The one problem."""
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
@pytest.mark.parametrize(
    "family", [each for each in PASSIVE if each.name != "policies"], ids=lambda family: family.name
)
def test_nothing_is_found_where_all_is_well(family: Any, host: Host) -> None:
    outcome = family.judge(STACK, host, facts_of(host))
    assert outcome is None or outcome.problems == ()
    assert outcome is None or outcome.summary


# --- listeners --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "*", "192.0.2.13", "fd00::1", "fe80::1"])
def test_port_of_the_data_tier_beyond_loopback_is_found_on_any_host(address: str) -> None:
    facts = listening(OUTSIDER, listener(address, 30379, "python3"))
    assert f"python3 listens on tcp {Endpoint(address, 30379)}" in only(
        listeners.judge(STACK, OUTSIDER, facts).problems
    )


@pytest.mark.parametrize("process", ["redis-server", "valkey-server", "haproxy", "ssh"])
def test_process_of_the_data_tier_beyond_loopback_is_found_on_any_port(process: str) -> None:
    facts = listening(OUTSIDER, listener("0.0.0.0", 4711, process))
    assert process in only(listeners.judge(STACK, OUTSIDER, facts).problems)


def test_datagram_port_is_found_and_a_datagram_socket_of_haproxy_is_not() -> None:
    facts = listening(
        OUTSIDER,
        listener("0.0.0.0", 30379, protocol="udp"),
        listener("0.0.0.0", 40000, "haproxy", protocol="udp"),
    )
    problem = only(listeners.judge(STACK, OUTSIDER, facts).problems)
    assert problem == "a process that cannot be named listens on udp 0.0.0.0:30379, which others reach"


@pytest.mark.parametrize(
    "other", [listener("0.0.0.0", 22, "sshd"), listener("127.0.0.2", 30379, "x"), listener("::ffff:127.0.0.1", 30379)]
)
def test_what_is_not_of_the_data_tier_or_on_loopback_is_no_problem(other: Any) -> None:
    assert listeners.judge(STACK, OUTSIDER, listening(OUTSIDER, other)).problems == ()


def test_declared_exposure_is_no_problem_on_its_host_alone() -> None:
    exposed = Endpoint("0.0.0.0", 443)
    stack = with_host(exposed=frozenset({exposed}), listeners={LOCAL: "haproxy", exposed: "haproxy"})
    balancer = stack.hosts["lb"]
    real = listener("0.0.0.0", 443, "haproxy")
    assert listeners.judge(stack, balancer, facts_of(balancer)).problems == ()
    assert only(listeners.judge(stack, OUTSIDER, listening(OUTSIDER, real)).problems)


def test_tunnel_to_an_address_may_end_there() -> None:
    target = Endpoint("192.0.2.12", 30999)
    stack = with_host(targets=frozenset({target}))
    facts = listening(stack.hosts["lb"], listener("192.0.2.12", 30999, "kube-proxy"))
    assert listeners.judge(stack, stack.hosts["lb"], facts).problems == ()
    assert only(listeners.judge(stack, OUTSIDER, listening(OUTSIDER, listener("192.0.2.13", 30999))).problems)


def test_port_that_nothing_or_another_program_holds_is_found() -> None:
    nothing = listeners.judge(STACK, APPLICATION, changed(APPLICATION, listeners=()))
    other = listeners.judge(STACK, APPLICATION, changed(APPLICATION, listeners=(listener("127.0.0.1", 30379, "nc"),)))
    assert only(nothing.problems) == "nothing listens on 127.0.0.1:30379, where ssh should"
    assert only(other.problems) == "nc listens on 127.0.0.1:30379 instead of ssh"


def test_port_that_the_firewall_closes_is_no_problem() -> None:
    stack = with_host(guarded=frozenset({30379}))
    facts = listening(stack.hosts["lb"], listener("0.0.0.0", 30379, "kube-proxy"))
    assert listeners.judge(stack, stack.hosts["lb"], facts).problems == ()
    datagrams = listening(stack.hosts["lb"], listener("0.0.0.0", 30379, "x", protocol="udp"))
    assert only(listeners.judge(stack, stack.hosts["lb"], datagrams).problems)


# --- firewall ---------------------------------------------------------------------------------------------------------

FIREWALL = Role(name="lb-firewall", files={RULES: text_file("the rules")})


def test_firewall_of_the_kernel_is_compared_with_its_file() -> None:
    host = replace(BALANCER, roles=(FIREWALL,))
    assert [str(question) for question in firewall.questions(host)] == [f"table\t{RULES}"]
    well = firewall.judge(STACK, host, Facts(tables={RULES: ()}))
    assert well is not None
    assert well.problems == ()
    other = firewall.judge(STACK, host, Facts(tables={RULES: ("+ \ttcp dport 1 accept", "- \ttcp dport 1 drop")}))
    assert other is not None
    assert other.problems == ("the kernel has 'tcp dport 1 accept'", "the kernel lacks 'tcp dport 1 drop'")
    silent = firewall.judge(STACK, host, Facts(failures={("table", RULES): "nft: not found (exit code 127)"}))
    assert silent is not None
    assert only(silent.problems) == "not done: the kernel's rules could not be compared: nft: not found (exit code 127)"


def test_host_without_firewall_is_not_asked_for_one() -> None:
    assert list(firewall.questions(BALANCER)) == []
    assert firewall.judge(STACK, BALANCER, Facts()) is None


# --- redis ------------------------------------------------------------------------------------------------------------

NODE = "/usr/local/lib/redis-tls/node"


def judged(family: Family, host: Host, facts: Facts) -> Outcome | None:
    assert family.judge is not None
    return family.judge(STACK, host, facts)


def test_nodes_of_redis_tell_how_they_are() -> None:
    host = replace(OUTSIDER, members={"redis": (NODE,)})
    assert [str(question) for question in members.REDIS.questions(host)] == [f"member\t{NODE}"]
    well = judged(
        members.REDIS, host, Facts(members={NODE: ("+ primary with 2 replicas", "+ Sentinel that knows all")})
    )
    assert well is not None
    assert (well.problems, well.summary) == ((), "primary with 2 replicas; Sentinel that knows all")
    drift = judged(members.REDIS, host, Facts(members={NODE: ("+ primary with 2 replicas", '- port "6379", not "0"')}))
    assert drift is not None
    assert drift.problems == ('port "6379", not "0"',)
    silent = judged(members.REDIS, host, Facts(failures={("member", NODE): "not found (exit code 127)"}))
    assert silent is not None
    assert silent.problems == (f"not done: {NODE} status: not found (exit code 127)",)


def test_host_without_redis_is_not_asked_for_one() -> None:
    assert list(members.REDIS.questions(BALANCER)) == []
    assert judged(members.REDIS, BALANCER, Facts()) is None


# --- virtual IPs ------------------------------------------------------------------------------------------------------

VIPS = ("192.0.2.5", "2001:db8::5")
GROUP = VirtualIps(name="front", hosts=("app", "lb"), instances={"front": VIPS})
INSTANCE = """
vrrp_instance front {
    virtual_router_id 51
    priority 101
    advert_int 0.1
    virtual_ipaddress { 192.0.2.5 dev eth0 }
    virtual_ipaddress_excluded { 2001:db8::5 dev eth0 }
}
"""
RUNNING: dict[str, Any] = {
    "iname": "front",
    "vrid": 51,
    "base_priority": 101,
    "adver_int": 0.1,
    "state": 1,
    "vips": ["192.0.2.5 dev eth0 scope global"],
    "evips": ["2001:db8::5 dev eth0 scope global deprecated"],
}


@pytest.mark.parametrize(
    ("app", "lb", "outsider", "problems"),
    [
        (VIPS, (), (), {}),
        ((), ("192.0.2.5", "2001:db8:0::5"), (), {}),
        (VIPS, VIPS[:1], (), {"app": ["holds 192.0.2.5, as does lb"], "lb": ["holds 192.0.2.5, as does app"]}),
        ((), (), (), {"app": ["nobody holds 192.0.2.5", "nobody holds 2001:db8::5"]}),
        (VIPS[:1], VIPS[1:], (), {"app": ["the addresses of 'front' are apart: app, lb hold some each"]}),
        (VIPS[1:], (), VIPS[:1], {"outsider": ["holds 192.0.2.5, which is for app, lb"], "app": None}),
        (VIPS, None, (), {}),
        ((), None, (), {"app": [f"not done: lb could hold {vip}" for vip in VIPS]}),
    ],
)
def test_each_virtual_ip_has_one_holder(
    app: tuple[str, ...], lb: tuple[str, ...] | None, outsider: tuple[str, ...], problems: dict[str, Any]
) -> None:
    stack = replace(STACK, vips=(GROUP,))
    held = {"app": app, "outsider": outsider} | ({} if lb is None else {"lb": lb})
    found = {each.host: list(each.problems) for each in virtual_ips.holders(stack, held) if each.problems}
    assert set(found) == set(problems)
    assert all(problems[host] in (None, found[host]) for host in found)


def test_who_holds_and_who_stands_by_is_told() -> None:
    outcomes = virtual_ips.holders(replace(STACK, vips=(GROUP,)), {"app": VIPS, "lb": ()})
    assert {each.host: each.summary for each in outcomes} == {
        "app": "holds 192.0.2.5, 2001:db8::5",
        "lb": "stands by for front",
    }


def keepalived(*running: dict[str, Any], stack: Stack = STACK) -> list[str]:
    """What is said of a keepalived that runs some instances."""
    files = {virtual_ips.SCRIPT: text_file(""), virtual_ips.CONFIGURATION: text_file(INSTANCE)}
    host = replace(OUTSIDER, roles=(Role(name="keepalived", files=files),))
    assert [str(each) for each in virtual_ips.questions(host)] == [f"keepalived\t{virtual_ips.SCRIPT}"]
    told = json.dumps([{"data": each, "stats": {}} for each in running])
    outcome = virtual_ips.judge(stack, host, Facts(keepalived={virtual_ips.SCRIPT: told}))
    assert outcome is not None
    return list(outcome.problems)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"base_priority": 100}, "instance 'front' runs with priority 100, not 101"),
        ({"adver_int": 1}, "instance 'front' runs with advert_int 1, not 0.1"),
        ({"vrid": 5}, "instance 'front' runs with virtual_router_id 5, not 51"),
        ({"evips": []}, "instance 'front' runs with 192.0.2.5, not 192.0.2.5, 2001:db8::5"),
        (
            {"state": 3},
            "instance 'front' is in state FAULT: its health check fails, or its interface or address is gone",
        ),
    ],
)
def test_keepalived_runs_what_was_written(change: dict[str, Any], problem: str | None) -> None:
    assert keepalived({**RUNNING, **change}) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("seen", "refused", "problems"),
    [
        ("t", "ERROR:  cannot execute CREATE TABLE in a read-only transaction", []),
        ("", "ERROR:  cannot execute CREATE TABLE in a read-only transaction", ["does not show a table that db1 made"]),
        ("t", "", ["did not refuse a write: it was taken"]),
        ("t", "FATAL:  the database system is starting up", ["did not refuse a write: FATAL"]),
    ],
)
def test_a_standby_shows_and_refuses(seen: str, refused: str, problems: list[str]) -> None:
    found = list(replication.judge("db1", seen=seen, refused=refused))
    assert len(found) == len(problems)
    assert all(each.startswith(problem) for each, problem in zip(found, problems, strict=True))


def test_who_does_not_lead_waits_in_fault() -> None:
    group = replace(GROUP, hosts=(OUTSIDER.name, "lb"), led=frozenset({"front"}))
    assert keepalived({**RUNNING, "state": 3}, stack=replace(STACK, vips=(group,))) == []
    elsewhere = replace(group, hosts=("app", "lb"))
    assert keepalived({**RUNNING, "state": 3}, stack=replace(STACK, vips=(elsewhere,))) != []


def test_keepalived_runs_all_that_was_written_and_nothing_else() -> None:
    assert keepalived() == ["keepalived does not run the instance 'front'"]
    more = {**RUNNING, "iname": "back"}
    assert keepalived(RUNNING, more) == [
        f"keepalived runs the instance 'back', which is not in {virtual_ips.CONFIGURATION}"
    ]


@pytest.mark.parametrize("told", ["", "[{}]", "[1]", "nonsense"])
def test_keepalived_that_does_not_answer_is_not_well(told: str) -> None:
    host = replace(OUTSIDER, roles=(Role(name="keepalived", files={virtual_ips.SCRIPT: text_file("")}),))
    facts = Facts(keepalived={virtual_ips.SCRIPT: told}) if told else Facts()
    outcome = virtual_ips.judge(STACK, host, facts)
    assert outcome is not None
    assert outcome.problems[0].startswith("not done: ")


def test_host_without_keepalived_is_not_asked_for_one() -> None:
    assert list(virtual_ips.questions(BALANCER)) == []
    assert virtual_ips.judge(STACK, BALANCER, Facts()) is None


# --- postgres ---------------------------------------------------------------------------------------------------------

PAIR = "/usr/local/sbin/postgres-pair"


def test_members_of_a_pair_tell_how_they_are() -> None:
    host = replace(OUTSIDER, members={"postgres": (PAIR,)})
    assert [str(question) for question in members.POSTGRES.questions(host)] == [f"member\t{PAIR}"]
    well = judged(members.POSTGRES, host, Facts(members={PAIR: ("+ primary, timeline 1, in sync, 0 bytes behind",)}))
    assert well is not None
    assert (well.problems, well.summary) == ((), "primary, timeline 1, in sync, 0 bytes behind")
    alone = judged(members.POSTGRES, host, Facts(members={PAIR: ("- not yet a leader and a synchronous standby",)}))
    assert alone is not None
    assert alone.problems == ("not yet a leader and a synchronous standby",)
    silent = judged(members.POSTGRES, host, Facts(failures={("member", PAIR): "not found (exit code 127)"}))
    assert silent is not None
    assert silent.problems == (f"not done: {PAIR} status: not found (exit code 127)",)


def test_host_without_a_pair_is_not_asked_for_one() -> None:
    assert list(members.POSTGRES.questions(BALANCER)) == []
    assert judged(members.POSTGRES, BALANCER, Facts()) is None


# --- clients ----------------------------------------------------------------------------------------------------------


def test_connection_from_elsewhere_is_found() -> None:
    near, far = Endpoint("192.0.2.11", 30379), Endpoint("192.0.2.99", 50000)
    facts = changed(APPLICATION, connections=((near, far), (LOCAL, LOCAL), (Endpoint("192.0.2.11", 22), far)))
    assert only(clients.judge(STACK, APPLICATION, facts).problems) == "192.0.2.99 is connected to 192.0.2.11:30379"


def test_connection_from_a_port_that_only_looks_like_one_is_no_problem() -> None:
    facts = changed(OUTSIDER, connections=((Endpoint("192.0.2.13", 30379), Endpoint("192.0.2.99", 443)),))
    assert clients.judge(STACK, OUTSIDER, facts).problems == ()


@pytest.mark.parametrize(("source", "found"), [("192.0.2.99:1", True), ("127.0.0.1:1", False), ("::1:1", False)])
def test_client_of_haproxy_is_found_where_it_is_not_local(source: str, *, found: bool) -> None:
    facts = changed(BALANCER, sessions={SOCKET: (Session(source=source, frontend="f"),)})
    assert bool(clients.judge(STACK, BALANCER, facts).problems) is found


def test_client_of_an_exposed_frontend_is_no_problem() -> None:
    stack = with_host(balancers=(replace(BALANCER.balancers[0], exposed=frozenset({"f"})),))
    facts = changed(BALANCER, sessions={SOCKET: (Session(source="192.0.2.99:1", frontend="f"),)})
    assert clients.judge(stack, stack.hosts["lb"], facts).problems == ()


def test_haproxy_that_does_not_answer_is_not_well() -> None:
    facts = changed(BALANCER, sessions={}, failures={("sessions", SOCKET): "refused (exit code 1)"})
    problem = only(clients.judge(STACK, BALANCER, facts).problems)
    assert problem.startswith("not done: ")
    assert problem.endswith("refused (exit code 1)")


# --- exposure ---------------------------------------------------------------------------------------------------------

ADDRESSES = {
    "app": ("192.0.2.11/24", "fd00::11/64"),
    "lb": ("192.0.2.12/24",),
    "outsider": ("192.0.2.13/24", "fd00::13/64"),
}


def test_every_host_is_tried_from_itself_and_from_outsiders() -> None:
    attempts = list(exposure.plan(STACK, ADDRESSES))
    tried = {(each.source, each.target, each.endpoint.address) for each in attempts}
    assert {each.endpoint.port for each in attempts} == {30379}
    assert tried == {
        *(("app", "app", address) for address in ("192.0.2.11", "fd00::11")),
        *(("outsider", "app", address) for address in ("192.0.2.11", "fd00::11")),
        ("lb", "lb", "192.0.2.12"),
        ("outsider", "lb", "192.0.2.12"),
        *(("outsider", "outsider", address) for address in ("192.0.2.13", "fd00::13")),
        *(("app", "outsider", address) for address in ("192.0.2.13", "fd00::13")),
        ("lb", "outsider", "192.0.2.13"),
    }


def test_host_may_reach_itself_through_its_firewall_and_others_may_not() -> None:
    stack = with_host(guarded=frozenset({30379}))
    assert {each.source for each in exposure.plan(stack, ADDRESSES) if each.target == "lb"} == {"outsider"}


def test_address_that_others_dial_is_tried_too() -> None:
    stack = with_host(address="lb.example.com")
    tried = {(each.source, each.endpoint.address) for each in exposure.plan(stack, ADDRESSES) if each.target == "lb"}
    assert tried == {("lb", "192.0.2.12"), ("outsider", "192.0.2.12"), ("outsider", "lb.example.com")}


def test_address_that_both_hosts_have_would_lead_back() -> None:
    addresses = {"app": ("192.0.2.11/24", "172.17.0.1/16"), "outsider": ("192.0.2.13/24", "172.17.0.1/16")}
    tried = [each for each in exposure.plan(STACK, addresses) if each.endpoint.address == "172.17.0.1"]
    assert all(each.source == each.target for each in tried)


def test_address_of_a_network_of_its_own_is_tried_by_nobody_else() -> None:
    addresses = {"app": ("192.0.2.11/24", "10.244.1.1/24"), "outsider": ("192.0.2.13/24", "10.244.2.1/24")}
    tried = [each for each in exposure.plan(STACK, addresses) if each.endpoint.address == "10.244.1.1"]
    assert {each.source for each in tried} == {"app"}


def test_declared_exposure_is_not_tried() -> None:
    stack = with_host(exposed=frozenset({Endpoint("192.0.2.12", 30379)}))
    assert not [each for each in exposure.plan(stack, ADDRESSES) if each.target == "lb"]


def test_target_of_a_tunnel_to_an_address_is_tried_from_others_only() -> None:
    stack = with_host(targets=frozenset({Endpoint("192.0.2.12", 30999)}))
    tried = {each.source for each in exposure.plan(stack, ADDRESSES) if each.endpoint == ("192.0.2.12", 30999)}
    assert tried == {"outsider"}


def test_many_hosts_are_not_tried_from_each_other_without_limit() -> None:
    hosts = {f"h{number:03}": replace(BALANCER, name=f"h{number:03}") for number in range(100)}
    addresses = {name: (f"192.0.2.{number}/24",) for number, name in enumerate(hosts)}
    attempts = list(exposure.plan(Stack(hosts=hosts), addresses))
    sources = {target: {each.source for each in attempts if each.target == target} for target in hosts}
    assert {len(each) for each in sources.values()} == {9}
    assert set().union(*sources.values()) == set(hosts)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer.OPEN, "192.0.2.11:30379 answers outsider"),
        (Answer.UNKNOWN, "not done: 192.0.2.11:30379 could not be tried from outsider"),
        (Answer.REFUSED, None),
        (Answer.SILENT, None),
    ],
)
def test_only_a_refusal_or_silence_is_well(answer: Answer, problem: str | None) -> None:
    attempt = Attempt("outsider", "app", Endpoint("192.0.2.11", 30379))
    (outcome,) = exposure.judge(STACK, ["app"], [(attempt, answer)])
    assert outcome.problems == ((problem,) if problem else ())


def test_host_that_nobody_tried_is_not_well() -> None:
    (outcome,) = exposure.judge(STACK, ["app"], [(Attempt("app", "app", LOCAL), Answer.REFUSED)])
    assert only(outcome.problems).startswith("not done: ")


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"LoadState": "not-found"}, "is not there: systemd says not-found"),
        ({"LoadState": "masked"}, "is not there: systemd says masked"),
        ({"UnitFileState": "disabled"}, "is disabled: it does not come back after a reboot"),
        ({"UnitFileState": "enabled-runtime"}, "is enabled-runtime: it does not come back after a reboot"),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, "is failed (failed, exit-code)"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "is activating (auto-restart, success)"),
        (
            {"NRestarts": "7", "ActiveEnterTimestampMonotonic": "98000000"},
            "does not stay up: it was restarted 7 times, the last time 2 s ago",
        ),
        ({"StatusText": "no answer to 2 probes"}, "carries no traffic: its status is 'no answer to 2 probes'"),
        ({"StatusText": ""}, "carries no traffic: its status is 'empty'"),
    ],
)
def test_unit_that_is_not_well_is_found(changes: dict[str, str], problem: str) -> None:
    outcome = units.judge(STACK, APPLICATION, changed(APPLICATION, units={UNIT: unit(**changes)}))
    assert outcome is not None
    assert only(outcome.problems) == f"{UNIT} {problem}"


def test_unit_that_was_restarted_long_ago_or_has_no_status_to_tell_is_well() -> None:
    outcome = units.judge(STACK, APPLICATION, changed(APPLICATION, units={UNIT: unit(NRestarts="7")}))
    assert outcome is not None
    assert outcome.problems == ()
    sshd = changed(BALANCER, units={"ssh.service": unit(StatusText="")})
    outcome = units.judge(STACK, BALANCER, sshd)
    assert outcome is not None
    assert outcome.problems == ()


def test_status_is_the_one_that_the_supervisor_gives() -> None:
    assert f'"{units.CARRIES}"' in rendering.supervisor()


def test_unit_that_systemd_does_not_tell_of_is_found() -> None:
    outcome = units.judge(STACK, APPLICATION, changed(APPLICATION, units={}))
    assert outcome is not None
    assert only(outcome.problems) == f"{UNIT} is not there: systemd says nothing of it"


# --- traffic ----------------------------------------------------------------------------------------------------------

LISTING = "id=3 addr=127.0.0.1:40000 laddr=127.0.0.1:6379 fd=8 name=\nid=4 addr=/run/valkey.sock:0 laddr=x fd=9\n"


def test_value_that_was_read_and_local_clients_are_well() -> None:
    outcome = traffic.judge((), "b", "a", "token", ["token", LISTING])
    assert outcome.problems == ()
    assert outcome.summary == "wrote a value and read that of a; 2 clients of the cache, all by its workers"


@pytest.mark.parametrize("value", [None, "", "another"])
def test_value_that_is_another_one_is_found(value: str | None) -> None:
    problem = only(traffic.judge((), "b", "a", "token", [value, LISTING]).problems)
    assert problem.startswith("what a wrote is not what is read here")


def test_value_that_cannot_be_read_is_found() -> None:
    outcome = traffic.judge((), "b", "a", "token", NotPassed("127.0.0.1:1: refused"))
    assert only(outcome.problems) == "what a wrote cannot be read: 127.0.0.1:1: refused"


def test_client_from_elsewhere_is_found_once() -> None:
    listing = "id=1 addr=10.42.0.7:1 laddr=x\nid=2 addr=10.42.0.7:2 laddr=x\nid=3 addr=?:0 laddr=x\n"
    problems = traffic.judge((), "b", "a", "token", ["token", listing]).problems
    assert problems == ("the cache has a client at 10.42.0.7", "the cache has a client at ?")


def test_client_in_a_declared_network_is_no_problem() -> None:
    networks = (ip_network("10.42.0.0/16"),)
    found = traffic.strangers(["10.42.0.7:1", "10.43.0.7:1", "[fd00::1]:1", "[::1]:1"], networks)
    assert found == ["10.43.0.7", "fd00::1"]


def test_addresses_of_workers_are_where_clients_of_a_node_port_seem_to_be() -> None:
    cache = Cache(name="cache", applications={}, workers=frozenset({"worker", "away"}), password=None)
    facts = {"worker": Facts(interfaces=("192.0.2.14/24", "10.42.1.1/24")), "outsider": Facts()}
    survey = Survey(stack=STACK, connections=Connections(), sessions={}, facts=facts)
    assert list(traffic._own(survey, cache)) == [ip_network("192.0.2.14"), ip_network("10.42.1.1")]


def test_cache_that_does_not_tell_its_clients_is_not_well() -> None:
    assert only(traffic.judge((), "b", "a", "token", ["token", ""]).problems).startswith("not done: ")


# --- confinement ------------------------------------------------------------------------------------------------------


def confined(**changes: Any) -> tuple[str, ...]:
    """What is found about a load balancer that tells something else."""
    outcome = confinement.judge(STACK, BALANCER, changed(BALANCER, **changes))
    assert outcome is not None
    return outcome.problems


@pytest.mark.parametrize(
    ("keyword", "value", "shown"),
    [
        ("permitopen", "any", "sshd applies PermitOpen any to tunnel, not 127.0.0.1:30379"),
        ("permitopen", "127.0.0.1:30379 127.0.0.1:22", "sshd applies PermitOpen 127.0.0.1:30379 127.0.0.1:22"),
        ("allowtcpforwarding", "yes", "sshd applies AllowTcpForwarding yes to tunnel, not local"),
        ("permittty", "yes", "sshd applies PermitTTY yes to tunnel, not no"),
        ("forcecommand", "none", "sshd applies ForceCommand none to tunnel, not /usr/sbin/nologin"),
    ],
)
def test_rule_that_sshd_does_not_apply_is_found(keyword: str, value: str, shown: str) -> None:
    effective = {("tunnel", "192.0.2.1"): {**EFFECTIVE, keyword: value}}
    assert only(confined(sshd=effective)).startswith(shown)


def test_option_that_sshd_does_not_tell_is_found() -> None:
    effective = {("tunnel", "192.0.2.1"): {key: value for key, value in EFFECTIVE.items() if key != "permittty"}}
    assert only(confined(sshd=effective)) == "sshd applies PermitTTY (nothing) to tunnel, not no"


def test_sshd_that_does_not_answer_is_not_well() -> None:
    problem = only(confined(sshd={}, failures={("sshd", "tunnel", "192.0.2.1"): "bad line (exit code 255)"}))
    assert problem == "not done: sshd does not tell what applies to tunnel: bad line (exit code 255)"


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        (Account(shell="/bin/bash", locked=True), "tunnel has the shell /bin/bash"),
        (Account(shell="/usr/sbin/nologin", locked=False), "tunnel has a password"),
        (Account(shell="", locked=False), "there is no account tunnel"),
    ],
)
def test_account_that_can_log_in_is_found(account: Account, problem: str) -> None:
    assert only(confined(accounts={"tunnel": account})) == problem


# --- files ------------------------------------------------------------------------------------------------------------

KNOWN_HOSTS = f"{OWN}/known_hosts"
SECRET = f"{OWN}/id_ed25519"


def drift(**changes: Any) -> tuple[str, ...]:
    """What is found about an application host that tells something else."""
    facts = facts_of(APPLICATION)
    merged = {name: {**getattr(facts, name), **change} for name, change in changes.items() if isinstance(change, dict)}
    outcome = files.judge(STACK, APPLICATION, replace(facts, **{**changes, **merged}))
    assert outcome is not None
    return outcome.problems


@pytest.mark.parametrize(
    ("stat", "problem"),
    [
        (Stat(kind="regular file", mode="0666", owner="root:root"), "has mode 0666, not 0644"),
        (Stat(kind="regular file", mode="0644", owner="ops:root"), "belongs to ops:root, not root:root"),
        (Stat(kind="symbolic link", mode="0777", owner="root:root"), "is a symbolic link, no file"),
    ],
)
def test_file_that_is_not_as_written_is_found(stat: Stat, problem: str) -> None:
    assert only(drift(stats={KNOWN_HOSTS: stat})) == f"{KNOWN_HOSTS} {problem}"


def test_missing_file_is_found() -> None:
    facts = facts_of(APPLICATION)
    stats = {path: stat for path, stat in facts.stats.items() if path != SECRET}
    outcome = files.judge(STACK, APPLICATION, replace(facts, stats=stats))
    assert outcome is not None
    assert only(outcome.problems) == f"{SECRET} is missing"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("one\n2\n", "line 2 was 'two'"),
        ("one\n", "line 2 was 'two'"),
        ("one\ntwo\nthree\n", "line 3 was ''"),
        ("one\ntwo\n\nmore", "line 4 was the end"),
    ],
)
def test_difference_is_shown_by_what_was_written(text: str, place: str) -> None:
    problem = only(drift(sums={KNOWN_HOSTS: "0"}, texts={KNOWN_HOSTS: text}))
    assert problem == f"{KNOWN_HOSTS} is not what the stack wrote: {place}"


def test_difference_of_a_secret_file_is_not_shown() -> None:
    assert only(drift(sums={SECRET: "0"}, texts={SECRET: "b key\n"})) == f"{SECRET} is not what the stack wrote"


def test_file_whose_text_the_state_does_not_have_is_not_well() -> None:
    unknown = replace(APPLICATION.roles[0], files={SECRET: replace(APPLICATION.files[SECRET], text=None)})
    host = replace(APPLICATION, roles=(unknown,))
    outcome = files.judge(STACK, host, replace(facts_of(host), names=frozenset()))
    assert outcome is not None
    assert "cannot be compared" in only(outcome.problems)


def test_file_beside_the_stacks_own_is_found_except_where_directories_are_shared() -> None:
    names = frozenset({*facts_of(APPLICATION).names, f"{OWN}/more.keys", "/etc/systemd/system/x.service.d/mine.conf"})
    assert only(drift(names=names)) == f"{OWN}/more.keys was not written by the stack, and is read as if it were"


def test_directory_that_a_service_fills_is_not_beside_the_stacks_own() -> None:
    host = replace(APPLICATION, roles=(*APPLICATION.roles, Role(name="pair", filled=(f"{OWN}/patroni.d",))))
    facts = facts_of(APPLICATION)
    outcome = files.judge(STACK, host, replace(facts, names=frozenset({*facts.names, f"{OWN}/patroni.d"})))
    assert outcome is not None
    assert outcome.problems == ()


@pytest.mark.parametrize(
    ("stat", "closed"),
    [
        (Stat(kind="directory", mode="0700", owner="root:root"), True),
        (Stat(kind="directory", mode="0775", owner="root:root"), False),
        (Stat(kind="directory", mode="0755", owner="ops:root"), False),
        (Stat(kind="symbolic link", mode="0777", owner="root:root"), False),
    ],
)
def test_directory_that_others_can_write_is_found(stat: Stat, *, closed: bool) -> None:
    assert (not drift(stats={OWN: stat})) is closed


# --- policies ---------------------------------------------------------------------------------------------------------


def broken(text: str, stack: Stack = STACK) -> tuple[str, ...]:
    """What is found about a load balancer whose haproxy.cfg is another one."""
    facts = facts_of(BALANCER)
    outcome = policies.judge(stack, BALANCER, replace(facts, texts={"/etc/haproxy/haproxy.cfg": text}))
    assert outcome is not None
    return outcome.problems


def test_rule_that_a_real_file_breaks_is_told_with_its_line() -> None:
    problem = only(broken("frontend f\n  bind *:30379\n"))
    assert "/etc/haproxy/haproxy.cfg:2: `bind *:30379`" in problem
    assert "[haproxy-bind]" in problem


def test_secret_files_mode_on_the_host_counts() -> None:
    stat = Stat(kind="regular file", mode="0644", owner="root:root")
    facts = facts_of(APPLICATION)
    outcome = policies.judge(STACK, APPLICATION, replace(facts, texts={}, stats={**facts.stats, SECRET: stat}))
    assert outcome is not None
    assert "[secret-mode]" in only(outcome.problems)


def test_users_in_a_secret_file_count_as_the_stack_wrote_them() -> None:
    redis, users = "/etc/valkey/valkey.conf", "/etc/valkey/users.acl"
    text = f"bind 192.0.2.12\nport 0\ntls-port 6379\ntls-auth-clients optional\naclfile {users}\n"
    for acl, rules in (
        ("user default off\n", ["redis-bind"]),
        ("user a on #0\n", ["redis-bind", "redis-default-user"]),
    ):
        role = replace(BALANCER.roles[0], files={redis: text_file(text), users: secret_file(acl)})
        host = replace(BALANCER, roles=(role,))
        outcome = policies.judge(STACK, host, facts_of(host))
        assert outcome is not None
        assert [problem.rpartition("[")[2].rstrip("]") for problem in outcome.problems] == rules


def test_plaintext_port_that_its_configuration_declares_is_told() -> None:
    declared = "# sealed-data-tier: plaintext port 6379 until 2999-12-31 because clients move until then\n"
    text = f"{declared}bind 192.0.2.12\nport 6379\ntls-port 6380\nuser default off\n"
    facts = replace(facts_of(BALANCER), texts={"/etc/valkey/valkey.conf": text})
    outcome = policies.judge(STACK, BALANCER, facts)
    assert outcome is not None
    assert outcome.problems == ()
    assert "exception until 2999-12-31 (clients move until then)" in outcome.summary
    ended = replace(facts, texts={"/etc/valkey/valkey.conf": text.replace("2999", "2001")})
    outcome = policies.judge(STACK, BALANCER, ended)
    assert outcome is not None
    assert all("ended on 2001-12-31" in problem for problem in outcome.problems)
    assert len(outcome.problems) == 2


def test_exception_is_kept_and_told() -> None:
    item = {"rule": "haproxy-bind", "path": "*", "reason": "until the VIP moves", "expires": "2999-12-31"}
    stack = replace(STACK, exemptions={"bind-to-localhost": (Exemption.of(item),)})
    assert broken("frontend f\n  bind *:30379\n", stack) == ()
    ended = replace(STACK, exemptions={"bind-to-localhost": (Exemption.of({**item, "expires": "2001-01-01"}),)})
    assert "ended on 2001-01-01" in only(broken("frontend f\n  bind *:30379\n", ended))


def test_file_of_which_every_line_is_wrong_is_told_in_a_few_lines() -> None:
    problems = broken("".join(f'frontend f{number}\n  bind "\n' for number in range(50)))
    assert len(problems) == 4
    assert problems[-1] == "/etc/haproxy/haproxy.cfg: 47 more like that [unreadable]"


def test_drop_in_of_the_sample_is_what_sshd_reads() -> None:
    assert DROP_IN in facts_of(BALANCER).texts
