"""The dev stack's back end: state, passphrase and configuration in `.state/`, which no commit ever holds.

Pulumi writes the salt of a stack's encryption into the stack's configuration file. The dev stack's secrets are made
anew on every machine, so it works on a copy: the committed `Pulumi.dev.yaml` stays as it is.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings import load
from lab import removal
from lab.console import LabError, console
from lab.settings import LabSettings

STACK: Final = "dev"
ROOT: Final = Path(__file__).resolve().parent.parent
STATE: Final = ROOT / ".state"
_SALT: Final = "encryptionsalt"


def environment() -> dict[str, str]:
    """What the Pulumi CLI needs in its environment to work on the dev stack."""
    return {
        "PULUMI_BACKEND_URL": f"file://{STATE}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(STATE / "passphrase"),
        "PULUMI_OPTION_STACK": STACK,
        "PULUMI_OPTION_CONFIG_FILE": str(_configuration()),
    }


def exports() -> str:
    """The same as lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment().items())


def prepare() -> None:
    """Makes the back end and the stack if they are missing, and takes over changes of `Pulumi.dev.yaml`."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    _passphrase()
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    (STATE / "Pulumi.yaml").write_text(yaml.safe_dump({"name": project["name"], "runtime": "python"}))
    salt = _read(_configuration()).get(_SALT)
    configuration = _read(ROOT / f"Pulumi.{STACK}.yaml")
    if salt is not None:
        configuration[_SALT] = salt
    _configuration().write_text(yaml.safe_dump(configuration, sort_keys=False))
    if salt is None:
        _pulumi("stack", "init", STACK)
        _remove_strangers()


def settings() -> LabSettings:
    """The lab of the dev stack, as `Pulumi.dev.yaml` says it."""
    configuration = _read(ROOT / f"Pulumi.{STACK}.yaml")
    return load(LabSettings, configuration["config"]["sealed-data-tier:lab"] or {}, "lab")


def _remove_strangers() -> None:
    """Removes a lab of the same name that some other state, now gone or elsewhere, knew: it could not be taken over."""
    prefix = settings().prefix
    if removal.remains(prefix):
        console.print(f"Removing a lab {prefix!r} that this checkout's state does not know …")
        removal.remove(prefix)


def _configuration() -> Path:
    return STATE / f"Pulumi.{STACK}.yaml"


def _passphrase() -> None:
    path = STATE / "passphrase"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _pulumi(*arguments: str) -> str:
    """Runs the CLI beside its own project file, where it may write."""
    here = {name: value for name, value in environment().items() if not name.startswith("PULUMI_OPTION_")}
    command = [str(ROOT / "toolchain" / "pulumi"), "--cwd", str(STATE), "--non-interactive", *arguments]
    run = subprocess.run(command, env={**os.environ, **here}, capture_output=True, text=True, check=False)
    if run.returncode:
        raise LabError(f"pulumi {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout
