"""What the witness has where a pair has backups: the repository, and timers that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from components.host import Check, Directory, File, RoleSpec, Unit, Validation, with_parents
from components.inputs import secret
from components.postgres_ha_pair import rendering
from components.postgres_ha_pair.member import PGBACKREST_CONF, SERVER, Member, pgbackrest_directories
from components.postgres_ha_pair.rendering import LIBRARY, PGBACKREST, TIMERS
from components.postgres_ha_pair.settings import BackupSettings

_UNITS: Final = "/etc/systemd/system"
_SECRETS: Final = f"{PGBACKREST}/conf.d/secrets.conf"
_TLS: Final = f"{PGBACKREST}/tls"


def repository_files(witness: Member, backup: BackupSettings) -> Iterator[File]:
    """Yield the files of the repository's host.

    Args:
        witness: The host.
        backup: How backups are made.
    """
    settings = witness.settings
    yield File(path=f"{LIBRARY}/repository.json", content=rendering.repository_facts(settings, backup))
    yield File(path=PGBACKREST_CONF, content=witness.rendered(rendering.pgbackrest_of_repository))
    yield File(
        path=_SECRETS,
        content=secret(rendering.pgbackrest_secrets(backup)),
        mode=0o600,
        owner="postgres",
        group="postgres",
        secret=True,
    )
    yield from witness.certificates(_TLS, "postgres")
    if backup.s3 and backup.s3.authority:
        yield File(path=f"{_TLS}/s3.crt", content=backup.s3.authority)
    yield File(path=f"{_UNITS}/postgres-backup@.service", content=rendering.backup_unit(settings))
    for kind, timer in TIMERS.items():
        yield File(path=f"{_UNITS}/{timer}", content=rendering.backup_timer(settings, backup, kind))


def repository_spec(witness: Member, backup: BackupSettings) -> RoleSpec:
    """Say what the repository puts on its host.

    Args:
        witness: The host.
        backup: How backups are made.
    """
    served = (PGBACKREST_CONF, _SECRETS, *(f"{_TLS}/{name}" for name in ("root.crt", "node.crt", "node.key")))
    return RoleSpec(
        name="backup",
        packages=("pgbackrest",),
        directories=(
            *pgbackrest_directories(),
            Directory(path=f"{PGBACKREST}/conf.d"),
            Directory(path=_TLS),
            Directory(path=LIBRARY),
            *([] if backup.s3 else _repository_directories(backup.directory)),
        ),
        files=tuple(repository_files(witness, backup)),
        units=(
            Unit(name=SERVER, reload_on=served),
            *(Unit(name=timer, restart_on=(f"{_UNITS}/{timer}",)) for timer in TIMERS.values()),
        ),
        validations=tuple(
            Validation(name=f"systemd-analyze calendar {each!r}", command=f"systemd-analyze calendar -- '{each}'")
            for each in (backup.full, backup.differential)
        ),
        checks=(
            Check(
                name="pgBackRest's server answers", command="runuser -u postgres -- pgbackrest server-ping", timeout=30
            ),
        ),
    )


def _repository_directories(directory: str) -> list[Directory]:
    *above, last = with_parents(directory)
    return [*above, Directory(path=last.path, mode=0o750, owner="postgres", group="postgres")]
