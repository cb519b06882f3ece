"""What a secret looks like in a text, and the forms in which a known one may show up."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from policies.parsers.source import numbered

_SHORTEST: Final = 6
_LONG_LINE: Final = 20

_KEY_BLOCK: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_IN_ADDRESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]{3,})@")
_WORD: Final = r"""("[^"\n]*"|'[^'\n]*'|[^\s"';|&]+)"""
_LONGER_WORD: Final = r"""("[^"\n]{4,}"|'[^'\n]{4,}'|[^\s"';|&]{4,})"""
_GAP: Final = r"(?:\\ |[ \t])+"
_NAME: Final = r"(?:pw|pass|passwd|password|passphrase|secret|token|api_?key|private_?key)"
_VARIABLE: Final = rf"(?:PGPASSWORD|(?:REDIS|VALKEY)CLI_AUTH|SSHPASS|MYSQL_PWD|(?:[\w.-]*[_.-])?{_NAME})"

# What looks like a secret: a description for the message, and a pattern whose group is the value.
_PATTERNS: Final = tuple(
    (what, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for what, pattern in (
        (
            "password of Redis or Valkey",
            rf"^[ \t]*(?:requirepass|masterauth|tls-(?:client-)?key-file-pass)[ \t]+{_WORD}",
        ),
        ("password of Sentinel", rf"^[ \t]*sentinel[ \t]+(?:auth-pass[ \t]+\S+|sentinel-pass)[ \t]+{_WORD}"),
        ("password of an ACL user", r"^[ \t]*user[ \t]+\S+[ \t].*?(?<=\s)>(\S+)"),
        (
            "password of HAProxy",
            rf"^[ \t]*(?:user[ \t]+\S+[ \t].*insecure-password[ \t]+|stats[ \t]+auth[ \t]+[^\s:]+:){_WORD}",
        ),
        # AUTH [user] password, where a space may be escaped and the password quoted for Redis.
        (
            "password of a health check",
            rf"^[ \t]*tcp-check[ \t]+send[ \t]+[\"']?AUTH{_GAP}(?:[^\s\"'\\]+{_GAP})?(?:\\[\"'])?([^\s\"'\\]+)",
        ),
        ("password of keepalived", rf"^[ \t]*auth_pass[ \t]+{_WORD}"),
        ("value of a secret's name", rf"(?:^|[\s;]){_VARIABLE}[ \t]?[:=][ \t]?{_LONGER_WORD}"),
        (
            "argument of a password option",
            rf"""(?:^|[\s"'(])(?!-+no-)--?(?:[\w-]*[_-])?(?:{_NAME}|requirepass|masterauth|(?<=_)p)[ \t=]+{_WORD}""",
        ),
        ("argument of redis-cli -a", rf"\b(?:redis|valkey)-cli\b[^\n;|&]*\s-a[ \t]+{_WORD}"),
        ("argument of sshpass -p", rf"\bsshpass[ \t]+-p\s*{_WORD}"),
        ("argument of curl -u", r"\b(?:curl|wget)\b[^\n;|&]*\s(?:-u|--user)[ =]+[\"']?[^\s:\"']+:([^\s\"']+)"),
        ("password in an openssl argument", r"\bpass:([^\s\"']+)"),
        (
            "password for sudo -S",
            rf"\b(?:echo|printf)[ \t]+(?:-\S+[ \t]+|'%s\S*'[ \t]+)?{_WORD}\s*\|\s*(?:\S*/)?sudo\b[^\n|]*\s-S",
        ),
    )
)
# Most text holds none of these, and is spared the patterns.
_HINT: Final = re.compile(
    r"pass|pw|secret|token|key|auth|_p\b|\suser\s|^user\s|://|-a\s|-u\s|sudo", re.IGNORECASE | re.MULTILINE
)
_SECRET_VARIABLE: Final = re.compile(rf"^{_VARIABLE}$", re.IGNORECASE)
_EXPANDED: Final = re.compile(r"\$[{(]")
# Paths, variables, placeholders and words that say how a secret is found, not what it is.
_NO_SECRET: Final = re.compile(
    r"(?i)^(?:|[$`%@</{(*-].*|file:.*|env:.*|fd:.*|stdin|none|null|nil|true|false|yes|no|on|off|ask|prompt|required|"
    r"optional|md5|scram-sha-256|trust|redacted|\[secret\])$"
)


@lru_cache(maxsize=512)
def found(text: str) -> tuple[tuple[int, str], ...]:
    """Return line and description of everything that looks like a secret, one a line."""
    if not _HINT.search(text):
        return ()
    lines: dict[int, str] = {}
    for block in _KEY_BLOCK.finditer(text):
        lines.setdefault(_line(text, block.start()), "private key")
    for what, pattern in (*_PATTERNS, ("password in an address", _IN_ADDRESS)):
        for hit in pattern.finditer(text):
            if not _is_placeholder(hit[1]):
                lines.setdefault(_line(text, hit.start(1)), what)
    return tuple(sorted(lines.items()))


def is_secret_variable(name: str, value: str) -> bool:
    """Tell whether a variable's name says that it is secret, and its value does not say that it is somewhere else."""
    return bool(_SECRET_VARIABLE.match(name)) and not _NO_SECRET.match(value)


def _is_placeholder(word: str) -> bool:
    bare = word[1:-1] if word[:1] in "\"'" and word[-1:] == word[:1] else word
    return bool(_NO_SECRET.match(bare) or _EXPANDED.search(bare))


def same(text: str, known: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield line and description of the first known secret in a text."""
    for value in known:
        at = text.find(value)
        if at >= 0:
            yield _line(text, at), "a value that is secret elsewhere in this resource"
            return


def forms(value: str) -> Iterator[str]:
    """Yield how a secret may show up: itself, its longer lines, and both in base64."""
    lines = [line for _, line in numbered(value) if len(line) >= _LONG_LINE and not line.startswith("-----")]
    for each in {value.strip(), *lines}:
        if len(each) >= _SHORTEST:
            yield each
            yield base64.b64encode(each.encode()).decode().rstrip("=")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
