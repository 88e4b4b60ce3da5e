"""The fixtures `desk` and `prepared`: feeds in a folder, a database and a home, in which a test runs commands."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import pytest

from etl_assets.settings import with_database
from etl_assets_tests.cli.desk import Desk
from etl_assets_tests.databases import create_database, database_exists, drop_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_SET_BY_COMMANDS = (
    "ETL_ASSETS_DAGSTER_URL",
    "ETL_ASSETS_DAGSTER_STORAGE_URL",
    "ETL_ASSETS_LANDING_URL",
    "DAGSTER_HOME",
)
_DATABASES = ("", "_dagster")
"""What the name of the warehouse's database ends in, and that of Dagster's."""


@pytest.fixture
def desk(database_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An empty desk."""
    desk = Desk(database_url, tmp_path)
    _enter(desk, monkeypatch)
    yield desk
    drop_database(postgres_url, database_url.rpartition("/")[2].partition("?")[0] + "_dagster")


class Prepared(Protocol):
    """Returns a desk as a function prepares it."""

    def __call__(self, name: str, prepare: Callable[[Desk], object]) -> Desk:
        """Prepare a desk, or copy the desk that was prepared under a name before."""


@dataclass
class Desks:
    """Prepares a desk once for many tests, and gives each of them a copy.

    A copy has the database and the folder of the original, since both are part of declarations and of what is stored.

    Attributes:
        postgres_url: A superuser's database.
        folder: Of the desk and of what was saved.
        name: Of the desk's database.
        environment: What commands have set while a desk was prepared, by the name under which it is saved.
    """

    postgres_url: str
    folder: Path
    name: str = field(default_factory=lambda: f"desk_{uuid4().hex[:12]}")
    environment: dict[str, dict[str, str]] = field(default_factory=dict)

    def empty(self) -> Desk:
        self.discard()
        url = create_database(self.postgres_url, self.name)
        (self.folder / "desk").mkdir()
        return Desk(url, self.folder / "desk")

    def save(self, name: str) -> None:
        self.environment[name] = {variable: os.environ[variable] for variable in _SET_BY_COMMANDS}
        self._copy_databases(self.name, f"{self.name}_{name}")
        shutil.copytree(self.folder / "desk", self.folder / name, symlinks=True)

    def copy(self, name: str) -> Desk:
        self.discard()
        self._copy_databases(f"{self.name}_{name}", self.name)
        shutil.copytree(self.folder / name, self.folder / "desk", symlinks=True)
        return Desk(with_database(self.postgres_url, self.name), self.folder / "desk")

    def _copy_databases(self, name: str, copy: str) -> None:
        """Copy the warehouse's database, and Dagster's if a command has created it."""
        for ending in _DATABASES:
            if database_exists(self.postgres_url, name + ending):
                create_database(self.postgres_url, copy + ending, name + ending)

    def discard(self) -> None:
        for ending in _DATABASES:
            drop_database(self.postgres_url, self.name + ending)
        shutil.rmtree(self.folder / "desk", ignore_errors=True)


@pytest.fixture(scope="session")
def desks(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    desks = Desks(postgres_url, tmp_path_factory.mktemp("desks"))
    yield desks
    desks.discard()
    for name in desks.environment:
        for ending in _DATABASES:
            drop_database(postgres_url, f"{desks.name}_{name}{ending}")


@pytest.fixture
def prepared(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """Prepares a desk once, and copies it for each test."""

    def copy(name: str, prepare: Callable[[Desk], object]) -> Desk:
        if name not in desks.environment:
            desk = desks.empty()
            _enter(desk, monkeypatch)
            prepare(desk)
            desks.save(name)
        desk = desks.copy(name)
        _enter(desk, monkeypatch, desks.environment[name])
        return desk

    return copy


def _enter(desk: Desk, monkeypatch: pytest.MonkeyPatch, set_by_commands: Mapping[str, str] | None = None) -> None:
    """Let commands find a desk."""
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    for name in _SET_BY_COMMANDS:
        monkeypatch.setenv(name, (set_by_commands or {}).get(name, ""))  # so that monkeypatch restores what they set
    monkeypatch.delitem(sys.modules, "etl_assets.definitions", raising=False)
