"""What every component's settings have in common: frozen, typed, camelCase outside, and every problem told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, InitErrorDetails

from components.names import host_name

#: A TCP port.
Port = Annotated[int, Field(ge=1, le=65535)]
#: A DNS name or an IPv4 or IPv6 address.
HostName = Annotated[str, AfterValidator(host_name)]

_DIRECTORY: Final = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def _directory(path: str) -> str:
    if not _DIRECTORY.fullmatch(path) or "/.." in path:
        raise ValueError(f"{path!r} is no directory: give an absolute path of letters, digits, '_', '.', '-' and '/'")
    return path


#: An absolute path that means the same to shells, units and configuration files.
DirectoryPath = Annotated[str, AfterValidator(_directory)]

Item = TypeVar("Item")


def _not_empty(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if items:
        return items
    raise ValueError("is empty: list at least one")


#: One or more. (`min_length` would add a second, misleading error wherever an item is wrong.)
Some = Annotated[tuple[Item, ...], AfterValidator(_not_empty)]

#: Where a problem is, below the model that tells of it: keys as the configuration writes them, and list positions.
Location = tuple[int | str, ...]
Problem = tuple[Location, str]


class Settings(BaseModel):
    """Base of all settings: immutable, and a key that nobody reads is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class ServerNode(Settings):
    """One of several servers that dial each other.

    Attributes:
        host: Host of the stack that it runs on.
        address: IPv4 or IPv6 address that it binds and that others dial; default the host's internal address.
        names: Further DNS names and addresses that clients dial; they go into its certificate.
    """

    host: str
    address: IPv4Address | IPv6Address | None = None
    names: tuple[HostName, ...] = ()


class InvalidConfigurationError(ValueError):
    """Everything that is wrong with a configuration, one line a problem, before any host was touched.

    Attributes:
        problems: The lines, each with the property path, the value and the fix.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the configuration cannot be used:", *(f"  {problem}" for problem in problems)]))
        self.problems = problems


class Problems(AbstractContextManager[None]):
    """Gathers what several readings refuse, so that all of it is told at once.

    Each reading has a `with` block of its own; `refuse` is called after the last one.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keep the problems of a refusal; every other error goes on."""
        if isinstance(error, InvalidConfigurationError):
            self._lines += error.problems
            return True
        return False

    def refuse(self) -> None:
        """Raise what was gathered, if anything was."""
        if self._lines:
            raise InvalidConfigurationError(self._lines)


Model = TypeVar("Model", bound=Settings)


def load(model: type[Model], data: Any, where: str) -> Model:  # noqa: ANN401 - anything that YAML can hold
    """Read settings from parsed configuration.

    Args:
        model: The settings' class.
        data: What the stack's configuration holds at `where`.
        where: Property path of `data`, for example `cacheService`.

    Raises:
        InvalidConfigurationError: With every problem found, each by its property path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidConfigurationError([_problem(model, where, each) for each in error.errors()]) from None


def refuse(problems: Iterable[Problem]) -> None:
    """Raise, from a model's validator, all problems at once, each at its own property path.

    Args:
        problems: Locations below the model, and texts with the value and the fix.

    Raises:
        ValidationError: Unless there is none.
    """
    lines = [
        InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": ValueError(text)})
        for where, text in problems
    ]
    if lines:
        raise ValidationError.from_exception_data("settings", lines)


def property_path(where: str, location: Location) -> str:
    """Write a location as a reader of the configuration would: `cacheService.workers[1].localPort`."""
    path = where
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path


def _problem(model: type[Settings], where: str, error: ErrorDetails) -> str:
    location = error["loc"]
    path = property_path(where, location)
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: nobody reads this key: use one of {', '.join(_keys(model, location[:-1]))}"
        case "missing":
            return f"{path}: is missing: set it"
        case "value_error":
            return f"{path}: {error['ctx']['error']}"
        case _:
            given = error["input"]
            # A mapping may hold secrets; a scalar of a secret's field is hidden by pydantic's own type.
            shown = f" ({given!r})" if isinstance(given, str | int | float) and not _is_secret(model, location) else ""
            return f"{path}{shown}: {error['msg']}"


def _at(model: type[BaseModel], location: tuple[int | str, ...]) -> Any:  # noqa: ANN401 - an annotation
    """Return the annotation at a location."""
    here: Any = model
    for step in location:
        if isinstance(step, str) and isinstance(here, type) and issubclass(here, BaseModel):
            fields: Mapping[str, Any] = {field.alias or name: field for name, field in here.model_fields.items()}
            here = fields[step].annotation if step in fields else None
        models = _models(here)
        here = models[0] if models else here
    return here


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - an annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    here = _at(model, location)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return sorted(field.alias or name for name, field in here.model_fields.items())


def _is_secret(model: type[BaseModel], location: tuple[int | str, ...]) -> bool:
    return "Secret" in repr(_at(model, location))
