"""Exceptions from rules, as the policy configuration declares them: each has a reason and a day on which it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from policies.parsers.source import like
from policies.rules import Finding


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exception.

    Attributes:
        rule: The rule that it is from.
        resource: Pattern of resource names (`*` and `?`).
        path: Pattern of files or properties.
        value: Pattern of what stands there.
        reason: Why it is needed.
        expires: Last day on which it holds, or what was written if that is no day.
    """

    rule: str
    resource: str
    path: str
    value: str
    reason: str
    expires: date | str

    @staticmethod
    def of(item: Mapping[str, Any]) -> Exemption:
        """Read an item of the configuration; the engine has checked it against the schema."""
        written = str(item["expires"])
        try:
            expires: date | str = date.fromisoformat(written)
        except ValueError:
            expires = written
        return Exemption(
            rule=str(item["rule"]),
            resource=str(item.get("resource", "*")),
            path=str(item.get("path", "*")),
            value=str(item.get("value", "*")),
            reason=str(item["reason"]),
            expires=expires,
        )

    def covers(self, resource: str, finding: Finding) -> bool:
        """Tell whether a finding is meant."""
        return (
            self.rule == finding.rule
            and like(resource, self.resource)
            and like(finding.path, self.path)
            and like(finding.value, self.value)
        )

    def holds(self, today: date) -> bool:
        """Tell whether it still counts."""
        return isinstance(self.expires, date) and today <= self.expires


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one finding.

    Attributes:
        message: What is told.
        violated: Whether it is a violation, or only something to know.
    """

    message: str
    violated: bool


def judge(resource: str, finding: Finding, exemptions: Sequence[Exemption], today: date) -> Verdict:
    """Decide on a finding.

    Args:
        resource: Name of the resource.
        finding: What was found.
        exemptions: All exceptions of the rule's family.
        today: The day on which they have to hold.
    """
    told = f"{resource}: {finding}"
    if finding.note:
        return Verdict(f"not checked: {told}", violated=False)
    covering = [each for each in (*_declared(finding), *exemptions) if each.covers(resource, finding)]
    for each in covering:
        if each.holds(today):
            return Verdict(f"exception until {each.expires} ({each.reason}): {told}", violated=False)
    if not covering:
        return Verdict(told, violated=True)
    latest = covering[-1]
    ended = f"ended on {latest.expires}" if isinstance(latest.expires, date) else f"has no day {latest.expires!r}"
    return Verdict(f"{told} The exception for it ({latest.reason}) {ended}: renew or remove it.", violated=True)


def _declared(finding: Finding) -> Iterator[Exemption]:
    """Yield the exception that the file itself declares."""
    if finding.until:
        item = {"rule": finding.rule, "reason": finding.because, "expires": finding.until}
        yield Exemption.of(item)


def schema(rules: Sequence[str], options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of a family's configuration.

    Args:
        rules: Identifiers of the family's rules.
        options: JSON schema of its options by name.
    """
    text = {"type": "string", "minLength": 1}
    return {
        "exceptions": {
            "type": "array",
            "description": "Findings that are known and accepted until a day.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["rule", "reason", "expires"],
                "anyOf": [{"required": ["resource"]}, {"required": ["path"]}],
                "properties": {
                    "rule": {"type": "string", "enum": list(rules)},
                    "resource": {**text, "description": "Pattern of resource names, for example `lb1-*`."},
                    "path": {**text, "description": "Pattern of files or properties."},
                    "value": {**text, "description": "Pattern of what stands there, for example `bind *:443 ssl *`."},
                    "reason": {**text, "minLength": 10},
                    "expires": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
                },
            },
        },
        **{name: dict(option) for name, option in (options or {}).items()},
    }
