"""Host and Role: the only resources that speak to hosts."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi_command import local, remote
from pydantic import SecretStr

from components.errors import ConfigurationError
from components.host.bundle import pack
from components.host.role import File, RoleSpec
from components.host.settings import BastionSettings, Family, HostSettings
from components.inputs import combined, secret
from components.names import is_address

_RUNTIME: Final = "/usr/local/lib/sealed-data-tier/runtime"
_HERE: Final = Path(__file__).parent
_RUNTIME_TEXT: Final = (_HERE / "runtime.sh").read_text()
_FAREWELL_TEXT: Final = (_HERE / "farewell.sh").read_text()

# An unreachable host is reported after at most about 35 s: three dials of 10 s with a short pause between them.
_DIAL_ERROR_LIMIT: Final = 2
_DIAL_TIMEOUT_S: Final = 10
# The pauses between dials, as pulumi-command has them.
_FIRST_PAUSE_S: Final = 0.1
_PAUSE_GROWTH: Final = 1.5
_LONGEST_PAUSE_S: Final = 5.0
_NO_RUNTIME: Final = "this is a new or reinstalled host: raise hosts.<name>.incarnation"

# The first line is sudo's, if it asks; the script comes after it.
_INSTALL: Final = (
    't=$(mktemp); trap "rm -f $t" EXIT; IFS= read -r line; cat >"$t"; printf "%s\\n" "$line" | sh "$t" {option}install'
)


@dataclass(frozen=True, kw_only=True)
class BastionArgs:
    """The one hop that stands before a host; see `BastionSettings`."""

    address: pulumi.Input[str]
    user: pulumi.Input[str]
    host_key: pulumi.Input[str]
    port: pulumi.Input[int] = 22
    private_key: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """How to reach a host, and what kind it is; see `HostSettings` for each value.

    Attributes:
        address: DNS name or IP address that the deploying machine dials.
        user: Account to log in with.
        host_key: Pinned ed25519 host key.
        port: SSH port.
        private_key: OpenSSH private key; None for the agent's.
        sudo_password: Password for sudo; None where sudo does not ask.
        bastion: One hop before the host.
        family: OS family.
        internal_address: Address that other hosts dial; default `address`.
        source_addresses: Addresses or networks that others see it come from; default the address they dial.
        incarnation: Changes when an empty machine took the host's place.
    """

    address: pulumi.Input[str]
    user: str
    host_key: pulumi.Input[str]
    port: pulumi.Input[int] = 22
    private_key: pulumi.Input[str] | None = None
    sudo_password: pulumi.Input[str] | None = None
    bastion: BastionArgs | None = None
    family: Family = Family.DEBIAN
    internal_address: pulumi.Input[str] | None = None
    source_addresses: tuple[str, ...] = ()
    incarnation: pulumi.Input[str] = ""

    @staticmethod
    def of(settings: HostSettings) -> HostArgs:
        """Read the arguments from the stack's configuration; secrets become secret outputs."""
        bastion = settings.bastion
        return HostArgs(
            address=settings.address,
            user=settings.user,
            host_key=settings.host_key,
            port=settings.port,
            private_key=_secret(settings.private_key),
            sudo_password=_secret(settings.sudo_password),
            bastion=None if bastion is None else _bastion(bastion),
            family=settings.family,
            internal_address=settings.internal_address,
            source_addresses=settings.source_addresses,
            incarnation=settings.incarnation,
        )


def _secret(value: SecretStr | None) -> pulumi.Output[str] | None:
    return None if value is None else secret(value.get_secret_value())


def _bastion(settings: BastionSettings) -> BastionArgs:
    return BastionArgs(
        address=settings.address,
        user=settings.user,
        host_key=settings.host_key,
        port=settings.port,
        private_key=_secret(settings.private_key),
    )


class Host(pulumi.ComponentResource):
    """A Linux host under the host contract: its pinned connection and the runtime that carries out roles on it.

    Removing a host from the stack, or destroying the stack, restores everything that was there before, in one
    connection. If the host cannot be reached under its pinned key it is left as it is, and the destroy goes on.

    Attributes:
        host_name: Name of the host in the stack.
        args: How it is reached.
        dialled: Address that other hosts dial.
        address: The same as an output.
    """

    host_name: str
    dialled: pulumi.Input[str]
    address: pulumi.Output[str]

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"address": args.address, "user": args.user, "hostKey": args.host_key, "family": args.family.value}
        super().__init__("sealed-data-tier:host:Host", name, inputs, opts)
        self.host_name = name
        self.args = args
        self.dialled = args.internal_address or args.address
        self.address = pulumi.Output.from_input(self.dialled)
        self.connection = self._connection()
        self.farewell = local.Command(
            f"{name}-farewell",
            delete=_FAREWELL_TEXT,
            stdin=secret(self._farewell_input()),
            add_previous_output_in_env=False,
            logging=local.Logging.STDERR,
            opts=pulumi.ResourceOptions(parent=self),
        )
        text = combined(
            lambda password, incarnation: f"{password}\n{_RUNTIME_TEXT}# incarnation {incarnation}\n",
            args.sudo_password or "",
            args.incarnation,
        )
        self.runtime = self.command("runtime", _INSTALL.format(option=self._sudo_option), stdin=text, parent=self)
        self.register_outputs({"address": self.dialled})

    @property
    def has_source_addresses(self) -> bool:
        """Whether a far host can be told where this one comes from; a DNS name is no source address to sshd."""
        return bool(self.args.source_addresses) or not isinstance(self.dialled, str) or is_address(self.dialled)

    @property
    def source_addresses(self) -> pulumi.Input[list[str]]:
        """Addresses or networks that other hosts see this one come from."""
        return list(self.args.source_addresses) or combined(lambda address: [address], self.dialled)

    @property
    def _sudo_option(self) -> str:
        return "" if self.args.sudo_password is None else "-S "

    def as_root(self, script: str) -> str:
        """Wrap a script so that it runs as root; sudo takes its password from the first line of standard input."""
        quoted = shlex.quote(script)
        if self.args.user == "root":
            return f"sh -uc {quoted}"
        how = "-n" if self.args.sudo_password is None else "-S -p ''"
        return f"sudo {how} -- sh -uc {quoted}"

    def command(
        self,
        name: str,
        create: str,
        *,
        stdin: pulumi.Input[str],
        parent: pulumi.Resource,
        delete: str | None = None,
        depends_on: list[pulumi.Resource] | None = None,
        patience: int = 0,
    ) -> remote.Command:
        """Register one command on this host.

        Args:
            name: Name within the host; the resource is called `<host>-<name>`.
            create: POSIX sh without secrets, for create and update.
            stdin: Standard input of every run; becomes secret.
            parent: Parent resource.
            delete: POSIX sh without secrets, or None. Not run when the whole host leaves.
            depends_on: What has to be there first.
            patience: Seconds for which it is tried to connect at the least, even where every attempt is refused at
                once; default 0: three attempts.
        """
        return remote.Command(
            f"{self.host_name}-{name}",
            connection=self._connection(patience) if patience else self.connection,
            create=create,
            delete=delete,
            stdin=secret(stdin),
            add_previous_output_in_env=False,
            logging=remote.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=depends_on, deleted_with=self.farewell),
        )

    def role_command(self, role: str, stdin: pulumi.Input[str], parent: pulumi.Resource) -> remote.Command:
        """Register the one command that applies a role and deletes it again."""

        def run(verb: str) -> str:
            found = f'[ -x {_RUNTIME} ] || {{ echo "{_NO_RUNTIME}" >&2; exit 69; }}'
            return f"{found}; {_RUNTIME} {self._sudo_option}{verb} {role}"

        text = self.with_sudo_password(stdin)
        return self.command(
            role, run("apply"), stdin=text, parent=parent, delete=run("delete"), depends_on=[self.runtime]
        )

    def _connection(self, patience: int = 0) -> remote.ConnectionArgs:
        args = self.args
        limit = max(_DIAL_ERROR_LIMIT, _dials(patience))
        proxy = None
        if args.bastion is not None:
            proxy = remote.ProxyConnectionArgs(
                host=args.bastion.address,
                port=combined(float, args.bastion.port),
                user=args.bastion.user,
                private_key=args.bastion.private_key,
                host_key=args.bastion.host_key,
                dial_error_limit=limit,
                per_dial_timeout=_DIAL_TIMEOUT_S,
            )
        return remote.ConnectionArgs(
            host=args.address,
            port=combined(float, args.port),
            user=args.user,
            private_key=args.private_key,
            host_key=args.host_key,
            dial_error_limit=limit,
            per_dial_timeout=_DIAL_TIMEOUT_S,
            proxy=proxy,
        )

    def with_sudo_password(self, stdin: pulumi.Input[str]) -> pulumi.Input[str]:
        """Put the line before a command's input that sudo reads, if it asks."""
        password = self.args.sudo_password
        return stdin if password is None else combined("{}\n{}".format, password, stdin)

    def _farewell_input(self) -> pulumi.Input[str]:
        args = self.args
        values = [*_end(args), args.sudo_password or "-"]
        if args.bastion is not None:
            values += ["bastion", *_end(args.bastion)]
        return combined(lambda *known: "".join(f"{_whole(value)}\n" for value in known), *values)


def _dials(patience: float) -> int:
    """After how many failed dials their pauses alone have lasted so long (s)."""
    dials, pause = 0, _FIRST_PAUSE_S
    while patience > 0:
        dials, patience, pause = dials + 1, patience - pause, min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_S)
    return dials


def _end(args: HostArgs | BastionArgs) -> list[pulumi.Input[Any]]:
    """One end of a connection as farewell.sh reads it."""
    key = combined(lambda text: base64.b64encode(text.encode()).decode() or "-", args.private_key or "")
    return [args.address, args.port, args.user, args.host_key, key]


def _whole(value: Any) -> str:  # noqa: ANN401 - str or a number that may have become a float on its way
    return str(int(value)) if isinstance(value, float) else str(value)


class Role(pulumi.ComponentResource):
    """One role on one host: reviewed as text, carried out as one transaction.

    Its inputs hold every file's text by path (secret files only by name), so that `pulumi preview --diff` shows changed
    lines and policies read exactly what would be written; both come from the object that the command below sends.

    Attributes:
        host: The host.
        spec: What is put there.
    """

    def __init__(self, name: str, host: Host, spec: RoleSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sealed-data-tier:host:Role", name, _reviewed(host, spec), opts)
        self.host = host
        self.spec = spec
        family, paths = host.args.family.value, [file.path for file in spec.files]
        stdin = combined(
            lambda incarnation, *contents: pack(
                spec, dict(zip(paths, contents, strict=True)), family=family, incarnation=incarnation
            ),
            host.args.incarnation,
            *(file.content for file in spec.files),
        )
        self.command = host.role_command(spec.name, stdin, parent=self)
        self.register_outputs({})


def _reviewed(host: Host, spec: RoleSpec) -> dict[str, Any]:
    """What reviewers and policies see of a role; keys that would be empty are left out."""

    def place(file: File) -> str:
        return f"{file.mode:04o} {file.owner}:{file.group}"

    inputs: dict[str, Any] = {
        "host": host.host_name,
        "role": spec.name,
        "packages": list(spec.packages),
        "users": [f"{user.name} {user.home} {user.shell}" for user in spec.users],
        "directories": {each.path: f"{each.mode:04o} {each.owner}:{each.group}" for each in spec.directories},
        "discards": [each.path for each in spec.directories if each.discard],
        "files": {file.path: file.content for file in spec.files if not file.secret},
        "modes": {file.path: place(file) for file in spec.files},
        "secretFiles": [file.path for file in spec.files if file.secret],
        "units": [unit.name for unit in spec.units],
        "validations": {each.name: each.command for each in spec.validations},
        "checks": {each.name: each.command for each in spec.checks},
        "selinuxBooleans": list(spec.selinux_booleans),
    }
    return {key: value for key, value in inputs.items() if value}


def debian_host(hosts: Mapping[str, Host], name: str, path: str) -> Host:
    """Return a host of the stack for what was run on Debian alone.

    Args:
        hosts: Hosts by their name in the stack.
        name: The host's name.
        path: Property path of the name.

    Raises:
        ConfigurationError: There is no such host, or it is of another family.
    """
    if name not in hosts:
        known = ", ".join(sorted(hosts)) or "none"
        raise ConfigurationError(path, name, f"name a host of the stack: {known}")
    if hosts[name].args.family is not Family.DEBIAN:
        raise ConfigurationError(path, name, "use a host of the family debian: the others were never tried")
    return hosts[name]
