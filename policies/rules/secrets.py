"""No secret in the open: not in a command's text, not in an environment, not in a file that reviewers read.

Rules see every value in plaintext, so nothing here ever puts one into a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.parsers import haproxy, redis, settings_tree
from policies.parsers.formats import Format, format_of
from policies.rules.finding import Command, Finding, HostFiles
from policies.rules.secret_patterns import forms, found, is_secret_variable, same
from policies.rules.stdin import Stdin

RULES: Final = {
    "secret-in-command": "no command line holds a secret",
    "secret-in-environment": "no environment holds a secret",
    "secret-in-file": "no reviewed file holds a secret; secrets are in secret files of their own",
    "secret-mode": "secret files are at most 0640",
    "hidden-configuration": "no configuration that these policies read is a secret file",
    "output-kept": "commands log no output and put none of it into an environment",
}
_WIDEST_MODE: Final = 0o640
# Parts of configurations that are secret because they hold passwords, and may hold nothing else that rules are about.
_PASSWORD_PARTS: Final = re.compile(r"^/etc/haproxy/environment\.cfg$|/passwords\.conf$|passwords\.ya?ml$")
# Their own rules read them in the standard input that holds them too.
_READ_WHERE_SENT: Final = frozenset({Format.HALYARD_PROFILE, Format.HALYARD_SETTINGS})
_PASSWORDS: Final = frozenset(
    {"masterauth", "masteruser", "primaryauth", "primaryuser", "requirepass", "sentinel", "tls-client-key-file-pass",
     "tls-key-file-pass", "user"}
)  # fmt: skip


def check_files(host: HostFiles) -> Iterator[Finding]:
    """Find secrets in files that reviewers read, and secret files that are too open."""
    for path, text in host.texts.items():
        for line, what in found(text):
            yield Finding(
                rule="secret-in-file",
                path=path,
                line=line,
                value=what,
                problem="everyone who sees a preview or the state can read it",
                fix="move it to a file of its own with secret=True, and name that file here",
            )
    for path in sorted(host.secret):
        mode = host.modes.get(path)
        if mode is not None and int(mode, 8) & ~_WIDEST_MODE:
            yield Finding(
                rule="secret-mode",
                path=path,
                value=f"mode {mode}",
                problem="others than the file's owner and group can use it",
                fix="give it mode 0600, or 0640 for a service's group",
            )
        kind = format_of(path)
        if kind is not None and kind not in _READ_WHERE_SENT and not _PASSWORD_PARTS.search(path):
            yield Finding(
                rule="hidden-configuration",
                path=path,
                value=f"secret {kind.value}",
                problem="neither reviewers nor these policies can read it",
                fix="move its secrets to a file of their own, and show the rest: without secret=True, in a ConfigMap",
            )


def check_command(command: Command) -> Iterator[Finding]:
    """Find secrets in a command's text and environment, and ways on which output is kept."""
    known = [each for value in command.credentials for each in forms(value)]
    stdin = Stdin.of(command.stdin)
    known += [each for value in stdin.secrets() for each in forms(value)]
    for place, script in command.scripts.items():
        # By line: what is known to be secret mostly looks like it too.
        for line, what in {**dict(same(script, known)), **dict(found(script))}.items():
            yield Finding(
                rule="secret-in-command",
                path=place,
                line=line,
                value=what,
                problem="a command's text stands in the state, in previews, in errors and in the host's process list",
                fix="send it by stdin, as a secret, and read it there",
            )
    for name, value in command.environment.items():
        if is_secret_variable(name, value) or found(value) or any(same(value, known)):
            yield Finding(
                rule="secret-in-environment",
                path=f"environment.{name}",
                value="a secret",
                problem="an environment stands in the state and can be read on the host",
                fix="send it by stdin, as a secret, and read it there",
            )
    for path, text in stdin.files().items():
        if _PASSWORD_PARTS.search(path):
            yield from _password_part(path, text)
    yield from _output(command)


def _password_part(path: str, text: str) -> Iterator[Finding]:
    if format_of(path) is Format.HAPROXY:
        others = [(each.directive.line, "a listener") for each in haproxy.parse(text).listeners()]
    elif format_of(path) is Format.PATRONI:
        leaves = settings_tree.parse({path: text})[0].leaves()
        others = [(entry.line, ".".join(way)) for way, entry in leaves if way[-1:] != ("password",)]
    else:
        directives = redis.parse(path, {path: text}).directives
        others = [(each.line, each.words[0]) for each in directives if each.words[0] not in _PASSWORDS]
    for line, keyword in others:
        yield Finding(
            rule="hidden-configuration",
            path=path,
            line=line,
            value=keyword,
            problem="this file is for passwords: neither reviewers nor these policies can read it",
            fix="move it to the configuration that is reviewed",
        )


def _output(command: Command) -> Iterator[Finding]:
    if command.previous_output:
        yield Finding(
            rule="output-kept",
            path="addPreviousOutputInEnv",
            value="true",
            problem="what the command printed last time is put into its environment",
            fix="write add_previous_output_in_env=False",
        )
    allowed = {"none"} if command.kind == "command:remote:Command" else {"none", "stderr"}
    if command.logging is not None and command.logging not in allowed:
        yield Finding(
            rule="output-kept",
            path="logging",
            value=command.logging,
            problem="what the command prints is copied to the log",
            fix=f"write logging=Logging.{'NONE' if len(allowed) == 1 else 'STDERR'}",
        )
