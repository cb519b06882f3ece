"""One lab for all tests of what a pair can have beside its defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.integration.postgres.stack import DATABASE, HOSTS, PAIR, USER, Stack

SPARE: Final = "spare"
LAB: Final = {
    "prefix": "sdt-pgx",
    # One more, to take the witness's place.
    "hosts": [*HOSTS, SPARE],
    "subnet": "10.203.62.0/24",
    "subnet6": "fd5d:7a1e:203:62::/64",
    "cache": None,
}
#: The application is on the witness, and finds the primary by itself.
PLAIN: Final[dict[str, Any]] = {
    **{key: value for key, value in PAIR.items() if key != "virtualIp"},
    "databases": [{"name": DATABASE, "user": USER, "clients": ["10.203.62.13/32", "fd5d:7a1e:203:62::d/128"]}],
    "names": ["db.example.com"],
    "settleSeconds": 300,
}


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The lab, with nothing on its hosts at first."""
    stack = Stack(tmp_path_factory.mktemp("postgres-options"), LAB, PLAIN)
    yield stack
    stack.project.destroy()
