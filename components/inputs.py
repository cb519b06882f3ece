"""Values that Pulumi may know only later, without paying for those that are known already."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar, cast

import pulumi

Result = TypeVar("Result")


def combined(how: Callable[..., Result], *values: pulumi.Input[Any]) -> pulumi.Input[Result]:
    """Apply a function to values of which some may be outputs.

    Like `Output.all(*values).apply(...)`, but a value that is known already becomes no output, and if all are known
    neither does the result. Each output is a task that the SDK watches until the program ends; with a thousand hosts
    that watching would take most of a preview's time.

    Args:
        how: A pure function of the plain values, in their order.
        values: Plain values or outputs.
    """
    later = [at for at, value in enumerate(values) if isinstance(value, pulumi.Output) or isawaitable(value)]
    if not later:
        return how(*values)

    def apply(known: list[Any]) -> Result:
        plain = list(values)
        for at, value in zip(later, known, strict=True):
            plain[at] = value
        return how(*plain)

    return pulumi.Output.all(*(values[at] for at in later)).apply(apply)


def secret(value: pulumi.Input[str]) -> pulumi.Output[str]:
    """Mark a value as secret."""
    return cast("pulumi.Output[str]", pulumi.Output.secret(cast("Any", value)))
