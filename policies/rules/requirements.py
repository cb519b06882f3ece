"""What a keyword of ssh_config or sshd_config has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from policies.parsers import openssh
from policies.parsers.addresses import split_port
from policies.parsers.openssh import Option
from policies.rules.finding import Finding


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a keyword has to say.

    Attributes:
        keyword: Its name.
        accepts: Whether a line of it is as it should be.
        wanted: What to write.
        why: What is wrong otherwise.
        default_is_safe: Whether it may be left out.
    """

    keyword: str
    accepts: Callable[[Option], bool]
    wanted: str
    why: str
    default_is_safe: bool = False

    def judge(self, rule: str, options: Iterable[Option | None], path: str, line: int) -> Iterator[Finding]:
        """Find the lines that are not as they should be.

        Args:
            rule: Rule of the findings.
            options: Every line that may decide; None where the default may hold.
            path: The file that counts where nothing is written.
            line: Line number there.
        """
        for option in options:
            if self.default_is_safe if option is None else self.accepts(option):
                continue
            yield Finding(
                rule=rule,
                path=option.path if option else path,
                line=option.line if option else line,
                value=str(option) if option else f"{self.keyword} not set",
                problem=self.why,
                fix=f"write '{self.keyword} {self.wanted}'",
            )


def on(option: Option) -> bool:
    """A flag that has to be on."""
    return openssh.is_on(option.value)


def off(option: Option) -> bool:
    """A flag that has to be off."""
    return openssh.is_off(option.value)


def one_of(*values: str) -> Callable[[Option], bool]:
    """One of some values, and nothing beside it."""
    return lambda option: len(option.words) == 1 and option.value.lower() in values


def at_most(longest: int) -> Callable[[Option], bool]:
    """A time above zero, in seconds."""
    return lambda option: 0 < (openssh.seconds(option.value) or 0) <= longest


def is_one_target(target: str) -> bool:
    """Tell whether `host:port` names one host and one port."""
    host, port = split_port(target)
    return bool(host) and port.isdigit() and not set(host) & {"*", "?"}
