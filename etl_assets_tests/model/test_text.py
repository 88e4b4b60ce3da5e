"""Text from outside, as it is shown to people."""

from __future__ import annotations

from etl_assets.model.text import escape_control_characters, names_text


def test_characters_that_could_control_a_terminal_are_escaped_and_others_are_kept() -> None:
    assert escape_control_characters("a\x1b[31mb\u202ec\nd") == "a\\x1b[31mb\\u202ec\\nd"
    assert escape_control_characters("Größe {x} %s <b>") == "Größe {x} %s <b>"


def test_bytes_that_are_not_utf_8_are_escaped() -> None:
    assert escape_control_characters(b"caf\xe9.csv".decode("utf-8", "surrogateescape")) == "caf\\xe9.csv"


def test_of_many_names_the_first_are_shown_and_the_others_are_counted() -> None:
    assert names_text(["a", "b\n"]) == r"'a', 'b\n'"
    assert names_text([str(n) for n in range(1_022)]).endswith(", '19' and 1,002 more")


def test_a_long_name_is_cut() -> None:
    assert names_text(["x" * 1_000]) == f"'{'x' * 100}…'"
