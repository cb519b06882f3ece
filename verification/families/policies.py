"""Policies: the rules that a preview is held to hold on hosts and in clusters too, for files of others included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from policies.exceptions import Verdict
from policies.exceptions import judge as judge_finding
from policies.rules import FAMILIES, Finding, HostFiles
from policies.rules import Stack as Whole
from verification.facts import Facts, Question
from verification.family import Family, Outcome, counted
from verification.model import Cluster, Host, Stack
from verification.objects import Objects

_ALIKE: Final = 3


def questions(host: Host) -> Iterable[Question]:
    """Ask for the users; the texts are asked for by the other families."""
    return (Question("account", user) for user in host.users)


def judge(stack: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Apply every rule to what is on the host."""
    if not host.files:
        return None
    told = list(_verdicts(stack, host, facts))
    notes = [verdict.message for _, verdict in told if not verdict.violated]
    return Outcome(
        host=host.name,
        summary="; ".join((f"{counted(len(facts.texts), 'file')} keep every rule", *notes)),
        problems=tuple(_problems((finding, verdict.message) for finding, verdict in told if verdict.violated)),
    )


def _problems(violations: Iterable[tuple[Finding, str]]) -> Iterator[str]:
    """Tell of one rule in one file a few times only: of a file that is another one altogether every line is wrong."""
    alike: dict[tuple[str, str], list[str]] = {}
    for finding, message in violations:
        alike.setdefault((finding.path, finding.rule), []).append(message)
    for (path, rule), messages in alike.items():
        yield from messages[:_ALIKE]
        if len(messages) > _ALIKE:
            yield f"{path}: {len(messages) - _ALIKE} more like that [{rule}]"


def _verdicts(stack: Stack, host: Host, facts: Facts) -> Iterator[tuple[Finding, Verdict]]:
    secret = frozenset(path for path, file in host.files.items() if file.secret)
    files = HostFiles(
        texts={path: text for path, text in facts.texts.items() if path not in secret},
        secret=secret,
        # As written; whether the host has them is the part of the family `files`.
        hidden={path: file.text for path, file in host.files.items() if file.secret and file.text is not None},
        modes={path: stat.mode for path, stat in facts.stats.items()},
        users={user: account.shell for user, account in facts.accounts.items()},
    )
    roles = {path: role.name for role in host.roles for path in role.files}
    today = datetime.now(tz=UTC).date()
    for family in FAMILIES:
        for finding in dict.fromkeys(family.files(files)):
            exemptions = stack.exemptions.get(family.name, ())
            yield finding, judge_finding(roles.get(finding.path, host.name), finding, exemptions, today)


def in_cluster(stack: Stack, cluster: Cluster, objects: Objects) -> Outcome:
    """Apply every rule to the stack's objects as they are now; what is beside them is the part of `objects`."""
    told = list(_verdicts_of(stack, cluster, objects))
    notes = [verdict.message for _, verdict in told if not verdict.violated]
    return Outcome(
        host=cluster.name,
        summary="; ".join((f"{counted(len(objects.objects), 'object')} keep every rule", *notes)),
        problems=tuple(_problems((finding, verdict.message) for finding, verdict in told if verdict.violated)),
    )


def _verdicts_of(stack: Stack, cluster: Cluster, objects: Objects) -> Iterator[tuple[Finding, Verdict]]:
    # The policy SDK takes a quarter of a second to load; stacks of hosts need none of it.
    from policies.resources import subject_of  # noqa: PLC0415

    names = {each.urn: each.resource for each in cluster.objects}
    there = {each.urn: objects.objects[each.urn] for each in cluster.objects if each.urn in objects.objects}
    subjects = [
        subject
        for each in cluster.objects
        if each.urn in there and (subject := subject_of(each.token, there[each.urn], each.urn))
    ]
    written = (host.files.items() for host in stack.hosts.values())
    whole = Whole(
        objects=[subject.thing for subject in subjects if subject.thing],
        hosts=[
            HostFiles(texts={path: file.text or "" for path, file in files if not file.secret}) for files in written
        ],
    )
    today = datetime.now(tz=UTC).date()
    for family in FAMILIES:
        found: dict[tuple[str, Finding], None] = {}
        for subject in subjects:
            urn = subject.thing.urn if subject.thing else ""
            of_files = family.files(subject.files) if subject.files else ()
            of_thing = family.thing(subject.thing) if subject.thing else ()
            found |= dict.fromkeys((urn, finding) for finding in (*of_files, *of_thing))
        if family.stack is not None:
            found |= dict.fromkeys((thing.urn, finding) for thing, finding in family.stack(whole))
        exemptions = stack.exemptions.get(family.name, ())
        for urn, finding in found:
            yield finding, judge_finding(names[urn], finding, exemptions, today)


FAMILY: Final = Family(
    name="policies",
    summary="Files on the hosts and objects in the clusters keep every rule of the policy pack.",
    questions=questions,
    judge=judge,
    cluster=in_cluster,
)
