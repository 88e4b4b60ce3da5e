"""dlt's state as JSON values, kept with a delivery, and injected into the next fetch.

dlt keeps the state of a source under the source's name; of a resource without a source, under the name of the module
that made it. The name is kept too, so that a renamed file finds its state again.

Dates, decimals and bytes are written as dlt itself writes them into the states of its pipelines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATE: Final = "dlt"
_KEY: Final = "source"
_SOURCES: Final = "sources"
_LARGEST: Final = 8 * 1024**2
"""The largest number of bytes of a state; each delivery has one."""


@dataclass(frozen=True)
class Known:
    """What is known of earlier fetches.

    Attributes:
        key: The name under which the state of the source was kept.
        sources: The states of sources, by name; dlt changes them while it fetches.
    """

    key: str = ""
    sources: dict[str, Any] = field(default_factory=dict)

    def under(self, key: str) -> dict[str, Any]:
        """Return the states with the source's own under its present name."""
        if self.key and self.key != key and self.key in self.sources:
            return {**{name: state for name, state in self.sources.items() if name != self.key}, key: self._own}
        return self.sources

    @property
    def _own(self) -> Any:
        return self.sources[self.key]


def injected(state: Mapping[str, Any] | None) -> Known:
    """Return what a kept state holds; nothing if there is none, or if it is of another extractor."""
    from dlt.common.json import json as dlt_json

    kept = (state or {}).get(_STATE)
    if not isinstance(kept, dict) or not isinstance(kept.get(_SOURCES), dict):
        return Known()
    return Known(str(kept.get(_KEY, "")), dlt_json.typed_loads(json.dumps(kept[_SOURCES])))


def kept(key: str, sources: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the state to keep; an empty one if no source has any.

    Raises:
        DeliveryError: If it is not of values that JSON has, or too large.
    """
    from dlt.common.json import json as dlt_json

    if not any(sources.values()):
        return {}
    try:
        text = dlt_json.typed_dumps(sources)
        found = json.loads(text)
    except (TypeError, ValueError, OverflowError) as error:
        raise DeliveryError(
            f"The state of {origin} cannot be kept ({type(error).__name__}). Nothing was written. Keep only texts, "
            "numbers, dates, lists and dicts in dlt.current.resource_state()."
        ) from None
    if len(text.encode()) > _LARGEST or "\\u0000" in text:
        problem = f"is larger than {_LARGEST} bytes" if "\\u0000" not in text else "contains a character NUL"
        raise DeliveryError(
            f"The state of {origin} {problem}. Nothing was written. Keep less in dlt.current.resource_state(); for a "
            "column that many records share, declare primary_key=() of dlt.sources.incremental."
        )
    return {_STATE: {_KEY: key, _SOURCES: found}}
