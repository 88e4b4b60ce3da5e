from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import SettingsError
from etl_assets.settings import Settings, mask_secrets, with_database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_by_default_all_files_are_below_the_current_folder(tmp_path: Path) -> None:
    assert Settings.from_environment({}) == Settings(
        home=tmp_path / ".etl_assets", landing_url=str(tmp_path / ".etl_assets" / "landing")
    )


def test_a_variable_that_is_empty_counts_as_absent() -> None:
    names = ("HOME", "DATABASE_URL", "DAGSTER_URL", "LANDING_URL", "SOURCES", "PORT")
    assert Settings.from_environment({f"ETL_ASSETS_{name}": " " for name in names}) == Settings.from_environment({})


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ETL_ASSETS_HOME", "elsewhere")
    assert Settings.from_environment().home == tmp_path / "elsewhere"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_a_database_url_loses_its_driver(scheme: str) -> None:
    settings = Settings.from_environment(
        {"ETL_ASSETS_DATABASE_URL": f"{scheme}://u:p%40ss@db:5433/feeds?sslmode=require"}
    )
    assert settings.database_url == "postgresql://u:p%40ss@db:5433/feeds?sslmode=require"
    assert settings.dagster_url == "postgresql://u:p%40ss@db:5433/feeds_dagster?sslmode=require"


def test_a_database_url_may_omit_the_host() -> None:
    settings = Settings.from_environment({"ETL_ASSETS_DATABASE_URL": "postgresql+psycopg:///feeds"})
    assert (settings.database_url, settings.dagster_url) == ("postgresql:///feeds", "postgresql:///feeds_dagster")


def test_the_database_for_dagster_can_be_set() -> None:
    environ = {
        "ETL_ASSETS_DATABASE_URL": "postgresql://db/a",
        "ETL_ASSETS_DAGSTER_URL": "postgresql+psycopg2://other/b",
    }
    assert Settings.from_environment(environ).dagster_url == "postgresql://other/b"


@pytest.mark.parametrize("value", ["mysql://db/a", "db/a", "postgresql://db", "postgresql://db/", "warehouse"])
def test_an_invalid_database_url_is_an_error_that_does_not_repeat_it(value: str) -> None:
    with pytest.raises(SettingsError, match="ETL_ASSETS_DATABASE_URL is not the URL") as caught:
        Settings.from_environment({"ETL_ASSETS_DATABASE_URL": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("password", ["gehe@im", "gehe/im", "gehe[im", "gehe?im", "gehe#im"])
def test_a_password_with_special_characters_as_they_are_is_an_error_that_does_not_repeat_it(password: str) -> None:
    url = f"postgresql://u:{password}@db.example:5432/warehouse"
    with pytest.raises(SettingsError, match="with special characters percent-encoded") as caught:
        Settings.from_environment({"ETL_ASSETS_DATABASE_URL": url})
    assert "gehe" not in str(caught.value)


def test_a_landing_folder_is_made_absolute_and_a_url_is_kept(tmp_path: Path) -> None:
    assert Settings.from_environment({"ETL_ASSETS_LANDING_URL": "frozen"}).landing_url == str(tmp_path / "frozen")
    assert Settings.from_environment({"ETL_ASSETS_LANDING_URL": "s3://bucket/x"}).landing_url == "s3://bucket/x"


def test_sources_are_packages_and_folders(tmp_path: Path) -> None:
    (tmp_path / "feeds").mkdir()
    settings = Settings.from_environment({"ETL_ASSETS_SOURCES": f"acme.feeds:feeds: ./feeds::{tmp_path}"})
    assert settings.sources == ("acme.feeds", str(tmp_path / "feeds"), str(tmp_path / "feeds"), str(tmp_path))


def test_a_source_that_is_neither_a_folder_nor_a_package_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"names './no-such-folder'"):
        Settings.from_environment({"ETL_ASSETS_SOURCES": "./no-such-folder"})


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "1.5"])
def test_an_invalid_port_is_an_error(value: str) -> None:
    with pytest.raises(SettingsError, match="ETL_ASSETS_PORT is not a port"):
        Settings.from_environment({"ETL_ASSETS_PORT": value})


def test_a_port_is_a_number() -> None:
    assert Settings.from_environment({"ETL_ASSETS_PORT": "5433"}).port == 5433


def test_the_repr_masks_passwords_and_queries() -> None:
    settings = Settings.from_environment(
        {
            "ETL_ASSETS_DATABASE_URL": "postgresql://u:secret-word@db/a?password=secret-word",
            "ETL_ASSETS_LANDING_URL": "sftp://me:secret-word@host/folder",
        }
    )
    assert "secret-word" not in repr(settings)
    assert "postgresql://u:***@db/a?***" in repr(settings)
    assert "sftp://me:***@host/folder" in repr(settings)


def test_channels_are_named_by_their_variables_in_lower_case() -> None:
    settings = Settings.from_environment(
        {"ETL_ASSETS_CHANNEL_DEFAULT": " json://hook.test/a ", "ETL_ASSETS_CHANNEL_ON_CALL": "slack://a/b/c"}
    )
    assert settings.channels == {"default": "json://hook.test/a", "on_call": "slack://a/b/c"}


@pytest.mark.parametrize("value", ["secret-word", "json://secret-word json://other"])
def test_an_invalid_channel_url_is_an_error_that_does_not_repeat_it(value: str) -> None:
    with pytest.raises(SettingsError, match="ETL_ASSETS_CHANNEL_OPS is not an Apprise URL") as caught:
        Settings.from_environment({"ETL_ASSETS_CHANNEL_OPS": value})
    assert "secret-word" not in str(caught.value)


def test_the_repr_shows_only_the_names_of_channels() -> None:
    settings = Settings.from_environment({"ETL_ASSETS_CHANNEL_OPS": "slack://secret-word/b/c"})
    assert "'ops': '***'" in repr(settings)
    assert "secret-word" not in repr(settings)


def test_the_url_of_the_ui_loses_its_last_slash_and_must_be_a_web_page() -> None:
    assert Settings.from_environment({}).ui_url == "http://127.0.0.1:3000"
    assert (
        Settings.from_environment({"ETL_ASSETS_UI_URL": "https://dagster.test/x/"}).ui_url == "https://dagster.test/x"
    )
    with pytest.raises(SettingsError, match="ETL_ASSETS_UI_URL is not the URL"):
        Settings.from_environment({"ETL_ASSETS_UI_URL": "dagster.test"})


def test_pages_of_status_have_a_url_only_if_it_is_declared() -> None:
    assert Settings.from_environment({}).status_url == ""
    declared = Settings.from_environment({"ETL_ASSETS_STATUS_URL": "https://status.test/x/"})
    assert declared.status_url == "https://status.test/x"
    with pytest.raises(SettingsError, match="ETL_ASSETS_STATUS_URL is not the URL"):
        Settings.from_environment({"ETL_ASSETS_STATUS_URL": "status.test"})


def test_with_database_changes_only_the_name_of_the_database() -> None:
    assert with_database("postgresql://u:p@db:1/a?x=1", "b") == "postgresql://u:p@db:1/b?x=1"


def test_hosts_of_the_ui_are_those_declared_and_that_of_its_url() -> None:
    assert Settings.from_environment({}).ui_hosts == frozenset()
    given = {"ETL_ASSETS_UI_HOSTS": " Dagster.test,10.0.0.1, ", "ETL_ASSETS_UI_URL": "https://UI.test:8443/x"}
    assert Settings.from_environment(given).ui_hosts == {"dagster.test", "10.0.0.1", "ui.test"}


@pytest.mark.parametrize("value", ["http://dagster.test", "dagster.test:3000", "*", "a b"])
def test_a_host_of_the_ui_has_neither_scheme_nor_port(value: str) -> None:
    with pytest.raises(SettingsError, match="ETL_ASSETS_UI_HOSTS names"):
        Settings.from_environment({"ETL_ASSETS_UI_HOSTS": value})


def test_the_wait_for_a_database_is_a_whole_number_of_seconds() -> None:
    assert Settings.from_environment({}).database_wait == 300
    assert Settings.from_environment({"ETL_ASSETS_DATABASE_WAIT": "0"}).database_wait == 0
    for value in ("soon", "-1", "1.5"):
        with pytest.raises(SettingsError, match="ETL_ASSETS_DATABASE_WAIT is not a number of seconds"):
            Settings.from_environment({"ETL_ASSETS_DATABASE_WAIT": value})


@pytest.mark.parametrize("name", ["DATABASE", "DAGSTER"])
def test_a_password_may_be_in_a_file_and_is_put_into_the_url(name: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/word:1\n")
    settings = Settings.from_environment(
        {f"ETL_ASSETS_{name}_URL": "postgresql://me@db:5432/a", f"ETL_ASSETS_{name}_PASSWORD_FILE": str(file)}
    )
    url = settings.database_url if name == "DATABASE" else settings.dagster_url
    assert url == "postgresql://me:p%40ss%2Fword%3A1@db:5432/a"
    assert mask_secrets("the password is p@ss/word:1") == "the password is ***"


def test_the_password_of_the_warehouse_is_that_of_dagsters_storage_beside_it() -> None:
    settings = Settings.from_environment(
        {"ETL_ASSETS_DATABASE_URL": "postgresql://me@db/a", "ETL_ASSETS_DATABASE_PASSWORD": "word"}
    )
    assert settings.dagster_url == "postgresql://me:word@db/a_dagster"


def test_a_password_in_the_url_stands() -> None:
    settings = Settings.from_environment(
        {"ETL_ASSETS_DATABASE_URL": "postgresql://me:inside@db/a", "ETL_ASSETS_DATABASE_PASSWORD": "beside"}
    )
    assert settings.database_url == "postgresql://me:inside@db/a"


def test_a_password_needs_a_user() -> None:
    with pytest.raises(SettingsError, match=r"ETL_ASSETS_DATABASE_URL has no user .* postgresql://user@host"):
        Settings.from_environment(
            {"ETL_ASSETS_DATABASE_URL": "postgresql://db/a", "ETL_ASSETS_DATABASE_PASSWORD": "word"}
        )


def test_the_url_of_a_channel_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "channel"
    file.write_text("json://hook.test/a\n")
    settings = Settings.from_environment({"ETL_ASSETS_CHANNEL_OPS_FILE": str(file)})
    assert settings.channels == {"ops": "json://hook.test/a"}


@pytest.mark.parametrize(
    ("content", "words"), [(None, r"cannot be read \(FileNotFoundError\)"), ("\n", "is empty"), ("x", "Both")]
)
def test_a_file_of_a_secret_that_has_no_value_is_an_error(content: str | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    given = {"ETL_ASSETS_DATABASE_PASSWORD_FILE": str(file)}
    if content is not None:
        file.write_text(content)
    if content == "x":
        given["ETL_ASSETS_DATABASE_PASSWORD"] = "y"
    with pytest.raises(SettingsError, match=words):
        Settings.from_environment(given)


def test_the_bundled_sources_can_be_left_out() -> None:
    assert Settings.from_environment({}).bundled
    assert not Settings.from_environment({"ETL_ASSETS_BUNDLED": "no"}).bundled
    with pytest.raises(SettingsError, match=r"ETL_ASSETS_BUNDLED is 'off'.* Write yes or no"):
        Settings.from_environment({"ETL_ASSETS_BUNDLED": "off"})
