"""The one error that users see for a value that cannot work."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A value that was refused before any host was touched.

    Attributes:
        path: Property path, for example `cacheService.workers[1].localPort`.
        value: What was given. Never a secret: pass a description instead.
        fix: What to write instead, as an instruction.
    """

    def __init__(self, path: str, value: object, fix: str) -> None:
        super().__init__(f"{path}: {value!r} cannot be used: {fix}")
        self.path = path
        self.value = value
        self.fix = fix
