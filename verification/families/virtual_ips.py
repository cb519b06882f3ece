"""Virtual IPs: each is held by one of its hosts, and keepalived runs with what was written."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from policies.parsers import keepalived
from policies.parsers.keepalived import Statement
from verification.facts import Facts, Question
from verification.family import Family, Outcome, Survey
from verification.model import Host, Stack, VirtualIps

SCRIPT: Final = "/usr/local/lib/keepalived-vip/vip"
CONFIGURATION: Final = "/etc/keepalived/keepalived.conf"

# What keepalived calls its states (vrrp.h, VRRP_STATE_*).
_FAULT: Final = 3


def questions(host: Host) -> Iterable[Question]:
    """Ask the running keepalived what it was told."""
    if SCRIPT in host.files:
        yield Question("keepalived", SCRIPT)


def judge(stack: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Compare what keepalived runs with what was written; that the file is as written is for `files` to say."""
    if SCRIPT not in host.files:
        return None
    if SCRIPT not in facts.keepalived:
        why = facts.failures.get(("keepalived", SCRIPT), "no answer")
        return Outcome(host=host.name, problems=(f"not done: keepalived could not be asked: {why}",))
    try:
        told = {each["data"]["iname"]: each["data"] for each in json.loads(facts.keepalived[SCRIPT])}
    except (ValueError, KeyError, TypeError):
        return Outcome(host=host.name, problems=("not done: what keepalived says of itself cannot be read",))
    top = keepalived.parse(host.files[CONFIGURATION].text or "").top
    written = {each.words[1]: each for each in top.all("vrrp_instance")}
    led = {name for group in stack.vips if host.name in group.hosts for name in group.led}
    return Outcome(
        host=host.name, summary="keepalived runs what was written", problems=tuple(_differences(written, told, led))
    )


def _differences(
    written: Mapping[str, Statement], told: Mapping[str, Mapping[str, Any]], led: Container[str]
) -> Iterator[str]:
    for name in sorted(set(told) - set(written)):
        yield f"keepalived runs the instance {name!r}, which is not in {CONFIGURATION}"
    for name, instance in sorted(written.items()):
        if name not in told:
            yield f"keepalived does not run the instance {name!r}"
            continue
        runs = told[name]
        for keyword, key in (("virtual_router_id", "vrid"), ("priority", "base_priority"), ("advert_int", "adver_int")):
            wanted = instance.last(keyword)
            if wanted and float(wanted.words[1]) != float(runs[key]):
                yield f"instance {name!r} runs with {keyword} {runs[key]}, not {wanted.words[1]}"
        known = {text.split()[0] for text in (*runs.get("vips", ()), *runs.get("evips", ()))}
        wanted_ones = set(_addresses(instance))
        if known != wanted_ones:
            shown = ", ".join(sorted(known)) or "no address"
            yield f"instance {name!r} runs with {shown}, not {', '.join(sorted(wanted_ones))}"
        if runs["state"] == _FAULT and name not in led:
            yield f"instance {name!r} is in state FAULT: its health check fails, or its interface or address is gone"


def _addresses(instance: Statement) -> Iterator[str]:
    for block in instance.all("virtual_ipaddress", "virtual_ipaddress_excluded"):
        yield from (each.words[0].partition("/")[0] for each in block.block)


async def probe(survey: Survey) -> Iterable[Outcome]:
    """Look who holds each address, among all hosts."""
    return holders(survey.stack, {host: facts.addresses for host, facts in survey.facts.items()})


def holders(stack: Stack, addresses: Mapping[str, Iterable[str]]) -> list[Outcome]:
    """Say for each host what it holds, and should not, or what nobody does.

    Args:
        stack: What is declared.
        addresses: Addresses of every host that answered.
    """
    held = {host: {ipaddress.ip_address(each) for each in known} for host, known in addresses.items()}
    return [outcome for group in stack.vips for outcome in _group(group, held)]


def _group(group: VirtualIps, held: Mapping[str, set[Any]]) -> Iterator[Outcome]:
    problems: dict[str, list[str]] = {host: [] for host in group.hosts if host in held}
    mine: dict[str, list[str]] = {host: [] for host in problems}
    silent = [host for host in group.hosts if host not in held]
    for name, vips in group.instances.items():
        owners: set[str] = set()
        for vip in vips:
            here = [host for host in sorted(held) if ipaddress.ip_address(vip) in held[host]]
            if len(here) == 1:
                owners.update(here)
            for host in here:
                mine.setdefault(host, []).append(vip)
                if host not in group.hosts:
                    problems.setdefault(host, []).append(f"holds {vip}, which is for {', '.join(group.hosts)}")
                elif len(here) > 1:
                    problems[host].append(f"holds {vip}, as does {', '.join(each for each in here if each != host)}")
            if not here and problems:
                # A host that does not answer may hold it.
                text = f"not done: {', '.join(silent)} could hold {vip}" if silent else f"nobody holds {vip}"
                problems[next(iter(problems))].append(text)
        if len(owners) > 1 and problems:
            text = f"the addresses of {name!r} are apart: {', '.join(sorted(owners))} hold some each"
            problems[next(iter(problems))].append(text)
    for host, found in problems.items():
        summary = f"holds {', '.join(mine[host])}" if mine.get(host) else f"stands by for {group.name}"
        yield Outcome(host=host, summary=summary, problems=tuple(found))


FAMILY: Final = Family(
    name="virtual-ips",
    summary="Each virtual IP is held by one of its hosts, and keepalived runs with what was written.",
    questions=questions,
    judge=judge,
    probe=probe,
)
