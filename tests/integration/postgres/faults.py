"""Faults of a pair: what happens, who has to lead then, and what an application and both servers see of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.integration.cuts import DEAF as _DEAF
from tests.integration.cuts import NO_VRRP as _NO_VRRP
from tests.integration.cuts import SILENT as _SILENT
from tests.integration.cuts import cut
from tests.integration.postgres.stack import ADDRESSES, NODES, Stack
from tests.integration.support import wait_for

_ACCEPTOR: Final = Path(__file__).with_name("acceptor.py")
_ACCEPTED: Final = "/var/cache/acceptor/accepted"
_DATA: Final = "/var/lib/postgresql/17/ccc"
_TAKE_OVER_S: Final = 180
# Writes of a server that takes some are so far apart; in a pause longer than the other one it took none.
_PERIOD_S: Final = 0.1
_PAUSE_S: Final = 0.5

#: Given the pair and who leads, makes something happen, and ends it.
Cause = Callable[[Stack, str], AbstractContextManager[object]]


class Leader(Enum):
    """Who leads afterwards."""

    MOVES = "the other one"
    STAYS = "the same one"
    EITHER = "one of them"


@dataclass(frozen=True)
class Fault:
    """Something that happens to a pair.

    Attributes:
        name: What, in a few words.
        cause: Makes it happen, and ends it.
        leader: Who has to lead when it is over.
        lasts: Seconds for which it lasts where nobody has to take over.
        etcd: Given the pair and who leads, the host that has etcd's leader: the witness, where it is brought to, or the
            host that is struck, which is the worst that can happen to the others.
        before: What has to be put in order for it, and put back.
    """

    name: str
    cause: Cause
    leader: Leader
    lasts: float = 0
    etcd: Callable[[Stack, str], str] = lambda _, __: "witness"
    before: Cause = field(default=lambda _, __: nullcontext())


def _once(command: str) -> Cause:
    """Run a command on the leader's host."""

    @contextmanager
    def cause(pair: Stack, leader: str) -> Iterator[None]:
        pair.host(leader).run(command)
        yield

    return cause


def _filtered(rules: str, struck: Callable[[Stack, str], str] = lambda _, leader: leader) -> Cause:
    """Load rules on a host, the leader's unless it is said which."""
    return lambda pair, leader: cut(pair.host(struck(pair, leader)), rules)


@contextmanager
def _lost(pair: Stack, *names: str) -> Iterator[None]:
    for name in names:
        pair.host(name).kill()
    try:
        yield
    finally:
        for name in names:
            pair.host(name).start()


@contextmanager
def _stopped_etcd(pair: Stack, *names: str) -> Iterator[None]:
    for name in names:
        pair.host(name).run("systemctl kill -s KILL etcd && systemctl stop etcd")
    try:
        yield
    finally:
        for name in names:
            pair.host(name).run("systemctl start --no-block etcd")


@contextmanager
def _patroni_stopped(pair: Stack, leader: str) -> Iterator[None]:
    """Stop Patroni as a person would, or an upgrade that takes long."""
    pair.host(leader).run("systemctl stop patroni")
    try:
        yield
    finally:
        pair.host(leader).run("systemctl start --no-block patroni")


@contextmanager
def _patroni_frozen(pair: Stack, leader: str) -> Iterator[None]:
    """Freeze Patroni alone: its server goes on."""
    host = pair.host(leader)
    host.run("systemctl kill --signal=STOP --kill-whom=main patroni")
    try:
        yield
    finally:
        host.run("systemctl kill --signal=CONT --kill-whom=main patroni")


@contextmanager
def _rebooted(pair: Stack, _: str) -> Iterator[None]:
    """Reboot both servers' hosts, at the same time and in an orderly way."""
    with ThreadPoolExecutor() as both:
        for done in [both.submit(pair.host(name).reboot) for name in NODES]:
            done.result()
    yield


@contextmanager
def _postmaster_killed(pair: Stack, leader: str) -> Iterator[None]:
    pair.host(leader).run(["kill", "-KILL", pair.postmaster(leader)])
    yield


@contextmanager
def _switched_over(pair: Stack, leader: str) -> Iterator[None]:
    pair.pair(leader, "switchover", "--candidate", pair.other(leader), "--force")
    yield


@contextmanager
def _diverged(pair: Stack, leader: str) -> Iterator[None]:
    """Cut the leader off, and let it write what nobody else will ever have."""
    with _filtered(_SILENT)(pair, leader):
        own = "SET synchronous_commit = local; CREATE TABLE diverged AS SELECT generate_series(1, 100000) AS number"
        pair.postgres(leader, own)
        yield


@contextmanager
def _on_a_small_disk(pair: Stack, leader: str) -> Iterator[None]:
    """Let the leader have its data on a file system that can be filled."""
    host = pair.host(leader)
    pair.pair(leader, "switchover", "--candidate", pair.other(leader), "--force")
    pair.wait_until_whole()
    host.run("systemctl stop patroni")
    host.run(
        f"""set -eu
        cd {_DATA}
        mount -t tmpfs -o size=600m,mode=0700,uid=$(stat -c %u .),gid=$(stat -c %g .) small {_DATA}
        cp -a . {_DATA}
        systemctl start patroni
        """
    )
    try:
        pair.wait_until_whole()
        pair.pair(leader, "switchover", "--candidate", leader, "--force")
        pair.wait_until_whole()
        yield
    finally:
        host.run(f"systemctl stop patroni; umount --lazy {_DATA}; rm -rf {_DATA}/*; systemctl start patroni")
    pair.wait_until_whole()


@contextmanager
def _disk_full(pair: Stack, leader: str) -> Iterator[None]:
    fill = f"fallocate -l $(df --output=avail -B 1 {_DATA} | tail -n 1) {_DATA}/filler"
    pair.host(leader).run(f"{fill} || dd if=/dev/zero of={_DATA}/filler bs=1M 2>/dev/null || :")
    # What is written ahead needs new files.
    ahead = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 300)"
    pair.postgres(leader, ahead, check=False)
    try:
        yield
    finally:
        pair.host(leader).run(["rm", "-f", f"{_DATA}/filler"])


def _standby(pair: Stack, leader: str) -> str:
    return pair.other(leader)


def _witness(pair: Stack, leader: str) -> str:
    return "witness"


def _itself(pair: Stack, leader: str) -> str:
    return leader


POSTMASTER_KILLED: Final = Fault("leader's postmaster killed", _postmaster_killed, Leader.MOVES)
SWITCHOVER: Final = Fault("switchover", _switched_over, Leader.MOVES)
HOST_LOST: Final = Fault("leader's host lost", _lost, Leader.MOVES)
CUT_OFF: Final = Fault("leader cut off", _filtered(_SILENT), Leader.MOVES)
STANDBY_LOST: Final = Fault(
    "standby's host lost", lambda pair, leader: _lost(pair, pair.other(leader)), Leader.STAYS, lasts=15
)
HOST_LOST_WITH_ETCD: Final = replace(HOST_LOST, name="leader's host lost, with etcd's leader", etcd=_itself)
STANDBY_LOST_WITH_ETCD: Final = replace(STANDBY_LOST, name="standby's host lost, with etcd's leader", etcd=_standby)
KEEPALIVED_KILLED: Final = Fault(
    "leader's keepalived killed", _once("systemctl kill -s KILL --kill-whom=all keepalived"), Leader.STAYS, lasts=5
)
PATRONI_KILLED: Final = Fault(
    "leader's Patroni killed",
    # Of its service the main process alone: the server lives on.
    _once("systemctl kill -s KILL --kill-whom=main patroni"),
    Leader.STAYS,
    lasts=15,
)

FAULTS: Final = (
    POSTMASTER_KILLED,
    SWITCHOVER,
    KEEPALIVED_KILLED,
    PATRONI_KILLED,
    Fault("leader's Patroni stopped", _patroni_stopped, Leader.MOVES),
    Fault("leader's Patroni frozen", _patroni_frozen, Leader.MOVES),
    HOST_LOST,
    HOST_LOST_WITH_ETCD,
    Fault("leader's host frozen", lambda pair, leader: pair.host(leader).paused(), Leader.MOVES),
    CUT_OFF,
    Fault("leader cut off, with etcd's leader", _filtered(_SILENT), Leader.MOVES, etcd=_itself),
    Fault("leader hears nobody", _filtered(_DEAF), Leader.MOVES),
    Fault("leader cut off, and its WAL diverges", _diverged, Leader.MOVES),
    Fault(
        "line between the servers cut",
        lambda pair, leader: pair.host(leader).cut_off_from(ADDRESSES[pair.other(leader)]),
        Leader.STAYS,
        lasts=30,
    ),
    Fault("VRRP cut, and nothing else", _filtered(_NO_VRRP), Leader.STAYS, lasts=10),
    STANDBY_LOST,
    STANDBY_LOST_WITH_ETCD,
    Fault("standby cut off", _filtered(_SILENT, _standby), Leader.STAYS, lasts=30),
    Fault("witness cut off", _filtered(_SILENT, _witness), Leader.STAYS, lasts=30),
    Fault(
        "one member of etcd lost, its leader",
        lambda pair, _: _stopped_etcd(pair, "witness"),
        Leader.STAYS,
        lasts=15,
    ),
    Fault(
        "two members of etcd lost",
        lambda pair, leader: _stopped_etcd(pair, "witness", pair.other(leader)),
        Leader.STAYS,
        lasts=40,
    ),
    Fault("leader's disk full", _disk_full, Leader.MOVES, before=_on_a_small_disk),
    Fault("both servers' hosts lost at once", lambda pair, _: _lost(pair, *NODES), Leader.EITHER),
    Fault("both servers' hosts rebooted together", _rebooted, Leader.EITHER),
)
#: The quickest ones, for every run of the tests.
QUICK: Final = (SWITCHOVER, POSTMASTER_KILLED, KEEPALIVED_KILLED)


@dataclass(frozen=True)
class Felt:
    """What was felt of a fault.

    Attributes:
        seconds: From the last write on the old timeline to the first one on the new; on the same, the longest time in
            which no write was confirmed.
        lost: Writes that were confirmed and are not there.
        unexpected: Writes that are there and were never tried, and what a server has that the other one has not.
        both: Seconds in which both servers took writes.
        former: Who led before.
        leader: Who leads now.
        timelines: How many times somebody began to lead.
    """

    seconds: float
    lost: int
    unexpected: int
    both: float
    former: str
    leader: str
    timelines: int

    def fits(self, fault: Fault) -> bool:
        """Whether the fault ended as it has to; one that moves nobody makes nobody stop and lead again either."""
        match fault.leader:
            case Leader.MOVES:
                return self.leader != self.former
            case Leader.STAYS:
                return self.leader == self.former and self.timelines == 0
            case Leader.EITHER:
                return True


def watch(pair: Stack) -> None:
    """Have both servers tried beside whatever happens, now and after each boot."""
    run = f"ExecStart=/usr/bin/python3 /usr/local/lib/acceptor.py {_ACCEPTED}\nRestart=always"
    unit = f"[Service]\nUser=postgres\nCacheDirectory=acceptor\n{run}\n[Install]\nWantedBy=multi-user.target\n"
    for name in NODES:
        host = pair.host(name)
        host.run("cat >/usr/local/lib/acceptor.py", stdin=_ACCEPTOR.read_text())
        host.run("cat >/etc/systemd/system/acceptor.service && systemctl enable -q --now acceptor", stdin=unit)


def strike(pair: Stack, fault: Fault) -> Felt:
    """Cause a fault while an application writes, and end it once the pair is through with it."""
    try:
        return _strike(pair, fault)
    except AssertionError as error:
        error.add_note(pair.story())
        raise


def _strike(pair: Stack, fault: Fault) -> Felt:
    pair.wait_until_whole()
    leader = pair.leader()
    with ExitStack() as later:
        later.enter_context(fault.before(pair, leader))
        pair.lead_etcd(fault.etcd(pair, leader))
        before = pair.timeline()
        with pair.writing() as written:
            begun = time.time()
            with fault.cause(pair, leader):
                if fault.leader is Leader.MOVES:
                    wait_for(lambda: pair.leads(pair.other(leader)), _TAKE_OVER_S)
                    _confirms_again(pair)
                time.sleep(fault.lasts)
            pair.wait_until_whole()
            _confirms_again(pair)
        found, now = pair.read(), pair.leader()
        taken = {name: accepted(pair, name, begun) for name in NODES}
        assert taken[now], f"nobody tried whether {now} takes writes"
        timelines = pair.timeline() - before
        return Felt(
            seconds=written.longest_gap if written.change is None else written.change,
            lost=len(written.numbers - found),
            unexpected=len(found - set(written.attempted)) + _apart(pair),
            both=overlap(*taken.values()),
            former=leader,
            leader=now,
            timelines=timelines,
        )


def _confirms_again(pair: Stack) -> None:
    """Wait until writes are confirmed that were not before."""
    before = pair.rows()
    wait_for(lambda: pair.rows() > before + 5, _TAKE_OVER_S)


def _apart(pair: Stack) -> int:
    """How many servers have what was written by one of them only, and never confirmed by the other."""
    seen = [pair.postgres(name, "SELECT to_regclass('diverged')").stdout.strip() for name in NODES]
    return sum(map(bool, seen))


def accepted(pair: Stack, name: str, since: float) -> list[float]:
    """When a server took a write, after a moment."""
    return [float(line) for line in pair.host(name).run(["cat", _ACCEPTED]).stdout.split() if float(line) > since]


def overlap(some: Sequence[float], others: Sequence[float]) -> float:
    """Seconds in which two servers both took writes; a single write among the other one's counts as one period."""
    common = [
        min(end, other_end) - max(start, other_start)
        for start, end in _spans(some)
        for other_start, other_end in _spans(others)
    ]
    return sum(max(each, _PERIOD_S) for each in common if each >= 0)


def _spans(times: Sequence[float]) -> list[tuple[float, float]]:
    """From the first to the last write between two pauses."""
    if not times:
        return []
    pauses = [(earlier, later) for earlier, later in pairwise(times) if later - earlier > _PAUSE_S]
    begins = [times[0], *(later for _, later in pauses)]
    return list(zip(begins, [*(earlier for earlier, _ in pauses), times[-1]], strict=True))
