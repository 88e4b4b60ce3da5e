"""What every declared class does with its arguments, also a class that a source brings itself."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 -- read at runtime
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest

from etl_assets import Csv, Daily, FileExtractor, Transformer
from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets_tests.declarations.mistakes import E, source

if TYPE_CHECKING:
    from decimal import Decimal

    import pandas as pd


class _Speaks(Protocol):
    def speak(self) -> str: ...


@dataclass(frozen=True)
class _Scaled(Transformer):
    """A stage of a source's own, with settings of every kind of type."""

    factor: float
    columns: tuple[str, ...] = ("amount",)
    mode: Literal["up", "down"] = "up"
    names: Mapping[str, int] = field(default_factory=dict)
    words: Sequence[str] = ()
    pair: tuple[str, int] = ("a", 1)
    function: Callable[[str], str] | None = None
    format: type[Csv] = Csv
    price: Decimal | None = None
    speaker: _Speaks | None = None
    anything: Any = None
    made: int = field(default=0, init=False)

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


class _Unfinished(Transformer):
    """A stage without its method."""


class _ByHand(Declaration):
    """A class with a constructor of its own."""

    def __init__(self, a, *, b: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 -- as sources are written
        self.pair = (a, b)


class _Plain(Declaration):
    """A class without arguments."""


scaled: Any = _Scaled


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"factor": "2"}, "transformer _Scaled: factor is '2'. Write a number."),
        ({"factor": True}, "transformer _Scaled: factor is True. Write a number."),
        ({"columns": "amount"}, "transformer _Scaled: columns is 'amount'. Write ('amount',)."),
        ({"columns": ("a", 2)}, "transformer _Scaled: columns contains 2. Write a tuple of texts."),
        (
            {"columns": ["a"]},
            "transformer _Scaled: columns is a list. Write a tuple, in round brackets: (first, second).",
        ),
        ({"mode": "left"}, "transformer _Scaled: mode is 'left'. Write 'up' or 'down'."),
        ({"names": {"a": "b"}}, "transformer _Scaled: names is a dict. Write a mapping of texts to integers."),
        ({"words": "abc"}, "transformer _Scaled: words is 'abc'. Write ('abc',)."),
        ({"pair": ("a",)}, "transformer _Scaled: pair is a tuple. Write a tuple (a text, an integer)."),
        ({"function": "upper"}, "transformer _Scaled: function is 'upper'. Write a function or None."),
        ({"format": Csv()}, "transformer _Scaled: format is a Csv. Write a class that derives from Csv."),
        ({"made": 1}, "transformer _Scaled: made is not known. Write mode."),
        ({"factr": 1}, "transformer _Scaled: factr is not known. Write factor."),
    ],
    ids=str,
)
def test_the_arguments_of_a_stage_of_ones_own_are_checked_too(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        scaled(**{"factor": 1, **arguments})
    assert str(raised.value) == text


def test_arguments_of_their_types_are_accepted_and_so_are_types_that_are_not_known() -> None:
    stage = scaled(
        2, ("a", "b"), "down", {"a": 1}, ["x"], ("b", 2), str.upper, Csv, "not checked", 5, anything=object()
    )
    assert (stage.factor, stage.price, stage.made) == (2, "not checked", 0)


def test_a_parameter_without_an_annotation_accepts_any_value() -> None:
    by_hand: Any = _ByHand
    assert by_hand(5, b="c").pair == (5, "c")
    with pytest.raises(DeclarationError, match=r"^_ByHand: b is 6\. Write a text\.$"):
        by_hand(5, b=6)


def test_a_misspelt_argument_is_refused_with_the_name_of_the_source_and_the_right_spelling() -> None:
    with pytest.raises(DeclarationError, match=r"^source 'feed': parttions is not known\. Write partitions\.$"):
        source(parttions=Daily(date(2024, 1, 1)))


def test_a_missing_argument_is_named_with_its_type() -> None:
    with pytest.raises(DeclarationError, match=r"^source 'x': description is missing\. Write description=…: a text\.$"):
        E.Source(name="x")
    with pytest.raises(DeclarationError, match=r"^Source: name is missing\. Write name=…: a text\.$"):
        E.Source()


def test_an_argument_that_is_given_twice_or_must_be_named_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"^column 'b': name is given twice\. Write it once\.$"):
        E.Column("a", "text", name="b")
    with pytest.raises(DeclarationError, match=r"^Source: arguments are 1 without a name; none may be\. Write name=…"):
        E.Source("x")
    with pytest.raises(
        DeclarationError, match=r"^_Plain: arguments are 1 without a name; none may be\. Leave them out"
    ):
        _Plain(5)
    with pytest.raises(DeclarationError, match=r"^_Plain: x is not known\. Leave it out\.$"):
        _Plain(x=5)


def test_a_stage_without_one_of_its_methods_is_refused() -> None:
    unfinished: Any = _Unfinished
    with pytest.raises(
        DeclarationError, match=r"^transformer _Unfinished: transform is not defined\. Write an instance of"
    ):
        unfinished()


def test_an_argument_of_an_expectation_may_have_any_name() -> None:
    expectation = E.Expectation("expect_column_values_to_be_of_type", column="k", type_="BIGINT")
    assert expectation.arguments == {"column": "k", "type_": "BIGINT"}


def test_an_error_shows_no_location_for_it_may_contain_a_password() -> None:
    with pytest.raises(DeclarationError, match=r"^extractor FileExtractor: format is a str\. Write a Format\.$"):
        E.FileExtractor(location="x", format="ftp://me:secret@host/x.csv")


def test_declarations_can_be_copied_pickled_and_replaced() -> None:
    extractor = FileExtractor(location="x.csv", format=Csv(null=("NA",)))
    for same in (copy.copy(extractor), copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):  # noqa: S301 -- of our own
        assert same == extractor
    assert replace(extractor, location="y.csv").location == "y.csv"
    with pytest.raises(DeclarationError, match="location is 5"):
        replace(extractor, location=5)  # type: ignore[arg-type]
