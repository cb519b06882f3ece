"""Text from templates: undefined names are errors, and what is written ends in one line break."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


class Templates:
    """The templates of one component, from the folder `templates/` beside its module.

    Args:
        module: The calling module's `__file__`.
    """

    def __init__(self, module: str) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(module).parent / "templates"),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - configuration files, not HTML; values are checked where they enter
        )

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Render one template."""
        return self._environment.get_template(name).render(values)
