"""Pulls what a resource yields, with the state of earlier fetches injected, and without a pipeline.

It does what iterating over a `DltResource` does, with four differences: the state is given and kept, the marks that dlt
puts on items are seen, what one item gives comes before the next item is taken, and threads and generators are closed
when a fetch is left early. For these it uses names that dlt does not document; tests pin them.
"""

# ruff: noqa: TID253 -- imported when something is fetched, never before

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from dlt.common.configuration.container import Container
from dlt.common.configuration.inject import inject_section  # type: ignore[attr-defined]
from dlt.common.pipeline import StateInjectableContext
from dlt.common.schema import Schema
from dlt.extract.incremental import Incremental, IncrementalResourceWrapper
from dlt.extract.items_transform import LimitItem
from dlt.extract.pipe_iterator import PipeIterator
from dlt.extract.source import SourceInjectableContext, SourceSchemaInjectableContext, _DltSingleSource

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.errors import replaced, resource_errors
from etl_assets.extract.dlt.state import kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.dlt.resource import Resource
    from etl_assets.extract.dlt.state import Known
    from etl_assets.extract.progress import Progress


class Items:
    """What a resource yields, each with dlt's mark or None. They are pulled by `injected` alone.

    Attributes:
        resource: The resource.
        progress: Counts pages, which is what a resource yields at a time, records and bytes; who writes them counts.
        schema: dlt's schema of the source, with the hints of the resource.
    """

    def __init__(self, resource: Resource, known: Known, progress: Progress) -> None:
        """Begin; nothing is pulled yet.

        Args:
            resource: The resource.
            known: The states of earlier fetches; they are changed.
            progress: Is advanced by who writes the items.
        """
        self.resource = resource
        self.progress = progress
        own = resource.resource
        with self._errors():
            section = own._get_config_section_context()  # noqa: SLF001 -- see the charter
            self._section = section
            self._key = str(section.source_state_key)
            self._state: dict[str, Any] = {"sources": known.under(self._key)}
            source = resource.source or _DltSingleSource(Schema(self._key), own.section, [own])
            self.schema = source.discover_schema()
            self._contexts: list[Any] = [
                StateInjectableContext(state=self._state),  # type: ignore[arg-type]
                SourceInjectableContext(source),
                SourceSchemaInjectableContext(self.schema),
            ]
            with self._inside():
                self._items = PipeIterator.from_pipes([own._pipe], next_item_mode="fifo")  # noqa: SLF001 -- see the charter
        self._check_limit()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Any, Any]:
        try:
            item, _, _, mark = next(self._items)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 -- a generator may raise anything; every error is raised again
            raise replaced(error, self.resource.origin, self.resource.file) from None
        return item, mark

    def injected(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what is made of the items, and let dlt find its contexts while each chunk is made.

        They are set for each chunk alone, so that fetches in one thread do not disturb each other.
        """
        while True:
            with self._inside():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        """End the threads and generators of the resource."""
        with self._errors():
            self._items.close()

    def state(self) -> dict[str, Any]:
        """Return where the next fetch begins; call it after the last item alone, for dlt moves it before."""
        return kept(self._key, self._state["sources"], self.resource.origin)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with ExitStack() as entered:
            entered.enter_context(inject_section(self._section, merge_existing=False))
            for context in self._contexts:
                entered.enter_context(Container().injectable_context(context))
            yield

    def _errors(self) -> Any:
        return resource_errors(self.resource.origin, self.resource.file)

    def _check_limit(self) -> None:
        """Raise if records beyond a limit would never be fetched: the state would be past them."""
        steps: list[Any] = []
        pipe: Any = self.resource.resource._pipe  # noqa: SLF001 -- see the charter
        while pipe is not None:
            steps += pipe.steps
            pipe = pipe.parent
        found = [step.incremental if isinstance(step, IncrementalResourceWrapper) else step for step in steps]
        unordered = any(isinstance(each, Incremental) and each.row_order != "asc" for each in found)
        if unordered and any(isinstance(step, LimitItem) for step in steps):
            raise DeliveryError(
                f"{self.resource.origin} is limited by add_limit, and incremental: records beyond the limit would "
                "never be fetched. Nothing was written. Leave add_limit out; or, if the records come in the order of "
                "the cursor, say so by row_order='asc'."
            )
