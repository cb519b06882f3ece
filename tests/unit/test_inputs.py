"""Values that may be known later."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

import components
from components.inputs import combined, secret


class Nothing(Mocks):
    """An engine for programs that register nothing."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise AssertionError(args.name)

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


@pytest.fixture(autouse=True)
def _engine() -> None:
    pulumi.runtime.set_mocks(Nothing())


def resolved(output: Any) -> list[Any]:
    """Value of an output, and whether it is secret."""
    assert isinstance(output, pulumi.Output)
    found: list[Any] = []

    def program() -> pulumi.Output[None]:
        is_secret: Any = output.is_secret()
        both = pulumi.Output.all(output, pulumi.Output.from_input(is_secret))
        return both.apply(found.extend)

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return found


def test_known_values_are_combined_at_once() -> None:
    assert combined("{}-{}".format, 1, "b") == "1-b"


def test_later_ones_keep_their_places() -> None:
    output = combined(lambda *values: values, 1, pulumi.Output.from_input(2), 3, pulumi.Output.from_input(4))
    assert resolved(output) == [(1, 2, 3, 4), False]


def test_a_secret_makes_the_whole_secret() -> None:
    assert resolved(combined("{}-{}".format, "a", secret("b"))) == ["a-b", True]


def test_public_names_of_every_component_are_there() -> None:
    assert components.Host.__module__ == "components.host.component"
    assert components.HaproxyLoadBalancer.__module__ == "components.haproxy_load_balancer.component"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = components.Nothing
