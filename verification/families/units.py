"""Units: what the stack runs is running, comes back after a reboot, stays up, and tunnels carry traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome, counted
from verification.model import Host, Stack

_COMES_BACK: Final = frozenset({"enabled", "static", "alias", "indirect", "generated"})
#: What the supervisor of a tunnel says after a probe came through.
CARRIES: Final = "up, traffic passes"
_YOUNG_S: Final = 5.0  # as in facts.sh, which has waited for longer than that


def questions(host: Host) -> Iterable[Question]:
    """Ask for every unit."""
    return (Question("unit", unit) for unit in host.units)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Look at the state of every unit."""
    if not host.units:
        return None
    tunnels = {unit for each in host.tunnels for unit in each.units}
    problems = [
        f"{unit} {problem}"
        for unit in host.units
        for problem in _problems(facts.units.get(unit, {}), facts.uptime, carries=unit in tunnels)
    ]
    summary = f"{counted(len(host.units), 'unit')} active and enabled"
    if tunnels:
        summary += f", {counted(len(tunnels), 'tunnel')} with traffic"
    return Outcome(host=host.name, summary=summary, problems=tuple(problems))


def _problems(shown: Mapping[str, str], uptime: float, *, carries: bool) -> Iterator[str]:
    if shown.get("LoadState") != "loaded":
        yield f"is not there: systemd says {shown.get('LoadState') or 'nothing of it'}"
        return
    if shown["UnitFileState"] not in _COMES_BACK:
        yield f"is {shown['UnitFileState'] or 'not enabled'}: it does not come back after a reboot"
    if shown["ActiveState"] != "active":
        yield f"is {shown['ActiveState']} ({shown['SubState']}, {shown['Result']})"
        return
    age = uptime - int(shown["ActiveEnterTimestampMonotonic"] or 0) / 1e6
    if int(shown["NRestarts"] or 0) and 0 <= age < _YOUNG_S:
        yield f"does not stay up: it was restarted {shown['NRestarts']} times, the last time {age:.0f} s ago"
    if carries and shown["StatusText"] != CARRIES:
        yield f"carries no traffic: its status is {shown['StatusText'] or 'empty'!r}"


FAMILY: Final = Family(
    name="units",
    summary="Every unit is active, enabled and stays up, and every tunnel carries traffic.",
    questions=questions,
    judge=judge,
)
