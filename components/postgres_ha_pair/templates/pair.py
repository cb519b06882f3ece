#!/usr/bin/python3
"""One data node of a pair: what surrounds Patroni's own start and reload, and what a person wants to do with the pair.

    postgres-pair list | switchover | reinit NODE | pause | resume | restart …   patronictl, with its configuration
    postgres-pair backups       what backups there are
    postgres-pair restore [--time TIME] [--set BACKUP] --force
                                on the leader: take the whole pair back to a time, or to a backup
    postgres-pair upgrade       new packages of all that the pair runs on this node, which must not lead, and a restart
    postgres-pair status        how this node is, a line each, "+ what is well" or "- what is not"

By systemd and by the role that puts this here:

    postgres-pair prepare       before a start and a reload: what only the host knows, and before the first one a backup
    postgres-pair examine FACTS FILE…   whether Patroni would start with these files, and with the data that is here
    postgres-pair examine-backups FACTS FILE…   whether a pair that is new may begin beside what the repository has
    postgres-pair healthy       exit code 0 once this node serves, and has what was written
    postgres-pair accounts      on the leader: roles and databases as written; elsewhere nothing
    postgres-pair settle        until roles and databases are as written, wherever the leader is
    postgres-pair settle-all    the same, then parameters, the restarts that they need, and both nodes in sync
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

_FACTS: Final = Path("/usr/local/lib/postgres-pair/pair.json")
_ANSWER_S: Final = 5
_RESTART_S: Final = 120  # for one restart, or one switchover
_ARCHIVED_S: Final = 60  # in which a segment of WAL reaches the repository
_NO_ANSWER: Final = 99  # info's status code of a repository that it could not read
# What pgBackRest tells a server whose data it restored.
_REPLAY: Final = ("restore_command", "recovery_target", "recovery_target_time", "recovery_target_action")
# backup.bootstrap's word for all that the repository has.
_LATEST: Final = "latest"
# What a data directory holds while it is restored: pgBackRest's list, the order to replay, and a note of our own.
_NOTE: Final = "bootstrap.unfinished"
_UNFINISHED: Final = ("backup.manifest", "recovery.signal", _NOTE)
# By which pgBackRest is told where files are that are staged.
_OPTIONS: Final = ("config", "repo1-host-ca-file", "repo1-host-cert-file", "repo1-host-key-file")
_TIMELINE: Final = "Latest checkpoint's TimeLineID"
_SOCKETS: Final = Path("/var/run/postgresql")
# What Debian's own clusters are configured by, each in a directory of its own (pg_createcluster(1)).
_CLUSTERS: Final = Path("/etc/postgresql")
_DATA_DIRECTORY: Final = re.compile(r"^\s*data_directory\s*=?\s*'([^']*)'", re.MULTILINE)
_WATCHDOG: Final = Path("/dev/watchdog")
_MB: Final = 1024 * 1024
_GB: Final = 1024 * _MB
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)  # protocol.sgml, "SSLRequest"
# pg_controldata's word for a cluster without page checksums.
_NO_CHECKSUMS: Final = "0"


class Trouble(Exception):  # noqa: N818 - it is what a person is told
    """Something that is not as it should be, in words."""


class Pair:
    """What this node knows of the pair."""

    def __init__(self, facts: Path) -> None:
        known = json.loads(facts.read_text())
        self.scope: str = known["scope"]
        self.name: str = known["name"]
        self.address: str = known["address"]
        self.nodes: dict[str, str] = known["nodes"]
        self.etcd: list[str] = known["etcd"]
        self.etcd_tls = Path(known["etcdTls"])
        self.port: int = known["port"]
        self.rest_port: int = known["restPort"]
        self.virtual_addresses: list[str] = known["virtualAddresses"]
        self.version: int = known["version"]
        self.data = Path(known["data"])
        self.binaries = Path(known["binaries"])
        self.connections: int = known["connections"]
        self.memory: dict[str, str] = known["memory"]
        self.adopt: bool = known["adopt"]
        self.watchdog: str = known["watchdog"]
        self.repository: str = known["repository"]
        self.first: str = next(iter(self.nodes))
        self.bootstrap: str = known["bootstrap"]
        self.settle_seconds: int = known["settleSeconds"]
        self.configuration = Path(known["configuration"])
        self.library = Path(known["library"])
        self.run = Path(known["run"])
        self.sysctl = Path(known["sysctl"])
        self.tls = Path(known["tls"])
        self.packages: list[str] = known["packages"]
        self.member: str = known["member"]
        # There from the start of a restore until somebody leads with it: empty, then system identifier and timeline.
        self.mark = self.library / "bootstrap"
        self.failure = self.run / "bootstrap.error"

    # --- asking --------------------------------------------------------------------------------------------------

    def rest(self, path: str, *, node: str = "", method: str = "GET", body: object = None, limit: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Ask a node's REST API; what changes something shows this node's certificate."""
        address = self.nodes[node or self.name]
        host = f"[{address}]" if ":" in address else address
        context = ssl.create_default_context(cafile=str(self.tls / "root.crt"))
        context.load_cert_chain(self.tls / "node.crt", self.tls / "node.key")
        request = urllib.request.Request(
            f"https://{host}:{self.rest_port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=limit or _ANSWER_S, context=context) as answer:  # noqa: S310
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            # It tells of itself with 503 where it is not what was asked for.
            text = error.read().decode()
            if method != "GET" or not text.startswith("{"):
                raise Trouble(f"Patroni on {node or self.name} refuses {method} {path}: {text.strip()[:300]}") from None
        except (OSError, ValueError) as error:
            raise Trouble(f"Patroni on {node or self.name} does not answer: {error}") from None
        return json.loads(text) if text.startswith("{") else text

    def sql(self, text: str, directory: Path = _SOCKETS) -> str:
        """Run SQL as postgres, by the local socket in a directory."""
        command = ["runuser", "-u", "postgres", "--", str(self.binaries / "psql"), "-XAtq", "-F", "\t"]
        command += ["-v", "ON_ERROR_STOP=1", "-h", str(directory), "-p", str(self.port), "-d", "postgres"]
        run = subprocess.run(command, input=text, capture_output=True, text=True, cwd="/", check=False)
        if run.returncode:
            # The statement itself may hold a password's hash: only what the server says of it is told.
            words = ("ERROR", "FATAL", "connection")
            said = [line for line in run.stderr.splitlines() if any(word in line for word in words)]
            raise Trouble("; ".join(said)[:500] or "psql failed")
        return run.stdout

    def etcd_value(self, key: str) -> str:
        """Return what etcd has at a key of the pair, empty if nothing."""
        return self._etcd("get", key, "--print-value-only")

    def _etcd(self, verb: str, key: str, *words: str) -> str:
        tls = self.etcd_tls
        command = ["etcdctl", "--endpoints", ",".join(self.etcd), "--command-timeout", f"{_ANSWER_S}s"]
        command += ["--cacert", str(tls / "root.crt"), "--cert", str(tls / "administrator.crt")]
        command += ["--key", str(tls / "administrator.key"), verb, f"/service/{self.scope}/{key}", *words]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise Trouble(f"etcd does not answer: {run.stderr.strip()[-300:]}")
        return run.stdout.strip()

    def control_data(self) -> dict[str, str]:
        """Return what pg_controldata says of the data directory."""
        command = [str(self.binaries / "pg_controldata"), str(self.data)]
        run = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C"}, check=False)
        if run.returncode:
            raise Trouble(f"{self.data} cannot be read: {run.stderr.strip()[-300:]}")
        pairs = (line.partition(":") for line in run.stdout.splitlines())
        return {name: value.strip() for name, _, value in pairs}

    # --- before a start ------------------------------------------------------------------------------------------

    def may_start(self) -> bool:
        """Refuse data that is not the pair's, and tell whether it is about to become so.

        Raises:
            Trouble: With the directory and the fix.
        """
        version = self.data / "PG_VERSION"
        if self._unfinished():
            return False
        if not version.exists():
            left = [each.name for each in self.data.iterdir()] if self.data.is_dir() else []
            if left:
                raise Trouble(f"{self.data} holds {left[0]} and no cluster: move that away, or set dataDirectory")
            return False
        if (found := version.read_text().strip()) != str(self.version):
            text = f"{self.data} is a cluster of PostgreSQL {found}, not {self.version}"
            raise Trouble(f"{text}: set version, or dataDirectory")
        self.refuse_second_start()
        has = self.control_data()
        own, known = has["Database system identifier"], self.etcd_value("initialize")
        if known == own:
            self._refuse_older_than_restore(has)
            return False
        if not known and self._restored().startswith(f"{own} "):
            return False
        if known:
            text = f"{self.data} holds another cluster ({own}) than the pair's ({known})"
            raise Trouble(f"{text}: move it away, and this node copies the pair's")
        if not self.adopt:
            text = f"{self.data} holds a cluster already, and etcd knows of none"
            raise Trouble(f"{text}: set adopt: {self.name} to go on with it, or move it away")
        if self._has_server():
            raise Trouble(f"a server runs with {self.data}: stop it, and see that nothing starts it again")
        if has.get("Data page checksum version") == _NO_CHECKSUMS:
            text = f"{self.data} has no checksums, without which damage is not seen and nothing can be rewound"
            raise Trouble(f"{text}: stop its server and run {self.binaries}/pg_checksums --enable -D {self.data}")
        return True

    def _has_server(self) -> bool:
        """Whether a server runs with the data; its file stays behind when it dies."""
        known = self.data / "postmaster.pid"
        process = known.read_text().partition("\n")[0] if known.exists() else "0"
        comm = Path(f"/proc/{process}/comm")
        return comm.exists() and comm.read_text().strip() == "postgres"

    def refuse_second_start(self) -> None:
        """Refuse a cluster that Debian's own unit starts at boot: it would be the first there, with other settings."""
        for configuration in _CLUSTERS.glob("*/*/postgresql.conf"):
            named = _DATA_DIRECTORY.search(configuration.read_text())
            start = configuration.with_name("start.conf")
            words = re.findall(r"^\s*(\w+)", start.read_text(), re.MULTILINE) if start.exists() else []
            if named and Path(named[1]).resolve() == self.data.resolve() and words in ([], ["auto"]):
                unit = f"postgresql@{configuration.parent.parent.name}-{configuration.parent.name}"
                text = f"{unit} starts {self.data} at boot, beside Patroni"
                raise Trouble(f"{text}: systemctl stop {unit}, and write `disabled` into {start}")

    def prepare(self) -> None:
        """Put in order what is there, and write what only the host knows."""
        user = pwd.getpwnam("postgres")
        if self.data.is_dir() and self.data.stat().st_uid != user.pw_uid:
            # The account may have come anew, with another number, after the data had been kept.
            subprocess.run(["chown", "-R", "postgres:postgres", str(self.data)], check=True)
        running = self.is_running()
        if not running:
            self.begin()
        adopted = False if running else self.may_start()
        if (self.data / "PG_VERSION").exists():
            self._take_over_configuration(user)
        if adopted:
            self._adopt(user)
        if self.sysctl.exists():
            subprocess.run(["sysctl", "-q", "-p", str(self.sysctl)], check=False)
        if self.watchdog != "off" and _WATCHDOG.is_char_device():
            os.chown(_WATCHDOG, user.pw_uid, -1)  # the unit gives it back
        self.run.mkdir(mode=0o755, exist_ok=True)
        self._publish(self.configuration / "30-host.yml", self.own_configuration(), user)

    def _take_over_configuration(self, user: pwd.struct_passwd) -> None:
        """Debian keeps the configuration elsewhere; Patroni wants one beside the data, to build its own on."""
        if not any((self.data / name).exists() for name in ("postgresql.conf", "postgresql.base.conf")):
            self._publish(self.data / "postgresql.conf", "", user)

    def _adopt(self, user: pwd.struct_passwd) -> None:
        """Give a cluster the roles without which Patroni would never let it lead; reached by a socket of its own."""
        place = self.run / "adoption"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(place, user.pw_uid, user.pw_gid)
        self._publish(place / "pg_hba.conf", "local all postgres peer\n", user)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(place),
            "hba_file": str(place / "pg_hba.conf"),
            "port": str(self.port),
            "synchronous_standby_names": "",
            "ssl": "off",
        }
        given = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        control = ["runuser", "-u", "postgres", "--", str(self.binaries / "pg_ctl"), "-D", str(self.data), "-w", "-s"]
        log = str(place / "log")
        started = subprocess.run([*control, "-l", log, "-o", given, "start"], cwd="/", check=False)
        if started.returncode:
            raise Trouble(f"{self.data} does not start: {(place / 'log').read_text().strip()[-500:]}")
        try:
            if self.sql("SELECT pg_is_in_recovery()", place).strip() == "t":
                subprocess.run([*control, "promote"], cwd="/", check=True)
            self.sql((self.library / "accounts.sql").read_text(), place)
        finally:
            subprocess.run([*control, "-m", "fast", "stop"], cwd="/", check=False)
            shutil.rmtree(place, ignore_errors=True)

    def own_configuration(self) -> str:
        """Return 30-host.yml: memory, and the certificates that the REST API reads."""
        known = {
            "restapi": {"cafile": self._named_by_content("root"), "certfile": self._named_by_content("node")},
            "postgresql": {"parameters": sized(memory_of_host(), self.connections, self.memory)},
        }
        return "# Made by `postgres-pair prepare` at each start and reload.\n" + str(
            yaml.safe_dump(known, sort_keys=False)
        )

    def _named_by_content(self, name: str) -> str:
        """Copy a certificate to a path that has its hash, and return that.

        Patroni reads the root of its REST API anew only if its path changes, and so it is with the certificate where
        something else changes too (patroni/__main__.py, reload_config).
        """
        certificate = (self.tls / f"{name}.crt").read_bytes()
        read = self.run / f"{name}-{hashlib.sha256(certificate).hexdigest()[:16]}.crt"
        if not read.exists():
            read.write_bytes(certificate)
            read.chmod(0o644)
        for former in self.run.glob(f"{name}-*.crt"):
            if former != read:
                former.unlink()
        return str(read)

    @staticmethod
    def _publish(path: Path, text: str, user: pwd.struct_passwd) -> None:
        """Write a file of postgres, whole or not at all."""
        new = path.with_name(f".{path.name}.new")
        new.write_text(text)
        os.chown(new, user.pw_uid, user.pw_gid)
        new.chmod(0o600)
        new.replace(path)

    @staticmethod
    def is_running() -> bool:
        """Whether Patroni runs."""
        return not subprocess.run(["systemctl", "is-active", "-q", "patroni.service"], check=False).returncode

    # --- whether it would start ----------------------------------------------------------------------------------

    def examine(self, files: list[Path]) -> None:
        """Refuse what Patroni or PostgreSQL would refuse.

        Args:
            files: Staged configuration of Patroni.
        """
        shown = subprocess.run(["ip", "-o", "address", "show", "to", self.address], capture_output=True, check=False)
        if not shown.stdout:
            raise Trouble(f"{self.address} is no address of this host: correct nodes[].address")
        for port in (self.port, self.rest_port):
            self._refuse_taken(port)
        self.may_start()
        if self.watchdog == "required" and (why := self.no_watchdog()):
            raise Trouble(f"watchdog: required, and {why}")
        known: dict[str, Any] = {}
        for file in files:
            merge(known, yaml.safe_load(file.read_text()))
        told = {**known["bootstrap"]["dcs"]["postgresql"]["parameters"], **known["postgresql"]["parameters"]}
        self._try_parameters({name: value for name, value in told.items() if not name.startswith("ssl_")})

    def _refuse_taken(self, port: int) -> None:
        command = ["ss", "-Hltnp", f"sport = :{port}"]
        for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
            if "patroni" in line or ("postgres" in line and self.is_running()):
                continue
            text = f"port {port} is taken by another program: {' '.join(line.split())}"
            raise Trouble(f"{text}: stop it, or use another port")

    def no_watchdog(self) -> str:
        """Return why Patroni could not have the watchdog, and what to do; empty if it could.

        It is not opened for that: who opens a watchdog sets it going.
        """
        if not _WATCHDOG.exists():
            return f"there is no {_WATCHDOG}: modprobe softdog, and write softdog into /etc/modules-load.d/softdog.conf"
        holders = watchdog_holders()
        if main_process("patroni.service") in holders:
            return ""
        if 1 in holders:
            return f"systemd has {_WATCHDOG}: remove RuntimeWatchdogSec from its system.conf, and reboot"
        for holder in holders:
            name = Path(f"/proc/{holder}/comm").read_text().strip()
            return f"{name}, process {holder}, has {_WATCHDOG}: stop it, and do not start it again"
        number = _WATCHDOG.stat().st_rdev
        if not Path(f"/sys/dev/char/{os.major(number)}:{os.minor(number)}").exists():
            return f"{_WATCHDOG} has no driver: load that of the hardware, or modprobe softdog"
        return ""

    def _watched(self, role: str) -> Iterator[str]:
        """Whether a frozen Patroni lets this host be reset. Patroni has the watchdog only while it leads."""
        if self.watchdog == "off":
            return
        if why := self.no_watchdog():
            yield f"- without a watchdog: {why}" if _WATCHDOG.exists() else f"+ without a watchdog: no {_WATCHDOG}"
        elif role == "primary" and not watchdog_holders():
            # Patroni tries it once, when it begins to lead.
            yield "- the watchdog is not active: see journalctl -u patroni, and restart Patroni"
        elif role == "primary":
            yield "+ the watchdog is active"

    def _try_parameters(self, told: dict[str, Any]) -> None:
        """Let the server read them; it refuses names and values that it does not know."""
        user = pwd.getpwnam("postgres")
        trial = self.run / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(parents=True)
        try:
            lines = (f"{name} = '{spelled(value)}'\n" for name, value in told.items() if name != "ssl")
            (trial / "postgresql.conf").write_text("".join(lines))
            for each in (trial, trial / "postgresql.conf"):
                os.chown(each, user.pw_uid, user.pw_gid)
            trial.chmod(0o700)
            command = ["runuser", "-u", "postgres", "--", str(self.binaries / "postgres"), "-D", str(trial)]
            command += ["-C", "max_connections"]
            run = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
            if run.returncode:
                raise Trouble(f"PostgreSQL {self.version} refuses a parameter: {run.stderr.strip()[-500:]}")
        finally:
            shutil.rmtree(trial, ignore_errors=True)

    # --- how it is -----------------------------------------------------------------------------------------------

    def runs_as(self) -> str:
        """Return `primary` or `replica`, whether or not a replica has a primary.

        Raises:
            Trouble: If the server does not run yet.
        """
        return self._role(self.rest("/patroni"))

    def serves(self) -> str:
        """Return `primary` or `replica` if this node is a healthy one.

        Raises:
            Trouble: If it is not yet.
        """
        says = self.rest("/patroni")
        role = self._role(says)
        if role == "replica" and says.get("replication_state") != "streaming":
            how = says.get("replication_state", "no replication")
            raise Trouble(f"{self.name} does not follow the primary yet: {how}")
        return role

    def _role(self, says: dict[str, Any]) -> str:
        if (state := says.get("state")) != "running":
            raise Trouble(f"PostgreSQL on {self.name}: {state}")
        return "primary" if says.get("role") in ("primary", "master") else "replica"

    def comes_first(self) -> bool:
        """Whether this node is up and only the other one may lead, which is not up: its turn comes after this one's.

        So it is when a pair is taken up again that the second node led last.
        """
        if self.rest("/patroni").get("state") != "running" or [each["name"] for each in self.members()] != [self.name]:
            return False
        sync = json.loads(self.etcd_value("sync") or "{}")
        may_lead = {sync.get("leader"), *(sync.get("sync_standby") or "").split(",")}
        return self.name not in may_lead

    def served_certificate(self) -> bytes:
        """Return the certificate that PostgreSQL shows, as DER."""
        context = _unverified()
        # By TLS 1.3 it would go on to send session tickets to us who have hung up, and write that to its log.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((self.address, self.port), _ANSWER_S) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise Trouble("PostgreSQL does not offer TLS")
            with context.wrap_socket(plain) as encrypted:
                return encrypted.getpeercert(binary_form=True) or b""

    def written_certificate(self) -> bytes:
        """Return the certificate on disk, as DER."""
        text = (self.tls / "node.crt").read_text()
        end = "-----END CERTIFICATE-----"
        return ssl.PEM_cert_to_DER_cert(text.partition(end)[0] + end)

    def served_by_rest(self) -> bytes:
        """Return the certificate that Patroni's REST API shows, as DER."""
        with (
            socket.create_connection((self.address, self.rest_port), _ANSWER_S) as plain,
            _unverified().wrap_socket(plain) as encrypted,
        ):
            encrypted.sendall(b"GET /liveness HTTP/1.0\r\n\r\n")
            while encrypted.recv(4096):
                pass
            return encrypted.getpeercert(binary_form=True) or b""

    def healthy(self) -> None:
        """Raise unless this node serves, or would if the other one led, and has what was written."""
        try:
            self.serves()
        except Trouble:
            if story := self._bootstrap_story():
                raise Trouble(story) from None
            if not self.comes_first():
                raise
        if wrong := self.sql("SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL").strip():
            raise Trouble(f"pg_hba.conf, line {wrong}")
        want = self.written_certificate()
        try:
            shown = {"PostgreSQL": self.served_certificate(), "Patroni": self.served_by_rest()}
        except OSError as error:
            raise Trouble(f"no TLS: {error}") from None
        for who, certificate in shown.items():
            if certificate != want:
                raise Trouble(f"{who} shows another certificate than {self.tls}/node.crt")

    def members(self) -> list[dict[str, Any]]:
        """Return what Patroni knows of all members."""
        return list(self.rest("/cluster")["members"])

    def whole(self) -> list[dict[str, Any]]:
        """Return the members if one leads and the other one is in sync.

        Raises:
            Trouble: If it is not so.
        """
        members = self.members()
        roles = sorted(each["role"] for each in members)
        shown = ", ".join(f"{each['name']}: {each['role']} {each['state']}" for each in members)
        if roles != ["leader", "sync_standby"]:
            raise Trouble(f"not yet a leader and a synchronous standby: {shown}")
        # One that has just started is on no timeline yet.
        states, timelines = {each["state"] for each in members}, {each.get("timeline") for each in members}
        if states != {"running", "streaming"} or len(timelines) > 1:
            raise Trouble(f"the standby does not follow yet: {shown}")
        return members

    def misplaced(self, role: str) -> Iterator[str]:
        """Yield addresses that are not where the leader is, as far as this node can tell."""
        for address in self.virtual_addresses:
            shown = subprocess.run(["ip", "-o", "address", "show", "to", address], capture_output=True, check=False)
            if shown.stdout and role != "primary":
                yield f"holds {address}, and does not lead: clients find a server that refuses their writes"
            elif not shown.stdout and role == "primary":
                yield f"leads, and does not hold {address}: clients do not find it"

    def findings(self) -> Iterator[str]:
        """Yield how this node is, for whoever verifies."""
        try:
            role = self.serves()
            yield from (f"- {each}" for each in self.misplaced(role))
            self.healthy()
            members = self.whole()
        except Trouble as trouble:
            yield f"- {trouble}"
            return
        standby = next(each for each in members if each["role"] == "sync_standby")
        lag = standby.get("lag", 0)
        yield f"+ {role}, timeline {standby['timeline']}, in sync, {lag} bytes behind"
        if isinstance(lag, int) and lag > 16 * _MB:
            yield f"- {standby['name']} is {lag} bytes behind"
        for name, want in (("ssl", "on"), ("data_checksums", "on"), ("password_encryption", "scram-sha-256")):
            if (has := self.sql(f"SHOW {name}").strip()) != want:
                yield f"- {name} is {has}, not {want}"
        yield from self._watched(role)
        yield from self._archiving()
        if note := self.etcd_value("fenced"):
            node, at, by = note.split(",")
            yield f"+ {node} was fenced at {at}, by {by}"
        shown = self.sql("SELECT slot_name FROM pg_replication_slots WHERE wal_status = 'lost'").split()
        for slot in shown:
            yield f"- the slot {slot} has been given up: its standby needs postgres-pair reinit"
        if self.rest("/patroni").get("pause"):
            yield "- automatic failover is off: postgres-pair resume"

    def _archiving(self) -> Iterator[str]:
        """What does not leave the primary stays in pg_wal, and fills its disk."""
        if not self.repository or self.serves() != "primary":
            return
        waiting, seconds = self.sql(
            "SELECT count(*), coalesce(extract(epoch FROM now() - min(modification))::int, 0)"
            " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        ).split()
        if int(seconds) > _ARCHIVED_S:
            text = f"{waiting} segments of WAL wait for the repository on {self.repository}, since {seconds} s"
            yield f"- {text}: journalctl -u patroni here, and postgres-pair status there"

    # --- making it so --------------------------------------------------------------------------------------------

    def accounts(self) -> None:
        """Bring roles and databases to what is written, if this node leads."""
        # A replica whose primary has its turn later has nothing to do here.
        if self.runs_as() == "primary":
            self._tell_restored()
            path = self.library / "accounts.sql"
            text = path.read_text()
            mark = f"ALTER DATABASE postgres SET sealed_data_tier.accounts = '{self._digest()}';\n"
            if self._recorded() != self._digest():
                self.sql(text + mark)

    def _digest(self) -> str:
        return hashlib.sha256((self.library / "accounts.sql").read_bytes()).hexdigest()[:32]

    def _recorded(self) -> str:
        """What of accounts.sql was run last, as this node's copy of the catalogue has it."""
        return self.sql(
            "SELECT split_part(one, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS one"
            " WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'postgres') AND setrole = 0"
            " AND one LIKE 'sealed_data_tier.accounts=%'"
        ).strip()

    def _accounts_hold(self) -> None:
        self.accounts()
        if self._recorded() != self._digest():
            raise Trouble("roles and databases are not yet as written")

    def settle(self) -> None:
        """Wait until roles and databases are as written, here and wherever the leader is."""
        self.until(self._accounts_hold)

    def settle_all(self) -> None:
        """Bring the whole pair to what is written."""
        self.settle()
        self.until(self.whole)
        self._configure()
        if pending := self._pending():
            if self.until(lambda: self.rest("/patroni")).get("pause"):
                say(f"a restart of {', '.join(pending.values())} is left to you: failover is paused")
            else:
                self._roll(pending)
        self.until(self.whole)
        self.settle()

    def _configure(self) -> None:
        """Bring the configuration in etcd to what is written; whether failover is paused is a person's decision."""
        known: dict[str, Any] = {}
        for file in sorted(self.configuration.glob("*.yml")):
            merge(known, yaml.safe_load(file.read_text()))
        want, has = known["bootstrap"]["dcs"], self.until(lambda: self.rest("/config"))
        kept = {"pause": has["pause"]} if "pause" in has else {}
        if has != {**want, **kept}:
            self.until(lambda: self.rest("/config", method="PUT", body={**want, **kept}))
            say("wrote the configuration in etcd")
        self._heard()

    def _pending(self) -> dict[str, str]:
        """Return who has parameters that wait for a restart, by role."""
        members = self.until(self.whole)
        return {str(each["role"]): str(each["name"]) for each in members if each.get("pending_restart")}

    def _roll(self, pending: dict[str, str]) -> None:
        """Restart the standby first; then it takes over, so that the other one's restart stops no write."""
        if "sync_standby" in pending:
            self._restart(pending["sync_standby"])
            pending = self._pending()
        if "sync_standby" in pending and "leader" in pending:
            # A limit was lowered: a standby keeps what its primary has, so the primary is first, where it is.
            self._restart(pending["leader"])
        elif "leader" in pending:
            self._switch_over()
        for name in self._pending().values():
            self._restart(name)

    def _restart(self, node: str) -> None:
        self.rest("/restart", node=node, method="POST", body={}, limit=_RESTART_S)
        say(f"restarted PostgreSQL on {node}")
        self.until(self.whole)
        self._heard()

    def _heard(self) -> None:
        """Let each node have its next round, and a second to find out which parameters need a restart."""
        time.sleep(self.until(lambda: self.rest("/config"))["loop_wait"] + 3)

    def _switch_over(self) -> None:
        members = {each["role"]: str(each["name"]) for each in self.until(self.whole)}
        leader, standby = members["leader"], members["sync_standby"]
        self.rest("/switchover", method="POST", body={"leader": leader, "candidate": standby}, limit=_RESTART_S)
        say(f"{standby} took over from {leader}")
        self.until(self.whole)
        self._heard()

    # --- beginning with a backup ---------------------------------------------------------------------------------
    # Patroni's own custom bootstrap would let every account of the host in as the superuser until it is done (`trust`),
    # and leaves its lock in etcd when its host is lost meanwhile. Here Patroni finds a cluster that is whole already.

    def is_new(self) -> bool:
        """Whether this pair has not begun yet: there is no data here, and etcd knows of none."""
        has_data = self.data.is_dir() and any(self.data.iterdir()) and not self._unfinished()
        return not has_data and not self.adopt and not self.etcd_value("initialize")

    def examine_backups(self, files: list[Path]) -> None:
        """Refuse to begin a pair without the backups that it has, or with one that is not there.

        Args:
            files: Staged: pgBackRest's configuration, the root, this node's certificate and its key.
        """
        if not self.is_new():
            return
        user = pwd.getpwnam("postgres")
        trial = self.run / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(mode=0o700, parents=True)
        os.chown(trial, user.pw_uid, user.pw_gid)
        try:
            options = []
            for name, file in zip(_OPTIONS, files, strict=True):
                self._publish(trial / name, file.read_text(), user)
                options.append(f"--{name}={trial / name}")
            known = self._info(*options)
        finally:
            shutil.rmtree(trial, ignore_errors=True)
        if self.bootstrap:
            self._beginning(known)
        elif known["db"]:
            self._refuse_backups(known)

    def _beginning(self, known: dict[str, Any]) -> datetime | None:
        """Return the time that the pair begins with, None for the latest, if the repository leads there."""
        at = None if self.bootstrap == _LATEST else moment(self.bootstrap)
        try:
            chosen = restorable(known["backup"], at)
        except Trouble as trouble:
            text = f"backup.bootstrap ({self.bootstrap}), in the repository on {self.repository}: {trouble}"
            raise Trouble(f"{text}. Give another time, or leave it out to begin with nothing") from None
        version = next(each["version"] for each in known["db"] if each["id"] == chosen["database"]["id"])
        if version != str(self.version):
            text = f"backup.bootstrap ({self.bootstrap}): {chosen['label']} is of PostgreSQL {version}"
            raise Trouble(f"{text}, not {self.version}: set version")
        return at

    def _refuse_backups(self, known: dict[str, Any]) -> None:
        text = f"this pair is new, and the repository on {self.repository} has a cluster of its name already"
        text = f"{text} (system identifier {known['db'][-1]['system-id']})"
        fix = "to begin with nothing give backup.directory another place, or move that one away"
        if known["backup"]:
            newest = known["backup"][-1]
            end = datetime.fromtimestamp(newest["timestamp"]["stop"], UTC)
            text = f"{text}, its newest backup {newest['label']} of {end}"
            fix = f"to begin with all that it has set backup.bootstrap: latest, or to a time such as '{end}'; {fix}"
        raise Trouble(f"{text}: {fix}")

    def begin(self) -> None:
        """Restore a backup, where a pair that is new is to begin with one. One that was cut off begins anew."""
        if self._unfinished():
            self._discard()
        if not self.bootstrap or not self.is_new():
            self.failure.unlink(missing_ok=True)
            return
        if self.name != self.first:
            raise Trouble(f"this pair begins with a backup, on {self.first}: {self.name} waits for it")
        # systemd stops this command alone, and not what it has started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.run.mkdir(mode=0o755, exist_ok=True)
        try:
            at = self._beginning(self._info())
            self.mark.write_text("")
            os.sync()
            self._bring_back(at, None)
            self._publish(self.data / _NOTE, "", pwd.getpwnam("postgres"))
            self._replay()
        except Trouble as trouble:
            self.failure.write_text(str(trouble))
            raise
        self.failure.unlink(missing_ok=True)

    def _unfinished(self) -> bool:
        """Whether what is in the data directory is a restore that was cut off, and nothing else."""
        left = any((self.data / name).exists() for name in _UNFINISHED)
        return left and self.mark.exists() and not self._restored()

    def _restored(self) -> str:
        """Return the system identifier and the timeline of what was restored and has not led yet, empty if nothing."""
        return self.mark.read_text() if self.mark.exists() else ""

    def _discard(self) -> None:
        if (self.data / "postmaster.pid").exists():
            with contextlib.suppress(Trouble):
                self._control("-m", "immediate", "stop")
        for each in self.data.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        say(f"emptied {self.data} of a restore that was cut off")

    def _replay(self) -> None:
        """Bring what was restored to its end, by a socket that nobody else has."""
        user = pwd.getpwnam("postgres")
        place = self.run / "bootstrap"
        place.mkdir(mode=0o700, exist_ok=True)
        os.chown(place, user.pw_uid, user.pw_gid)
        self._publish(place / "pg_hba.conf", "local all postgres peer\n", user)
        options = {
            "unix_socket_directories": str(place),
            "hba_file": str(place / "pg_hba.conf"),
            "port": str(self.port),
            "synchronous_standby_names": "",
            "ssl": "off",
            # The machine may be a smaller one.
            **sized(memory_of_host(), self.connections, self.memory),
        }
        try:
            self._recover(options, place)
            self._control("-m", "fast", "stop")
        except BaseException:
            with contextlib.suppress(Trouble):
                self._control("-m", "immediate", "stop")
            raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
        # Patroni would go on with the configuration of back then, paused if it was.
        (self.data / "patroni.dynamic.json").unlink(missing_ok=True)
        has = self.control_data()
        (self.data / _NOTE).unlink()
        self.mark.write_text(f"{has['Database system identifier']} {has[_TIMELINE]}")
        os.sync()

    def _bootstrap_story(self) -> str:
        """Tell how far a restore is that this node begins with, empty if there is none."""
        if self.failure.exists():
            return self.failure.read_text()
        text = f"a backup is being restored: settleSeconds ({self.settle_seconds}) has to last for that"
        return text if self.mark.exists() and not self._restored() else ""

    def _tell_restored(self) -> None:
        """Tell the other node that what it may still have is older than this."""
        if restored := self._restored():
            self._etcd("put", "restored", restored.split()[1])
            self.mark.unlink()

    def _refuse_older_than_restore(self, has: dict[str, str]) -> None:
        """Data of before would be rewound to what was restored, and what only it has would be gone."""
        restored = self.etcd_value("restored")
        if restored and int(has[_TIMELINE]) < int(restored):
            text = f"{self.data} is from before the pair began anew with a backup"
            fix = "move it away, and this node copies the pair's"
            raise Trouble(f"{text} (timeline {has[_TIMELINE]}, not {restored}): {fix}")

    # --- going back ----------------------------------------------------------------------------------------------

    def _pgbackrest(self, *words: str) -> list[str]:
        if not self.repository:
            raise Trouble("this pair has no backups: set backup")
        return ["runuser", "-u", "postgres", "--", "pgbackrest", f"--stanza={self.scope}", *words]

    def backup(self) -> None:
        """Say where backups are made: pgBackRest makes them on the repository's host alone."""
        if self.repository:
            raise Trouble(f"run it on {self.repository}, which keeps the repository and finds the leader by itself")
        self._pgbackrest()

    def backups(self) -> None:
        """Show what backups there are."""
        command = self._pgbackrest("info")
        os.execvp(command[0], command)  # noqa: S606

    def _info(self, *options: str) -> dict[str, Any]:
        """Return what the repository has of this pair."""
        command = self._pgbackrest(*options, "info", "--output=json")
        run = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        # What goes wrong at the repository is no failure of `info`: it is in what that says.
        known = {} if run.returncode else dict(json.loads(run.stdout)[0])
        if run.returncode or known["status"]["code"] == _NO_ANSWER:
            said = run.stdout + run.stderr
            raise Trouble(f"the repository on {self.repository} does not answer: {' '.join(said.split())[-500:]}")
        return known

    def restore(self, words: list[str]) -> None:
        """Take the whole pair back: this node from the repository, the other one after it."""
        parser = argparse.ArgumentParser(prog="postgres-pair restore")
        parser.add_argument("--time", type=moment, help="such as '2030-01-31 12:00:00+00'; default: all that there is")
        parser.add_argument("--set", dest="label", help="a backup to begin with; default: the last one before the time")
        parser.add_argument("--force", action="store_true", help="overwrite this node's data")
        given = parser.parse_args(words)
        restorable(self._info()["backup"], given.time, given.label)
        leader = self.etcd_value("leader")
        if leader not in ("", self.name):
            raise Trouble(f"{leader} leads: restore there, or make {self.name} lead by postgres-pair switchover")
        if not given.force:
            raise Trouble("this overwrites both servers, and what was written after that time is gone: add --force")
        # After one that failed Patroni does not run, and failover is paused already.
        if self.is_running() or not json.loads(self.etcd_value("config") or "{}").get("pause"):
            self.rest("/config", method="PATCH", body={"pause": True})
            self._heard()
        try:
            self._stop()
            self._bring_back(given.time, given.label)
            self._recover()
            self._lead()
        except Trouble as trouble:
            raise Trouble(f"{trouble}. Failover is paused: mend it, and restore again") from None
        self._follow()

    def _stop(self) -> None:
        """While failover is paused Patroni leaves its server running, and nobody takes over."""
        subprocess.run(["systemctl", "stop", "patroni.service"], check=True)
        if (self.data / "postmaster.pid").exists():
            self._control("-m", "fast", "stop")
        say("stopped PostgreSQL")

    def _control(self, *words: str) -> None:
        command = ["runuser", "-u", "postgres", "--", str(self.binaries / "pg_ctl"), "-D", str(self.data), "-w", "-s"]
        command += ["-t", str(self.settle_seconds), *words]
        # The server outlives this command, and must not keep its output open.
        run = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if run.returncode:
            log = self._restore_log()
            raise Trouble(f"pg_ctl {words[-1]} failed: {log.read_text()[-800:].strip() if log.exists() else ''}")

    def _restore_log(self) -> Path:
        return self.run / "restore.log"

    def _bring_back(self, at: datetime | None, label: str | None) -> None:
        words = ["--delta", "--log-level-console=info", *([f"--set={label}"] if label else [])]
        if at is not None:
            target = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
            words += ["--type=time", f"--target={target}", "--target-action=promote"]
        elif label is not None:
            words += ["--type=immediate", "--target-action=promote"]
        with subprocess.Popen(
            self._pgbackrest(*words, "restore"), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            said = ""
            try:
                for line in process.stdout or ():
                    say(line.rstrip())
                    said = line if "ERROR" in line else said
            except SystemExit:
                process.terminate()
                raise
        if process.returncode:
            raise Trouble(f"pgbackrest did not restore: {said.strip()[-500:]}")

    def _recover(self, options: Mapping[str, str] | None = None, place: Path = _SOCKETS) -> None:
        """Replay the WAL up to there, reached by a local socket alone; it then leads a timeline of its own.

        Args:
            options: Parameters of the server that does.
            place: Directory of its socket.
        """
        user, log = pwd.getpwnam("postgres"), self._restore_log()
        self._publish(log, "", user)
        given = " ".join(f"-c {name}='{value}'" for name, value in {"listen_addresses": "", **(options or {})}.items())
        self._control("-l", str(log), "-o", given, "start")

        try:
            replayed = self.until(lambda: self._replayed(place))
        except Trouble as trouble:
            raise Trouble(f"{trouble}: {log.read_text()[-800:].strip()}") from None
        if not replayed:
            raise Trouble(f"PostgreSQL ended: {log.read_text()[-800:].strip()}")
        # Of no use to a primary, and wrong for a standby that is a copy of this.
        self.sql("".join(f"ALTER SYSTEM RESET {name};\n" for name in _REPLAY), place)
        say("replayed the WAL")

    def _replayed(self, place: Path) -> bool:
        """Return whether it is done, and not ended by itself, which it does where the WAL does not reach the time."""
        if not (self.data / "postmaster.pid").exists():
            return False
        if self.sql("SELECT pg_is_in_recovery()", place).strip() == "t":
            raise Trouble("it still replays WAL")
        return True

    def _lead(self) -> None:
        """Lead with what was restored."""
        subprocess.run(["systemctl", "start", "patroni.service"], check=True)
        self.until(self._holds_the_lock)

    def _follow(self) -> None:
        """Let everybody in again, and have the other one follow."""
        self.rest("/config", method="PATCH", body={"pause": None})
        self._heard()
        self.until(lambda: self.rest("/restart", method="POST", body={}, limit=_RESTART_S))
        self.settle()
        other = next(name for name in self.nodes if name != self.name)
        # Patroni compares a standby's history with its leader's when the leader is another one, which it is not here.
        self.rest("/reinitialize", node=other, method="POST", body={"force": True})
        say(f"{self.name} leads with what was restored; {other} copies it")
        self.until(self.whole)

    def _holds_the_lock(self) -> None:
        if self.name not in [each["name"] for each in self.members() if each["role"] == "leader"]:
            raise Trouble("Patroni does not lead with it yet")

    def upgrade(self) -> None:
        """Bring new minor versions to this node."""
        if self.serves() == "primary":
            raise Trouble("this node leads: upgrade the other one, run postgres-pair switchover, and come back")
        if self.rest("/patroni").get("pause"):
            raise Trouble("failover is paused, and Patroni would leave the old server running: postgres-pair resume")
        if subprocess.run([self.member, "upgrade", *self.packages], check=False).returncode:
            raise Trouble("upgrade failed, see above")
        units = ["patroni.service", *(["pgbackrest.service"] if self.repository else [])]
        subprocess.run(["systemctl", "restart", *units], check=True)
        self.until(self.healthy)
        self.until(self.whole)

    def status(self) -> None:
        """Say how this node is, a line each."""
        subprocess.run([self.member, "status"], check=False)
        say("\n".join(self.findings()))

    def until(self, what: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it returns
        """Repeat something until it succeeds, and return what it returns.

        Raises:
            Trouble: Its last one, when the time is over.
        """
        end = time.monotonic() + self.settle_seconds
        while True:
            try:
                return what()
            except Trouble as trouble:
                if time.monotonic() > end:
                    raise Trouble(f"not within {self.settle_seconds} s: {trouble}") from None
            time.sleep(0.3)


def moment(text: str) -> datetime:
    """Read a time that says of which zone it is."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at


def restorable(backups: list[dict[str, Any]], at: datetime | None, label: str | None = None) -> dict[str, Any]:
    """Return the backup that a restore begins with.

    Args:
        backups: What pgBackRest says of them, oldest first.
        at: The time to go back to; None for all that there is.
        label: The backup to begin with; None for the last one before that time.

    Raises:
        Trouble: If no backup leads there.
    """
    if not backups:
        raise Trouble("there is no backup")
    ends = {each["label"]: datetime.fromtimestamp(each["timestamp"]["stop"], UTC) for each in backups}
    if label is not None and label not in ends:
        raise Trouble(f"{label} is none of the backups: {', '.join(ends)}")
    if at is not None and at > datetime.now(UTC):
        raise Trouble(f"{at} has not come yet")
    # pgBackRest counts in whole seconds.
    fitting = [name for name, end in ends.items() if at is None or end < at.replace(microsecond=0)]
    if not fitting:
        raise Trouble(f"no backup ended before that time: the first one did at {min(ends.values())}")
    if label is not None and label not in fitting:
        raise Trouble(f"{label} ended at {ends[label]}, not before that time: the last one before it is {fitting[-1]}")
    return next(each for each in backups if each["label"] == (label or fitting[-1]))


def _unverified() -> ssl.SSLContext:
    """For whoever only wants to see a certificate, and compares it itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def merge(known: dict[str, Any], more: dict[str, Any]) -> None:
    """Put one configuration over another, as Patroni does with the files of a directory."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(known.get(key), dict):
            merge(known[key], value)
        else:
            known[key] = value


def spelled(value: object) -> str:
    """Write a parameter's value as postgresql.conf takes it between quotes."""
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return text.replace("\\", "\\\\").replace("'", "''")


def main_process(unit: str) -> int:
    """Return the process id of a unit, 0 if it does not run."""
    command = ["systemctl", "show", "--property=MainPID", "--value", unit]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def watchdog_holders() -> set[int]:
    """Return the processes that have a watchdog open, by either of its names (watchdog, watchdog0)."""
    found: set[int] = set()
    for open_file in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(open_file.readlink()).startswith(str(_WATCHDOG)):
                found.add(int(open_file.parts[2]))
    return found


def memory_of_host() -> int:
    """Return the memory that there is, in bytes: the host's, or less if a limit stands around everything on it."""
    fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    whole = next(int(field[1]) * 1024 for field in fields if field[0] == "MemTotal:")
    with contextlib.suppress(OSError, ValueError):
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return whole


def sized(memory: int, connections: int, given: dict[str, str]) -> dict[str, str]:
    """Return the memory settings of a server.

    Args:
        memory: Of the host, in bytes.
        connections: max_connections.
        given: Settings that are not to be sized.
    """
    defaults = {
        "shared_buffers": max(memory // 4, 128 * _MB),
        "effective_cache_size": max(memory * 3 // 4, 256 * _MB),
        "maintenance_work_mem": min(max(memory // 16, 64 * _MB), 2 * _GB),
        "work_mem": min(max(memory // 4 // connections, 4 * _MB), 64 * _MB),
    }
    return {name: given.get(name, f"{size // _MB}MB") for name, size in defaults.items()}


def say(text: str) -> None:
    """Tell what was done."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run as a command; returns its exit code."""
    command, *rest = arguments or ["help"]
    if command in ("help", "--help"):
        say(__doc__ or "")
        return 0
    facts, files = _FACTS, [Path(each) for each in rest]
    if command in ("examine", "examine-backups"):
        facts, files = files[0], files[1:]
    pair = Pair(facts)
    own: dict[str, Callable[[], None]] = {
        "prepare": pair.prepare,
        "healthy": pair.healthy,
        "accounts": pair.accounts,
        "settle": pair.settle,
        "settle-all": pair.settle_all,
        "upgrade": pair.upgrade,
        "examine": lambda: pair.examine(files),
        "examine-backups": lambda: pair.examine_backups(files),
        "status": pair.status,
        "backup": pair.backup,
        "backups": pair.backups,
        "restore": lambda: pair.restore(rest),
    }
    if command not in own:
        # patronictl wants the scope after each of its commands.
        os.execvp("patronictl", ["patronictl", "-c", str(pair.configuration), command, pair.scope, *rest])  # noqa: S606
    try:
        own[command]()
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
