"""Redis and Valkey servers among a host's files."""

from __future__ import annotations

from policies.parsers import redis
from policies.parsers.formats import Format, format_of, of_format
from policies.rules.finding import HostFiles


def servers(host: HostFiles) -> list[redis.Configuration]:
    """Return every server's configuration: files that another one includes are part of that one."""
    files = of_format(host.texts, Format.REDIS, Format.SENTINEL)
    parsed = [
        redis.parse(path, host.texts, sentinel=format_of(path, text) is Format.SENTINEL) for path, text in files.items()
    ]
    included = {each for server in parsed for each in server.files if each != server.path}
    return [server for server in parsed if server.path not in included]
