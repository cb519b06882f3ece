"""Variations of parsed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


def varied(data: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set; `path` is like `clients.1.tunnels.0.localPort`."""
    copy = deepcopy(dict(data))
    *way, last = path.split(".")
    here: Any = copy
    for step in way:
        here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
    here[int(last) if isinstance(here, list) else last] = value
    return copy
