"""What the kernel has to allow before many systemd hosts fit on one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lab.console import console

ENOUGH: Final = 1024
"""inotify(7) instances of one user; systemd and D-Bus take six on each host, and kernels begin with 128."""

_INSTANCES: Final = Path("/proc/sys/fs/inotify/max_user_instances")


def raise_them() -> None:
    """Let about 170 hosts live at a time, until the machine restarts; whoever may not do that is told how."""
    if "DOCKER_HOST" in os.environ or not _INSTANCES.exists():
        return  # the hosts are to live elsewhere, or in a virtual machine
    if (allowed := int(_INSTANCES.read_text())) >= ENOUGH:
        return
    if os.geteuid() != 0:
        console.print(
            f"The kernel allows {allowed} inotify instances, six for each lab host, and hosts beyond do not boot. For "
            f"more of them: sudo sysctl fs.inotify.max_user_instances={ENOUGH}"
        )
        return
    _INSTANCES.write_text(f"{ENOUGH}\n")
    console.print(f"Set fs.inotify.max_user_instances from {allowed} to {ENOUGH}, until the machine restarts.")
