"""Real Pulumi projects on real lab hosts, as tests hold them."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from lab import removal
from lab import stack as dev_stack

ROOT: Final = Path(__file__).resolve().parents[2]
_LIMIT_S: Final = 600


def difference(before: Sequence[str], after: Sequence[str]) -> str:
    """The lines that changed, empty if none did."""
    return "\n".join(difflib.unified_diff(before, after, n=0, lineterm=""))


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class Outcome:
    """How a run of the CLI ended."""

    code: int
    text: str

    @property
    def unchanged(self) -> bool:
        """Whether the run changed nothing."""
        verbs = ("created", "updated", "replaced", "deleted")
        return self.code == 0 and all(f" {verb}" not in self._summary for verb in verbs)

    @property
    def _summary(self) -> str:
        return self.text.rpartition("Resources:")[2]


@dataclass(frozen=True)
class Project:
    """A Pulumi project and its one stack.

    Attributes:
        directory: Where its Pulumi.yaml is.
        environment: What the CLI needs to find its state.
        name: Its name, and the namespace of its configuration.
    """

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "scratch"

    @staticmethod
    def create(
        directory: Path,
        program: str,
        config: Mapping[str, Any] | None = None,
        *,
        lab: str | None = None,
        name: str = "scratch",
        beside: Project | None = None,
    ) -> Project:
        """Make a project of its own with its own state.

        Args:
            directory: An empty directory.
            program: Python text of the program.
            config: The stack's configuration by key without the project's name.
            lab: Prefix of the lab that the program makes; what a run that was cut off left of it is removed.
            name: The project's name.
            beside: Another project with which it shares a back end, so that their stacks can refer to each other.
        """
        if lab is not None:
            removal.remove(lab)
        state = directory / "state"
        state.mkdir()
        runtime = {"name": "python", "options": {"virtualenv": str(ROOT / ".venv")}}
        (directory / "Pulumi.yaml").write_text(yaml.safe_dump({"name": name, "runtime": runtime}))
        (directory / "__main__.py").write_text(program)
        environment = {
            "PULUMI_BACKEND_URL": beside.environment["PULUMI_BACKEND_URL"] if beside else f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "only for this test",
            "PULUMI_OPTION_STACK": "test",
            "PYTHONPATH": str(ROOT),
        }
        project = Project(directory, environment, name)
        project.configure(config or {})
        project.pulumi("stack", "init")
        return project

    @staticmethod
    def dev() -> Project:
        """The dev stack of this repository."""
        dev_stack.prepare()
        return Project(ROOT, dev_stack.environment())

    def configure(self, config: Mapping[str, Any]) -> None:
        """Set the stack's configuration by key, other namespaces' with those, keeping the salt of its encryption."""
        path = self.directory / "Pulumi.test.yaml"
        known = yaml.safe_load(path.read_text()) if path.exists() else {}
        salt = {key: value for key, value in (known or {}).items() if key != "config"}
        values = {key if ":" in key else f"{self.name}:{key}": value for key, value in config.items()}
        path.write_text(yaml.safe_dump({**salt, "config": values}))

    def program(self, text: str) -> None:
        """Replace the program."""
        (self.directory / "__main__.py").write_text(text)

    def pulumi(self, *arguments: str, check: bool = True, stdin: str = "") -> Outcome:
        """Run the CLI.

        Args:
            arguments: Its arguments.
            check: Whether a failure is an error.
            stdin: What it reads.

        Raises:
            AssertionError: When it failed although `check` is set, with everything it said.
        """
        run = self.start(*arguments)
        text, _ = run.communicate(stdin, timeout=_LIMIT_S)
        assert not check or run.returncode == 0, f"pulumi {' '.join(arguments)} ended with {run.returncode}:\n{text}"
        return Outcome(run.returncode, text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the CLI and return at once."""
        return subprocess.Popen(
            [str(ROOT / "toolchain" / "pulumi"), "--non-interactive", "--color=never", *arguments],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi up` without asking."""
        return self.pulumi("up", "--yes", "--skip-preview", *options, check=check)

    def destroy(self, check: bool = True) -> Outcome:
        """Run `pulumi destroy` without asking."""
        return self.pulumi("destroy", "--yes", "--skip-preview", check=check)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets included."""
        listing = self.pulumi("stack", "output", "--json", "--show-secrets").text
        return dict(json.loads(listing))
