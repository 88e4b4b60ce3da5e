"""The project file: which settings it has, where it is found, and what it may not have."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from etl_assets import project, settings
from etl_assets.errors import SettingsError
from etl_assets.extract.location import local_path
from etl_assets.settings import Settings, database_wait, inbox_folder, logs_as_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, in which the process is."""
    for name in ("HOME", "DATABASE_URL", "DAGSTER_URL", "SOURCES", "PROJECT", "PORT", "LANDING_URL"):
        monkeypatch.delenv(f"ETL_ASSETS_{name}", raising=False)
    (tmp_path / "shop" / "feeds").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def write(folder: Path, *lines: str) -> None:
    (folder / "pyproject.toml").write_text("\n".join(("[tool.etl_assets]", *lines)), "utf-8")


def test_its_settings_are_those_of_the_variables_and_its_paths_begin_in_its_folder(folder: Path) -> None:
    write(
        folder,
        'sources = ["feeds", "json"]',
        "bundled = false",
        'home = "local"',
        "port = 6543",
        'landing_url = "s3://frozen/shop"',
        'ui_hosts = ["a.example", "b.example"]',
        'inbox = "in"',
        "database_wait = 7",
        'log_format = "json"',
    )
    settings = Settings.from_environment()
    assert settings.sources == (str(folder / "feeds"), "json")
    assert (settings.bundled, settings.port, settings.landing_url) == (False, 6543, "s3://frozen/shop")
    assert settings.home == folder / "local"
    assert settings.ui_hosts == {"a.example", "b.example"}
    assert (inbox_folder(), database_wait(), logs_as_json()) == (folder / "in", 7.0, True)


def test_it_is_found_from_any_folder_below_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'home = "local"')
    (folder / "feeds" / "old").mkdir()
    monkeypatch.chdir(folder / "feeds" / "old")
    assert Settings.from_environment().home == folder / "local"


def test_another_tools_file_between_does_not_hide_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'home = "local"')
    (folder / "feeds" / "pyproject.toml").write_text("[tool.ruff]\n# not for etl_assets\n")
    monkeypatch.chdir(folder / "feeds")
    assert Settings.from_environment().home == folder / "local"


def test_its_local_files_are_beside_it_whichever_folder_is_current(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.chdir(folder / "feeds")
    assert Settings.from_environment().home == folder / ".etl_assets"


def test_a_variable_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'home = "local"', "bundled = false")
    monkeypatch.setenv("ETL_ASSETS_HOME", str(folder / "other"))
    monkeypatch.setenv("ETL_ASSETS_BUNDLED", "")
    settings = Settings.from_environment()
    assert (settings.home, settings.bundled) == (folder / "other", False)


def test_dagsters_database_of_the_file_goes_with_the_warehouse_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 'database_url = "postgresql://a@one/shop"', 'dagster_url = "postgresql://a@one/runs"')
    assert Settings.from_environment().dagster_url == "postgresql://a@one/runs"
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", "postgresql://a@two/shop")
    assert Settings.from_environment().dagster_url == "postgresql://a@two/shop_dagster"


def test_the_password_of_its_database_is_in_a_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'database_url = "postgresql://a@one/shop"')
    monkeypatch.setenv("ETL_ASSETS_DATABASE_PASSWORD", "p@ss")
    assert Settings.from_environment().database_url == "postgresql://a:p%40ss@one/shop"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('database_url = "postgresql://a:pass@one/shop"', "the password in ETL_ASSETS_DATABASE_PASSWORD"),
        ('database_url = "postgresql://a:p[ss@one/shop"', "the password in ETL_ASSETS_DATABASE_PASSWORD"),
        ('database_url = "postgresql://a@one/shop?password=x"', "the password in ETL_ASSETS_DATABASE_PASSWORD"),
        ('database_password = "x"', "is a secret, which does not belong in a file with code"),
        ('channel_mail = "mailto://x"', "ETL_ASSETS_CHANNEL_MAIL_FILE"),
        ('source = ["feeds"]', "Write 'sources'"),
        ('sources = "feeds"', 'a list of folders and packages, as ["feeds"]'),
        ('sources = ["fee/ds"]', "names 'fee/ds', which is neither a folder"),
        ("port = true", "'port' of [tool.etl_assets] is not valid. Nothing was started. Write a number."),
        ("bundled = 1", "Write true or false."),
        ("bundled = ", "cannot be read"),
    ],
)
def test_what_it_may_not_have_is_refused_with_a_remedy(folder: Path, line: str, words: str) -> None:
    write(folder, line)
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment()
    assert words in str(raised.value)
    assert ":pass@" not in str(raised.value)


def test_the_file_of_another_account_is_read_only_if_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'home = "local"')
    if os.geteuid() == 0:
        os.chown(folder / "pyproject.toml", 12345, -1)
    else:
        other = os.geteuid() + 1
        monkeypatch.setattr("os.geteuid", lambda: other)
    with pytest.raises(SettingsError, match="belongs to uid"):
        project.current()
    monkeypatch.setenv("ETL_ASSETS_PROJECT", str(folder))
    assert Settings.from_environment().home == folder / "local"


def test_a_named_project_is_used_in_every_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'home = "local"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETL_ASSETS_PROJECT", str(folder))
    assert Settings.from_environment().home == folder / "local"
    monkeypatch.setenv("ETL_ASSETS_PROJECT", str(tmp_path))
    with pytest.raises(SettingsError, match=r"has no pyproject\.toml with"):
        Settings.from_environment()


def test_a_relative_location_begins_in_the_folder_of_the_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_path("feeds/a.csv") == "feeds/a.csv"
    write(folder)
    assert local_path("feeds/a.csv") == "feeds/a.csv"
    monkeypatch.chdir(folder / "feeds")
    assert local_path("feeds/a.csv") == str(folder / "feeds" / "a.csv")
    assert local_path("/srv/a.csv") == "/srv/a.csv"


def test_a_file_that_is_no_text_and_a_folder_that_is_gone_are_no_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert project.current() is None
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert project.current() is None


def test_it_takes_every_setting_that_is_no_secret_and_does_not_name_the_project_or_the_secrets() -> None:
    documented = set(re.findall(r"^``ETL_ASSETS_([A-Z_]+)``", settings.__doc__ or "", re.MULTILINE))
    in_variables_only = {"CHANNEL_NAME", "DATABASE_PASSWORD", "PROJECT", "SECRETS"}

    assert {name.lower() for name in documented - in_variables_only} == set(project._KINDS)
