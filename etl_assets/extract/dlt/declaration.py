"""What can be known of the user's function when its file is loaded: without dlt, and without calling it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.partitions import Files

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.model.partitions import Partitioning

_FIELD: Final = "resource"
_PARTITION: Final = "partition"
_ANY_NUMBER: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_REMEDY: Final = "Write a function that imports dlt, and returns the resource or the source"


def check_function(function: Callable[..., Any], where: str) -> None:
    """Raise a `DeclarationError` unless a function can be called with nothing, or with a partition alone."""
    if type(function).__module__.partition(".")[0] == "dlt" or hasattr(function, "_factory"):
        raise DeclarationError(where, _FIELD, "is itself a part of dlt, which loads dlt with each file", _REMEDY)
    for is_kind, what in (
        (inspect.iscoroutinefunction, "is an async function"),
        (inspect.isgeneratorfunction, "yields, and does not return"),
        (inspect.isasyncgenfunction, "yields, and does not return"),
    ):
        if is_kind(function):
            remedy = f"{_REMEDY}: in it, dlt.resource(…) of what yields"
            raise DeclarationError(where, _FIELD, what, remedy)
    required = _required(function, where)
    if len(required) > 1 or any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required):
        problem = f"needs {', '.join(parameter.name for parameter in required)}"
        raise DeclarationError(where, _FIELD, problem, "Let it take nothing, or the partition alone")


def gets_partition(function: Callable[..., Any]) -> bool:
    """Return whether a function gets the partition: as its only needed parameter, or as ``partition``."""
    return bool(_required(function, _FIELD)) or _PARTITION in inspect.signature(function).parameters


def check_function_for(function: Callable[..., Any], partitions: Partitioning | None, where: str) -> None:
    """Raise a `DeclarationError` unless a function fits how the source is cut into partitions."""
    if isinstance(partitions, Files):
        remedy = "Declare Daily, Weekly, Monthly or Static, or none"
        raise DeclarationError(where, "partitions", "are files, and a resource of dlt lists none", remedy)
    if partitions is not None and not gets_partition(function):
        remedy = "Let it take one parameter, which gets the partition with its key, start and end"
        raise DeclarationError(where, _FIELD, "would fetch the same for each partition", remedy)
    if partitions is None and _required(function, where):
        problem = "needs a partition, and the source has none"
        raise DeclarationError(where, _FIELD, problem, "Declare partitions, or let it take nothing")


def _required(function: Callable[..., Any], where: str) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise DeclarationError(where, _FIELD, "does not show its parameters", "Write a function of Python") from None
    return [each for each in parameters if each.default is each.empty and each.kind not in _ANY_NUMBER]
