"""Verification as an auditor runs it: a process, its exit code and its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.integration.support import ROOT, Project

_LIMIT_S: Final = 120


@dataclass(frozen=True)
class Verdict:
    """What a run of `python -m verification` told."""

    code: int
    checks: list[dict[str, object]]
    text: str

    def problems(self, name: str, host: str) -> str:
        """Every problem of one family on one host, as one text."""
        mine = [check for check in self.checks if (check["name"], check["host"]) == (name, host)]
        return "\n".join(str(check["detail"]) for check in mine if not check["ok"])

    @property
    def wrong(self) -> set[tuple[object, object]]:
        """Family and host of everything that is not well."""
        return {(check["name"], check["host"]) for check in self.checks if not check["ok"]}


def verify(project: Project, report: Path, *options: str) -> Verdict:
    """Verify a stack and read the report."""
    report.unlink(missing_ok=True)
    run = run_verification(project.environment, "--output", str(report), *options)
    content = json.loads(report.read_text())
    assert (run.returncode == 0) is (content["verdict"] == "sealed"), run.stderr
    return Verdict(run.returncode, content["checks"], run.stdout + run.stderr)


def run_verification(environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    return subprocess.run(
        [sys.executable, "-m", "verification", *options],
        cwd=ROOT,
        env={**os.environ, **environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
