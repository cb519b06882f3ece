"""Verify the stack that the environment selects: `python -m verification`, or `make verify`.

Exit code 0: sealed. 1: open, or something could not be checked. 2: there is nothing that could be verified.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from rich.console import Console

from policies.exceptions import Exemption
from verification.export import ROOT, UnusableStackError, export
from verification.families import FAMILIES
from verification.model import Network, Stack
from verification.report import LOGIN, SEALED
from verification.run import verify
from verification.stack import read

_REPORT: Final = ROOT / "build" / "verification.json"
_EXIT_OPEN: Final = 1
_EXIT_UNUSABLE: Final = 2
_LOGIN: Final = "Every host answers under its pinned key, and every cluster as its kubeconfig says."
_LEGEND: Final = {LOGIN: _LOGIN} | {each.name: each.summary for each in FAMILIES}


def main() -> int:
    """Read the stack, verify it, report."""
    options = _options()
    console = Console(stderr=options.json, highlight=False)
    try:
        with console.status("reading the state of the stack") as status:
            stack = _stack(options)
            report = asyncio.run(verify(stack, status.update))
    except UnusableStackError as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_UNUSABLE
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(report.as_json())
    if options.json:
        sys.stdout.write(report.as_json())
    else:
        report.show(console, _LEGEND)
    return 0 if report.verdict == SEALED else _EXIT_OPEN


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m verification", description=_summary())
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--output", type=Path, default=_REPORT, metavar="FILE", help="where the JSON report is written")
    parser.add_argument(
        "--client-network",
        type=ip_network,
        action="append",
        default=[],
        metavar="CIDR",
        help="network from which a cache may have clients of its own, such as a cluster's pods; may be repeated",
    )
    parser.add_argument(
        "--policy-pack-config",
        type=Path,
        metavar="FILE",
        help="the policy pack's configuration, for its exceptions",
    )
    return parser.parse_args()


def _summary() -> str:
    return (__doc__ or "").partition("\n")[0]


def _stack(options: argparse.Namespace) -> Stack:
    networks: tuple[Network, ...] = tuple(options.client_network)
    return replace(read(export()), client_networks=networks, exemptions=_exemptions(options.policy_pack_config))


def _exemptions(path: Path | None) -> dict[str, tuple[Exemption, ...]]:
    if path is None:
        return {}
    try:
        policies = json.loads(path.read_text())
        return {
            policy: tuple(Exemption.of(item) for item in settings.get("exceptions", ()))
            for policy, settings in policies.items()
            if isinstance(settings, dict)
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UnusableStackError(f"{path}: cannot be read as the policy pack's configuration: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
