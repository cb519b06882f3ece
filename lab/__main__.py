"""What must be there before the lab's hosts are created, and gone after they were destroyed.

stack: the dev stack's back end in .state/, and the shell lines with which the Pulumi CLI finds it.
ensure: Docker runs and has the image (that of nodes too, if the dev stack has a cluster), the kernel allows enough
hosts, and the lab's subnets are free. Safe to repeat, and to run twice at a time.
status: what there is of every lab.
cluster build: the image of the nodes of labs with a Kubernetes cluster, from package registries alone.
cluster why: what keeps a lab's cluster from being well; exit code 1 if anything does.
down: removes containers, networks and volumes that a lab left behind; with --all those of every lab, the images, the
cache, and the dockerd that `ensure` started.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import time

from rich.box import SIMPLE
from rich.table import Table

from components.settings import InvalidConfigurationError, load
from lab import cache_service, daemon, host_image, images, limits, network, removal, stack, workspace
from lab.cluster import health, node_image
from lab.console import LabError, answer, console
from lab.settings import HOST_LABEL, LAB_LABEL, LabSettings


def ensure(settings: LabSettings) -> None:
    """Makes everything ready for the lab's hosts."""
    started = time.monotonic()
    with workspace.locked():
        version = daemon.ensure()
        limits.raise_them()
        image = host_image.ensure()
        dev = stack.settings()
        if dev.nodes:
            node_image.ensure()
    network.check(settings)
    console.print(f"Lab: Docker {version} and {image} are ready ({time.monotonic() - started:.1f} s).")
    if told := cache_service.told(dev):
        console.print(f"Dev stack: {told}.")


def build_cluster() -> None:
    """Makes everything ready for the nodes of a cluster."""
    started = time.monotonic()
    with workspace.locked():
        daemon.ensure()
        limits.raise_them()
        image = node_image.ensure()
    console.print(f"Cluster: {image} is ready ({time.monotonic() - started:.1f} s).")


def tell_why(lab: str) -> int:
    """Prints what keeps a lab's cluster from being well; returns how many things do, at most 1."""
    found = health.problems(lab)
    for problem in found:
        console.print(problem, markup=False)
    if not found:
        console.print("The cluster is well: every unit runs, every node is ready, every pod runs.")
    return min(len(found), 1)


def status() -> None:
    """Prints a table of every lab's containers."""
    version = daemon.version()
    if not version:
        console.print("No Docker daemon answers, so there is no lab. Start it with: python -m lab ensure")
        return
    image = host_image.reference()
    current = {image, node_image.reference()}
    columns = {
        "lab": f'{{{{.Label "{LAB_LABEL}"}}}}',
        "host": f'{{{{.Label "{HOST_LABEL}"}}}}',
        "container": "{{.Names}}",
        "state": "{{.Status}}",
        "image": "{{.Image}}",
    }
    table = Table(*columns, box=SIMPLE)
    listing = answer("docker", "ps", "--all", f"--filter=label={LAB_LABEL}", "--format", "\t".join(columns.values()))
    for line in sorted((listing or "").splitlines()):
        *facts, of = line.split("\t")
        table.add_row(*facts, "current" if of in current else "older")
    console.print(f"Docker {version}, image {image}")
    console.print(table if table.rows else "There is no lab.")


def down(lab: str | None) -> None:
    """Removes what a lab, or every lab, has in Docker."""
    if not daemon.version():
        console.print("No Docker daemon answers, so no lab runs.")
        return
    removal.remove(lab)


def erase() -> None:
    """Removes what all labs share: the images, the cache, and the daemon if the lab started it."""
    made = images.made()
    if made:
        answer("docker", "image", "rm", "--force", *made, timeout=120)
    daemon.stop()
    shutil.rmtree(workspace.directory())
    console.print(f"Removed: {len(made)} images and the cache")


def main() -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lab", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = LabSettings()
    ensuring = commands.add_parser("ensure", help="make Docker, the image and the subnets ready")
    ensuring.add_argument("--prefix", default=defaults.prefix, help="the lab's lab.prefix (default: %(default)s)")
    ensuring.add_argument("--subnet", default=defaults.subnet, help="its lab.subnet (default: %(default)s)")
    ensuring.add_argument("--subnet6", default=defaults.subnet6, help="its lab.subnet6 or none (default: %(default)s)")
    commands.add_parser("stack", help="prepare the dev stack's back end and print its environment")
    clustering = commands.add_parser("cluster", help="build a cluster's image, or say why a cluster is not well")
    clustering.add_argument("what", choices=["build", "why"])
    clustering.add_argument("--prefix", default=defaults.prefix, help="the lab's lab.prefix (default: %(default)s)")
    commands.add_parser("status", help="show what there is of every lab")
    downing = commands.add_parser("down", help="remove what a lab left behind")
    downing.add_argument("--prefix", default=defaults.prefix, help="the lab's lab.prefix (default: %(default)s)")
    downing.add_argument(
        "--all", action="store_true", help="every lab, and the images, the cache and the dockerd started here"
    )
    given = parser.parse_args()
    try:
        match given.command:
            case "ensure":
                subnet6 = None if given.subnet6 == "none" else given.subnet6
                lab = {"prefix": given.prefix, "subnet": given.subnet, "subnet6": subnet6}
                ensure(load(LabSettings, lab, "lab"))
            case "stack":
                with contextlib.redirect_stdout(sys.stderr):  # what is printed is for a shell's eval
                    stack.prepare()
                print(stack.exports(), end="")
            case "cluster" if given.what == "build":
                build_cluster()
            case "cluster":
                return tell_why(given.prefix)
            case "status":
                status()
            case _:
                with workspace.locked():
                    down(None if given.all else given.prefix)
                    if given.all:
                        erase()
    except (LabError, InvalidConfigurationError) as error:
        console.print(f"lab: {error}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
