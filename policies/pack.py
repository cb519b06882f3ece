"""The policies: one a rule family, and one that tells what the others could not decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policies.exceptions import Exemption, judge, schema
from policies.resources import Subject, stack_of, subject_of
from policies.rules import FAMILIES, Family, Finding, StackCheck

PACK_NAME: Final = "sealed-data-tier"
NOTES: Final = "notes"
STACK_NOTES: Final = "stack-notes"


class Notes:
    """What a family has to tell of a resource without calling it a violation.

    A policy has one enforcement level for everything that it says, so notes are handed to a policy of their own. The
    SDK asks all policies about a resource in one call and in the pack's order, and `notes` is the last.
    """

    def __init__(self) -> None:
        self._of: dict[str, list[str]] = {}

    def add(self, urn: str, message: str) -> None:
        """Keep a note for the policy `notes`."""
        self._of.setdefault(urn, []).append(message)

    def take(self, urn: str) -> list[str]:
        """Return a resource's notes and forget them."""
        return self._of.pop(urn, [])

    def take_all(self) -> list[tuple[str, str]]:
        """Return all notes with their resources, and forget them."""
        notes = [(urn, message) for urn, messages in self._of.items() for message in messages]
        self._of.clear()
        return notes


def policies() -> list[Policy]:
    """Return the pack's policies."""
    notes = Notes()
    return [
        *(_of_resources(family, notes) for family in FAMILIES if family.stack is None),
        _notes(notes),
        *(_of_stack(family, family.stack, notes) for family in FAMILIES if family.stack is not None),
        _stack_notes(notes),
    ]


def _of_resources(family: Family, notes: Notes) -> Policy:
    return ResourceValidationPolicy(
        name=family.name,
        description=family.summary,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(properties=schema(list(family.rules), family.options)),
        validate=partial(_validate, family, notes),
    )


def _of_stack(family: Family, check: StackCheck, notes: Notes) -> Policy:
    return StackValidationPolicy(
        name=family.name,
        description=family.summary,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(properties=schema(list(family.rules), family.options)),
        validate=partial(_validate_stack, check, notes),
    )


def _validate(family: Family, notes: Notes, args: ResourceValidationArgs, report: ReportViolation) -> None:
    subject = subject_of(args.resource_type, args.props, args.urn)
    if subject is None:
        return
    config = args.get_config()
    options = {name: config.get(name, option["default"]) for name, option in family.options.items()}
    for finding in dict.fromkeys(_findings(family, subject, options)):
        if violation := _violation(finding, args.name, args.urn, config, notes):
            report(violation, None)


def _validate_stack(check: StackCheck, notes: Notes, args: StackValidationArgs, report: ReportViolation) -> None:
    names = {each.urn: each.name for each in args.resources}
    for thing, finding in check(stack_of((each.resource_type, each.props, each.urn) for each in args.resources)):
        if violation := _violation(finding, names[thing.urn], thing.urn, args.get_config(), notes):
            report(violation, thing.urn)


def _violation(finding: Finding, name: str, urn: str, config: Mapping[str, Any], notes: Notes) -> str | None:
    """Return what to report, or keep a note of what is no violation."""
    exemptions = [Exemption.of(item) for item in config.get("exceptions", [])]
    verdict = judge(name, finding, exemptions, datetime.now(tz=UTC).date())
    if verdict.violated:
        return verdict.message
    notes.add(urn, verdict.message)
    return None


def _findings(family: Family, subject: Subject, options: Mapping[str, Any]) -> Iterator[Finding]:
    if subject.files is not None:
        yield from family.files(subject.files)
    if subject.command is not None:
        yield from family.command(subject.command)
    if subject.issued is not None:
        yield from family.issued(subject.issued, options)
    if subject.thing is not None:
        yield from family.thing(subject.thing)


def _stack_notes(notes: Notes) -> Policy:
    def validate(_: StackValidationArgs, report: ReportViolation) -> None:
        for urn, message in notes.take_all():
            report(message, urn)

    return StackValidationPolicy(
        name=STACK_NOTES,
        description="What was not known of the stack as a whole, and which exceptions are in force for it.",
        enforcement_level=EnforcementLevel.ADVISORY,
        validate=validate,
    )


def _notes(notes: Notes) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        subject = subject_of(args.resource_type, args.props)
        for message in notes.take(args.urn):
            report(message, None)
        if subject is not None and subject.unknown:
            report(f"{args.name}: not yet checkable: {', '.join(subject.unknown)}: checked as soon as known.", None)

    return ResourceValidationPolicy(
        name=NOTES,
        description="What was not checked, and which exceptions are in force.",
        enforcement_level=EnforcementLevel.ADVISORY,
        validate=validate,
    )
