"""What shows that a document is one page of several: the usual names under which it names the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PATHS: Final = (
    *(("next",), ("next_page_url",), ("next_page",), ("nextPageToken",), ("next_page_token",), ("next_cursor",)),
    *(("nextLink",), ("@odata.nextLink",), ("links", "next"), ("_links", "next"), ("_links", "next", "href")),
    *(
        ("paging", "next"),
        ("pagination", "next"),
        ("meta", "next"),
        ("meta", "next_cursor"),
        ("paging", "cursors", "after"),
    ),
)


def next_page_paths(value_at: Callable[[Sequence[str]], Any]) -> list[str]:
    """Return the paths of what in a document names its next page; none if nothing does.

    Args:
        value_at: Returns the value to which keys lead; None if there is none.
    """
    return [_path(steps) for steps in _PATHS if _names_a_page(value_at(steps))]


def _names_a_page(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _path(steps: tuple[str, ...]) -> str:
    return "$" + "".join(f".{step}" if step.replace("_", "").isalnum() else f"['{step}']" for step in steps)
