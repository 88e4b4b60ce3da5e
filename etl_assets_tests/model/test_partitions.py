"""Which names of files are keys of partitions, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.model.partitions import Files

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_name_that_a_function_of_the_declaration_cannot_take_is_set_aside_alone() -> None:
    names = Files(rank=lambda name: name.split("-")[1]).keys_of(["a-2", "b", "c-1"])
    assert names.keys == ("c-1", "a-2")
    assert names.set_aside == {"b": "makes rank raise IndexError"}


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (None, "makes value return no text"),
        (7, "makes value return no text"),
        ("x" * 1_001, "makes value return a text that is longer than 1,000 bytes"),
        ("\udcff", "makes value return a text that is not UTF-8"),
    ],
)
def test_a_name_of_which_a_function_makes_no_text_is_set_aside(returned: Any, problem: str) -> None:
    value: Callable[[str], str] = lambda _: returned  # noqa: E731 -- typed, whatever it returns
    assert Files(column="file", value=value).keys_of(["a"]).set_aside == {"a": problem}
