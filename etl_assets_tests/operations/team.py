"""A warehouse of a team: each task has its own role, and commands are typed as one of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from etl_assets_tests.cli.desk import Desk
from etl_assets_tests.documented import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from click.testing import Result

    from etl_assets.local import EmbeddedServer

DATABASE = "shop"
PASSWORD = "secret"


def create_roles(server: EmbeddedServer) -> None:
    """Do what docs/operating.md has the administrator do, with databases of another name."""
    statements = [text.replace("warehouse", DATABASE) for text in blocks("docs/operating.md", "sql", "## Roles")]
    for database, text in zip(("postgres", DATABASE), statements, strict=True):
        with psycopg.connect(server.superuser_url(database), autocommit=True) as connection:
            for statement in text.split(";\n"):
                connection.execute(statement.replace("…", PASSWORD).encode())


@dataclass
class Team:
    """The environment of a team.

    Attributes:
        server: Has the roles and both databases.
        folder: Folder of the feeds, their declarations and the home.
    """

    server: EmbeddedServer
    folder: Path
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.url("etl_loader"), self.folder)

    def url(self, role: str, database: str = DATABASE) -> str:
        address = self.server.superuser_url(database).partition("@")[2]
        return f"postgresql://{role}:{PASSWORD}@{address}"

    def type(self, role: str, *arguments: str) -> Result:
        """Type a command as a role; what the migrator does in Dagster's storage, it does as the loader."""
        dagster = "etl_loader" if role == "etl_migrator" else role
        os.environ.update(
            self.desk.environment,
            ETL_ASSETS_DATABASE_URL=self.url(role),
            ETL_ASSETS_DAGSTER_URL=self.url(dagster, f"{DATABASE}_dagster"),
        )
        return self.desk.type(*arguments)

    def succeed(self, role: str, *arguments: str) -> str:
        result = self.type(role, *arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def execute(self, role: str, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement as a role, in a transaction that is taken back."""
        with psycopg.connect(self.url(role)) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            rows = cursor.fetchall() if cursor.description else []
            connection.rollback()
        return rows
