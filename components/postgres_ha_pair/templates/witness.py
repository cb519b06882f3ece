#!/usr/bin/python3
"""The third host of a pair: a vote in etcd, and where the pair has backups their repository.

    postgres-pair status               how it is, a line each, "+ what is well" or "- what is not"
    postgres-pair upgrade              new packages of etcd and pgBackRest on this host, and a restart of both

With backups:

    postgres-pair backup [full|diff]   make a backup now, of whoever leads; default diff
    postgres-pair backups              what there is

By the stack that puts this here:

    postgres-pair begin                a place for this cluster, and a first backup that this does not wait for
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_FACTS: Final = Path("/usr/local/lib/postgres-pair/witness.json")
_REPOSITORY: Final = Path("/usr/local/lib/postgres-pair/repository.json")  # only with backups
_NO_BACKUP: Final = 2  # info's status code of a stanza that has none
_KINDS: Final = ("full", "diff")
# What stanza-create says of a place that another cluster has.
_ANOTHER: Final = "do not match the database"


class Trouble(Exception):  # noqa: N818 - it is what a person is told
    """Something that is not as it should be, in words."""


class Repository:
    """What this host knows of the repository."""

    def __init__(self, facts: Path) -> None:
        known = json.loads(facts.read_text())
        self.stanza: str = known["stanza"]
        self.directory: str = known["directory"]
        self.max_age: float = known["maxAge"]
        self.timers: list[str] = known["timers"]

    def command(self, *words: str) -> list[str]:
        """Return a command of pgBackRest, as whoever owns the repository."""
        return ["runuser", "-u", "postgres", "--", "pgbackrest", f"--stanza={self.stanza}", *words]

    def run(self, *words: str) -> str:
        """Run a command of pgBackRest and return what it says.

        Raises:
            Trouble: With its errors.
        """
        run = subprocess.run(self.command(*words), capture_output=True, text=True, cwd="/", check=False)
        if run.returncode:
            said = f"{run.stdout}\n{run.stderr}".splitlines()
            at = next((number for number, line in enumerate(said) if "ERROR" in line), 0)
            raise Trouble(f"pgbackrest {' '.join(words)}: {' '.join(' '.join(said[at:]).split())[:800]}")
        return run.stdout

    def info(self) -> dict[str, Any]:
        """Return what pgBackRest says of the pair's backups."""
        return dict(json.loads(self.run("info", "--output=json"))[0])

    def begin(self) -> None:
        """Make a place for this cluster, and see that its WAL arrives there."""
        if self.directory and Path(self.directory).stat().st_uid != pwd.getpwnam("postgres").pw_uid:
            # The account may have come anew, with another number, after the repository had been kept.
            subprocess.run(["chown", "-R", "postgres:postgres", self.directory], check=True)
        self._create_stanza()
        self.run("check")
        if self.info()["status"]["code"] == _NO_BACKUP:
            subprocess.run(["systemctl", "start", "--no-block", "postgres-backup@full.service"], check=True)
            sys.stdout.write("began the first backup: postgres-pair backups\n")

    def _create_stanza(self) -> None:
        try:
            self.run("stanza-create")
        except Trouble as trouble:
            if _ANOTHER not in str(trouble):
                raise
            text = f"the repository has another cluster of this pair's name ({self.info()['db'][-1]['system-id']})"
            fix = "give backup.directory another place, or move that one away"
            more = "to have that cluster back, move both servers' data away and set backup.bootstrap: latest"
            raise Trouble(f"{text}: {fix}; {more}") from None

    def findings(self) -> Iterator[str]:
        """Yield how it is, for whoever verifies."""
        try:
            backups = self.info()["backup"]
        except Trouble as trouble:
            yield f"- {trouble}"
            return
        for unit in ("pgbackrest.service", *self.timers):
            if subprocess.run(["systemctl", "is-active", "-q", unit], check=False).returncode:
                yield f"- {unit} does not run"
        if not backups:
            yield "- there is no backup yet: postgres-pair backup full"
            return
        newest = backups[-1]
        age = time.time() - newest["timestamp"]["stop"]
        if newest["error"]:
            yield f"- the backup {newest['label']} has damaged pages: look at its log"
        if age > self.max_age:
            text = f"the newest backup, {newest['label']}, is {age / 3600:.0f} hours old"
            yield f"- {text}: journalctl -u 'postgres-backup@*'"
        else:
            yield f"+ {len(backups)} backups, the newest {newest['label']}"


def vote(facts: Path, *words: str) -> None:
    """Run a command of the script beside etcd.

    Args:
        facts: What this host knows.
        words: The command.

    Raises:
        Trouble: If it fails, after what it has said itself.
    """
    sys.stdout.flush()
    if subprocess.run([json.loads(facts.read_text())["member"], *words], check=False).returncode:
        raise Trouble(f"{words[0]} failed, see above")


def upgrade(facts: Path, repository: Repository | None) -> None:
    """Bring new minor versions to this host.

    Args:
        facts: What this host knows.
        repository: The repository, if it has one.

    Raises:
        Trouble: While a backup is being made.
    """
    shown = ["systemctl", "list-units", "--plain", "--no-legend", "--state=activating", "postgres-backup@*"]
    if subprocess.run(shown, capture_output=True, text=True, check=True).stdout:
        raise Trouble("a backup is being made, and would not survive it: come back when `postgres-pair backups` has it")
    vote(facts, "upgrade", *json.loads(facts.read_text())["packages"])
    if repository:
        subprocess.run(["systemctl", "restart", "pgbackrest.service"], check=True)


def main(arguments: list[str]) -> int:
    """Run as a command; returns its exit code."""
    verb, *rest = arguments or ["help"]
    repository = Repository(_REPOSITORY) if _REPOSITORY.exists() else None
    try:
        if verb == "status":
            vote(_FACTS, "status")
            sys.stdout.write("".join(f"{line}\n" for line in repository.findings()) if repository else "")
        elif verb == "upgrade":
            upgrade(_FACTS, repository)
        elif verb not in ("begin", "backup", "backups") or (verb == "backup" and rest and rest[0] not in _KINDS):
            sys.stdout.write(__doc__ or "")
            return 0 if verb in ("help", "--help") else 2
        elif repository is None:
            raise Trouble("this pair has no backups: set backup")  # noqa: TRY301
        elif verb == "begin":
            repository.begin()
        elif verb == "backups":
            os.execvp("runuser", repository.command("info", *rest))  # noqa: S606
        else:
            kind = f"--type={(rest or ['diff'])[0]}"
            os.execvp("runuser", repository.command(kind, "--log-level-console=info", "backup"))  # noqa: S606
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
