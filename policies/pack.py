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
)

from policies.exceptions import Exemption, judge, schema
from policies.resources import Subject, subject_of
from policies.rules import FAMILIES, Family, Finding

PACK_NAME: Final = "sealed-data-tier"
NOTES: Final = "notes"


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


def policies() -> list[Policy]:
    """Return the pack's policies."""
    notes = Notes()
    return [*(_policy(family, notes) for family in FAMILIES), _notes(notes)]


def _policy(family: Family, notes: Notes) -> Policy:
    return ResourceValidationPolicy(
        name=family.name,
        description=family.summary,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(properties=schema(list(family.rules), family.options)),
        validate=partial(_validate, family, notes),
    )


def _validate(family: Family, notes: Notes, args: ResourceValidationArgs, report: ReportViolation) -> None:
    subject = subject_of(args.resource_type, args.props, args.urn)
    if subject is None:
        return
    config = args.get_config()
    exemptions = [Exemption.of(item) for item in config.get("exceptions", [])]
    options = {name: config.get(name, option["default"]) for name, option in family.options.items()}
    today = datetime.now(tz=UTC).date()
    for finding in dict.fromkeys(_findings(family, subject, options)):
        verdict = judge(args.name, finding, exemptions, today)
        if verdict.violated:
            report(verdict.message, None)
        else:
            notes.add(args.urn, verdict.message)


def _findings(family: Family, subject: Subject, options: Mapping[str, Any]) -> Iterator[Finding]:
    if subject.files is not None:
        yield from family.files(subject.files)
    if subject.command is not None:
        yield from family.command(subject.command)
    if subject.issued is not None:
        yield from family.issued(subject.issued, options)


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
