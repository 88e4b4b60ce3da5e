"""Places without a server in the tests: what is declared reaches their libraries. And packages that are missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from etl_assets import S3, Azure, Csv, FileExtractor, Gcs, Partition, Secret, Sftp
from etl_assets.errors import EnvironmentFaultError, SettingsError
from etl_assets.extract.access.other import access_without_login

if TYPE_CHECKING:
    from etl_assets.extract.access.base import FileSystemAccess

PASSWORD = Secret("FEED_PASSWORD")


def test_what_is_declared_for_azure_reaches_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", "aHVudGVyMg==")
    system = Azure("feeds", PASSWORD).connect("abfs://c/a.csv")
    assert (system.account_name, system.account_key) == ("feeds", "aHVudGVyMg==")
    assert Azure("feeds", PASSWORD).path(system, "abfs://c/in/a b.csv") == "c/in/a b.csv"
    assert Azure("feeds", sas=PASSWORD).connect("abfs://c/a.csv").sas_token.endswith("aHVudGVyMg==")
    assert Azure("feeds", anonymous=True).connect("abfs://c/a.csv").anon is True


def test_what_is_declared_for_google_reaches_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Gcs(anonymous=True, project="p", endpoint="http://127.0.0.1:1").connect("gs://b/a.csv")
    assert (system.project, system.credentials.method) == ("p", "anon")
    assert Gcs(anonymous=True).path(system, "gs://b/in/a b.csv") == "b/in/a b.csv"
    monkeypatch.setenv("FEED_PASSWORD", "hunter2, which is no JSON")
    with pytest.raises(SettingsError, match="FEED_PASSWORD is not JSON") as caught:
        Gcs(PASSWORD).connect("gs://b/a.csv")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "access", "package", "extra"),
    [
        ("s3://b/a.csv", S3(), "s3fs", "s3"),
        ("sftp://x/a.csv", Sftp(), "sshfs", "sftp"),
        ("gs://b/a.csv", Gcs(), "gcsfs", "gcs"),
        ("abfs://c/a.csv", Azure("feeds"), "adlfs", "azure"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    location: str, access: FileSystemAccess, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    extractor = FileExtractor(location=location, format=Csv(), access=access)
    with pytest.raises(EnvironmentFaultError, match=rf"{package} is not installed.*etl-assets\[{extra}\]"):
        extractor.poll(Partition())


def test_a_location_without_an_access_is_reached_by_that_of_its_scheme() -> None:
    schemes = {"s3": "S3", "sftp": "Sftp", "gs": "Gcs", "ftp": "Ftp", "memory": "Other"}
    for scheme, name in schemes.items():
        assert type(access_without_login(f"{scheme}://x/a.csv")).__name__ == name
