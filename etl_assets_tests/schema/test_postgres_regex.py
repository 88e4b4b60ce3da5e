"""A translated pattern matches the same texts in Postgres as in Polars; other patterns are not translated."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import polars as pl
import psycopg
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError

from etl_assets.schema.postgres_regex import to_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ODD = [
    *(
        "",
        "a",
        "A",
        "ab",
        "aa",
        "aaa",
        "b",
        "abc",
        "5",
        "\u0665",
        "_",
        "-",
        "]",
        "^",
        "\\",
        "{",
        "}",
        "x{2}",
        "a.b",
        ".",
    ),
    *("\n", "a\n", "\na", "\r", "\x0b", "\x85", " ", "a b", "\u2003", "\u2028", "k", "K", "\u212a", "s", "S", "\u017f"),
    *(
        "é",
        "É",
        "e\u0301",
        "ß",
        "SS",
        "\ud7ff",
        "\ue000",
        "\ufffd",
        "\U0001f600",
        "\U0010ffff",
        "N123AA",
        "Europe/Paris",
    ),
]
TRANSLATED = [
    *("[A-Z0-9]{2}", r"\d", r"\D+", r"\w", r"\W", r"\s*", r"\S", ".", ".*", "", "a|", "()", "(?:)a", "a{0}", "a{2,}b?"),
    *("(?i)k", "(?i)[a-c]{2,4}", "(?i:S)", "(?i)(?-i:K)k?", "(?s).", "(?s:.)a?", "(?P<x>a)b", "(?is)K."),
    *(
        "[^a]",
        "[]a]",
        "[^]a]",
        r"[\]\-\^]",
        r"[\s\S]",
        r"[\d_]+",
        "[[:alpha:]]",
        "[a-z--c]",
        "}",
        "]",
        r"x\{2\}",
        r"\x41",
    ),
    *(
        r"\u0041\.",
        "a$|^b.c|d",
        "^^a",
        "a*?b+?",
        r"\Aa|b",
        r"[A-Za-z]+/[A-Za-z_]+",
        r"\w{200}",
        "(?:a|b)*c",
        "é+",
        r"\n",
    ),
]
NOT_TRANSLATED = [r"\ba", r"a\B", "(?m)^a", "a{256}", "(?x) a", "(?U)a", "[a&&b]", "[^\\s\\S]"]


@pytest.fixture(scope="module")
def session(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def in_polars(pattern: str, texts: Sequence[str]) -> list[bool]:
    return pl.Series(texts, dtype=pl.String).str.contains(rf"\A(?:{pattern})\z").to_list()


def in_postgres(session: psycopg.Connection, regex: str, texts: Sequence[str]) -> list[bool]:
    rows = session.execute(
        "SELECT text ~ %s FROM unnest(%s::text[]) WITH ORDINALITY AS candidate (text, place) ORDER BY place",
        (regex, list(texts)),
    ).fetchall()
    return [matches for (matches,) in rows]


@pytest.mark.parametrize("pattern", TRANSLATED)
def test_a_pattern_matches_the_same_texts_in_postgres_and_in_polars(session: psycopg.Connection, pattern: str) -> None:
    regex = to_postgres(pattern)
    assert regex is not None
    assert in_postgres(session, regex, ODD) == in_polars(pattern, ODD)


@pytest.mark.parametrize("pattern", NOT_TRANSLATED)
def test_a_pattern_without_an_equivalent_is_not_translated(pattern: str) -> None:
    assert to_postgres(pattern) is None


SIGNS = st.sampled_from(
    ["a", "b", "K", "é", "-", " ", ".", r"\.", r"\d", r"\w", r"\s", r"\W", "[a-c]", "[^a]", r"[\w-]", "[]b]", "^", "$"]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "+?", "*?"])
PATTERNS = st.recursive(
    st.builds("{}{}".format, SIGNS, REPEATS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.builds("({}|{}){}".format, inner, inner, REPEATS),
        st.builds("(?:{})".format, inner),
        st.builds("(?i:{})".format, inner),
        st.builds("(?s:{})".format, inner),
    ),
    max_leaves=6,
)
TEXTS = st.lists(st.one_of(st.text("abcABkK\u212a -.é5\u0665\n_", max_size=6), st.sampled_from(ODD)), min_size=1)


@given(pattern=PATTERNS, texts=TEXTS)
@settings(max_examples=150)
def test_any_translated_pattern_matches_the_same_texts(
    session: psycopg.Connection, pattern: str, texts: list[str]
) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
        expected = in_polars(pattern, texts)
    except (re.error, PolarsError):
        assume(False)  # noqa: FBT003 -- no source can declare it
    regex = to_postgres(pattern)
    if regex is not None:
        assert in_postgres(session, regex, texts) == expected
