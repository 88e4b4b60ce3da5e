"""The fixtures `desk` and `prepared`: feeds in a folder, a database and a home, in which a test runs commands."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import pytest

from etl_assets.settings import with_database
from etl_assets_tests.cli.desk import Desk
from etl_assets_tests.databases import create_database, database_exists, drop_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Prepare: TypeAlias = Callable[[Desk], object]
    Prepared: TypeAlias = Callable[[Prepare], Desk]

_SET_BY_COMMANDS = (
    "ETL_ASSETS_DAGSTER_URL",
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


@dataclass
class Desks:
    """Prepares a desk once for many tests, and gives each of them a copy.

    A copy has the database and the folder of the original, since both are part of declarations and of what is stored.

    Attributes:
        postgres_url: A superuser's database.
        folder: Of the desk and of what was saved.
        name: Of the desk's database.
        environments: What commands have set while a function prepared a desk, by that function.
    """

    postgres_url: str
    folder: Path
    name: str = field(default_factory=lambda: f"desk_{uuid4().hex[:12]}")
    environments: dict[Prepare, dict[str, str]] = field(default_factory=dict)

    def empty(self) -> Desk:
        self.discard()
        url = create_database(self.postgres_url, self.name)
        (self.folder / "desk").mkdir()
        return Desk(url, self.folder / "desk")

    def save(self, prepare: Prepare) -> None:
        self.environments[prepare] = {variable: os.environ[variable] for variable in _SET_BY_COMMANDS}
        name = self._saved_name(prepare)
        self._copy_databases(self.name, f"{self.name}_{name}")
        shutil.copytree(self.folder / "desk", self.folder / name, symlinks=True)

    def copy(self, prepare: Prepare) -> Desk:
        self.discard()
        name = self._saved_name(prepare)
        self._copy_databases(f"{self.name}_{name}", self.name)
        shutil.copytree(self.folder / name, self.folder / "desk", symlinks=True)
        return Desk(with_database(self.postgres_url, self.name), self.folder / "desk")

    def _saved_name(self, prepare: Prepare) -> str:
        return str(list(self.environments).index(prepare))

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
    for name in range(len(desks.environments)):
        for ending in _DATABASES:
            drop_database(postgres_url, f"{desks.name}_{name}{ending}")


@pytest.fixture
def prepared(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """Prepares a desk once with a function, and copies it for each test that names the function."""

    def copy(prepare: Prepare) -> Desk:
        if prepare not in desks.environments:
            desk = desks.empty()
            _enter(desk, monkeypatch)
            prepare(desk)
            desks.save(prepare)
        desk = desks.copy(prepare)
        _enter(desk, monkeypatch, desks.environments[prepare])
        return desk

    return copy


def _enter(desk: Desk, monkeypatch: pytest.MonkeyPatch, set_by_commands: Mapping[str, str] | None = None) -> None:
    """Let commands find a desk."""
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    for name in _SET_BY_COMMANDS:
        monkeypatch.setenv(name, (set_by_commands or {}).get(name, ""))  # so that monkeypatch restores what they set
    monkeypatch.delitem(sys.modules, "etl_assets.definitions", raising=False)
