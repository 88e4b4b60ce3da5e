"""Calls the user's function, and chooses the resource of which it returned the source."""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.errors import resource_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt.extract import DltResource
    from dlt.extract.source import DltSource

    from etl_assets.extract.dlt.state import Known


@dataclass(frozen=True)
class Resource:
    """One resource of dlt.

    Attributes:
        resource: The resource itself.
        source: The source that it is of; None if it has none.
        file: Path of the file with the user's function.
    """

    resource: DltResource
    source: DltSource | None
    file: str

    @property
    def name(self) -> str:
        """Its name in dlt."""
        return str(self.resource.name)

    @property
    def origin(self) -> str:
        """How it is shown to people: ``dlt:github/issues``."""
        return f"dlt:{self.source.name}/{self.name}" if self.source is not None else f"dlt:{self.name}"


def resource_of(function: Callable[..., Any], arguments: tuple[Any, ...], name: str, known: Known) -> Resource:
    """Call a function, and return the resource.

    Args:
        function: Of the user.
        arguments: The partition, if the function takes one.
        name: Which resource of a source; empty for the only one.
        known: The states of earlier fetches, which the function may read by ``dlt.current.source_state()``. What it
            writes into them is lost, as in dlt.

    Raises:
        DeliveryError: If it returns something else, or no resource of that name.
        EtlAssetsError: Whatever became of the errors that it raised.
    """
    from dlt.common.configuration.container import Container
    from dlt.common.pipeline import StateInjectableContext
    from dlt.extract import DltResource
    from dlt.extract.source import DltSource

    origin = f"dlt:{name}" if name else f"dlt:{getattr(function, '__name__', type(function).__name__)}"
    file = getattr(inspect.unwrap(function), "__code__", None)
    path = file.co_filename if file is not None else ""
    states: Any = StateInjectableContext(state={"sources": deepcopy(known.sources)})
    with resource_errors(origin, path), Container().injectable_context(states):
        found = function(*arguments)
    if isinstance(found, DltSource):
        source = found.with_resources(_chosen(found, name, origin))
        (resource,) = source.selected_resources.values()
        return Resource(resource, source, path)
    if not isinstance(found, DltResource):
        raise DeliveryError(
            f"The function of {origin} returned {_with_article(type(found).__name__)}, and no resource or source of "
            "dlt. Nothing was written. Let it return dlt.resource(…), or what a function decorated by @dlt.resource or "
            "@dlt.source returns when it is called."
        )
    if name and found.name != name:
        raise DeliveryError(
            f"The function of {origin} returned the resource {found.name!r}, and not {name!r}. Nothing was written. "
            "Correct name=…, or leave it out."
        )
    return Resource(found, None, path)


def _chosen(source: DltSource, name: str, origin: str) -> str:
    """Return the name of the resource: the declared one, or the only one that the source selects."""
    names, selected = list(source.resources), list(source.selected_resources)
    if not name and len(selected) == 1:
        (name,) = selected
    if name not in names:
        problem = f"has no resource {name!r}" if name else "has several resources"
        raise DeliveryError(
            f"The source {source.name!r} of {origin} {problem}. Nothing was written. Declare name= with one of "
            f"{', '.join(map(repr, sorted(names))) or 'its resources, of which it has none now'}."
        )
    return name


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
