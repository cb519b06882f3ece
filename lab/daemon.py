"""A Docker daemon for the lab: the one that runs, else one that this starts."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab import workspace
from lab.console import LabError, answer, console, step

START_SECONDS = 60
"""How long a daemon may take to answer; the first start of a data root is the slow one."""
STOP_SECONDS = 30
"""How long a daemon may take to stop its containers."""

_SYSTEMD = Path("/run/systemd/system")  # there exactly when systemd is PID 1: sd_booted(3)


def version() -> str | None:
    """The version of the daemon that answers, or None."""
    return answer("docker", "version", "--format", "{{.Server.Version}}")


def ensure() -> str:
    """Returns the running daemon's version, after installing and starting one where that is needed and possible.

    Raises:
        LabError: No daemon answers and none can be had here; with the fix.
    """
    running = version()
    if running:
        return running
    if remote := os.environ.get("DOCKER_HOST"):
        raise LabError(
            f"DOCKER_HOST is {remote}, and no Docker daemon answers there. Start that one or unset DOCKER_HOST."
        )
    if os.geteuid() != 0:
        raise LabError(
            "No Docker daemon answers this user. Start Docker and let the user in (sudo usermod -aG docker $USER, then "
            "log in again), or run this as root."
        )
    if not (shutil.which("docker") and shutil.which("dockerd")):
        _install()
    if not version():
        _start()
    return version() or "?"


def _install() -> None:
    install_debian_packages("Docker is missing: installing Debian's docker.io", "docker.io")
    if not shutil.which("docker"):  # from Debian 13 on the client is a package of its own
        install_debian_packages("Installing Docker's client", "docker-cli")


def install_debian_packages(why: str, *packages: str) -> None:
    """Installs packages with apt, saying why.

    Raises:
        LabError: This is no Debian, or not root.
    """
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise LabError(
            f"{why}: only possible with apt and as root. Install {' '.join(packages)} yourself, then run this again."
        )
    with step(why) as current:
        current.run("apt-get", "update", "-q")
        # In this runlevel invoke-rc.d starts no daemon of the package's: who wants it started, starts it.
        noninteractive = ("env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-q", "-y")
        current.run(*noninteractive, "--no-install-recommends", *packages)


def _start() -> None:
    if _SYSTEMD.is_dir():
        with step("Docker is stopped: starting it with systemd") as current:
            current.run("systemctl", "start", "docker.service")
            _await()
    else:
        log = workspace.directory() / "dockerd.log"
        with step(f"Docker is stopped and there is no systemd: starting dockerd by hand, log in {log}"):
            _forget_dead()
            with log.open("ab") as output:
                process = subprocess.Popen(
                    ["dockerd", "--pidfile", _pidfile()],
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            _await(process, log)


def _await(process: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not version():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log else "See journalctl -u docker."
            raise LabError(f"dockerd {'ended' if ended else f'does not answer after {START_SECONDS} s'}:\n{tail}")
        time.sleep(0.2)


def _pidfile() -> Path:
    return workspace.directory() / "dockerd.pid"


def started_here() -> int | None:
    """The process id of the daemon that the lab started by hand, if it still runs."""
    try:
        pid = int(_pidfile().read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    # The number may be another process by now; only our daemon was started with our file, and a dead one has no words.
    return pid if os.fsencode(_pidfile()) in command.split(b"\0") else None


def _forget_dead() -> None:
    # dockerd refuses to start while the number in the file is any process at all.
    if not started_here():
        _pidfile().unlink(missing_ok=True)


def stop() -> None:
    """Stops the daemon if the lab started it; any other is left alone."""
    pid = started_here()
    if not pid:
        return
    with step("Stopping the dockerd that the lab started"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while started_here():
            if time.monotonic() > deadline:
                raise LabError(f"dockerd (process {pid}) still runs {STOP_SECONDS} s after SIGTERM.")
            time.sleep(0.2)
    console.print("Its bridge docker0, its firewall rules and inotify's limit stay until the machine restarts.")
