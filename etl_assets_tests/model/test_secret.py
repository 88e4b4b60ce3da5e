"""Secrets: declared by name, read when they are needed, shown nowhere."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from etl_assets import Secret
from etl_assets.errors import DeclarationError, SettingsError
from etl_assets.settings import mask_secrets

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_is_the_value_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_WORD", " as it is\n")
    assert Secret("FEED_WORD").read() == " as it is\n"


def test_a_secret_may_be_in_the_file_that_another_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("öffne dich\r\n", encoding="utf-8")
    monkeypatch.setenv("FEED_WORD_FILE", str(tmp_path / "word"))
    assert Secret("FEED_WORD").read() == "öffne dich"


def test_a_secret_may_be_in_the_folder_of_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "FEED_WORD").write_text("from the folder")
    monkeypatch.setenv("ETL_ASSETS_SECRETS", str(tmp_path))
    assert Secret("FEED_WORD").read() == "from the folder"


def test_a_secret_that_is_nowhere_is_an_error_that_says_where_it_may_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ETL_ASSETS_SECRETS", str(tmp_path))
    with pytest.raises(
        SettingsError, match=r"no secret FEED_WORD.*Nothing was fetched.*Set FEED_WORD, or FEED_WORD_FILE"
    ):
        Secret("FEED_WORD").read()


def test_a_secret_without_contents_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "FEED_WORD").write_text("\n")
    monkeypatch.setenv("ETL_ASSETS_SECRETS", str(tmp_path))
    with pytest.raises(SettingsError, match="FEED_WORD is empty"):
        Secret("FEED_WORD").read()


def test_the_value_of_a_secret_is_no_part_of_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_WORD", "hunter2hunter2")
    secret = Secret("FEED_WORD")
    secret.read()
    assert "hunter2" not in repr(secret)
    assert b"hunter2" not in pickle.dumps(secret)


def test_a_value_that_was_read_is_masked_in_texts_from_then_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "FEED_WORD").write_text("a-value-of-the-folder")
    monkeypatch.setenv("ETL_ASSETS_SECRETS", str(tmp_path))
    Secret("FEED_WORD").read()
    assert "a-value-of-the-folder" not in mask_secrets("login failed with a-value-of-the-folder")


@pytest.mark.parametrize("name", ["", "hunter2!", "two words", "1ST"])
def test_a_value_in_the_place_of_a_name_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(DeclarationError, match="Write the name and not the value"):
        Secret(name)
