"""A warehouse of a team: each task has its own role, and commands are typed as one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg

from etl_assets.local.binaries import installed_program
from etl_assets_tests.cli.desk import Desk
from etl_assets_tests.documented import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.testing import Result

    from etl_assets.local import EmbeddedServer

DATABASE = "shop"
PASSWORD = "secret"


OPERATIONS = "docs/operations.md"


def create_roles(server: EmbeddedServer, *, both: bool = True) -> None:
    """Do what docs/operating.md has the administrator do, with databases of another name; or the first half of it."""
    texts = blocks("docs/operating.md", "sql", "## Roles")[: 2 if both else 1]
    for database, text in zip(("postgres", DATABASE), texts, strict=False):
        with psycopg.connect(server.superuser_url(database), autocommit=True) as connection:
            for statement in text.split(";\n"):
                connection.execute(statement.replace("warehouse", DATABASE).replace("…", PASSWORD).encode())


def carry_out(server: EmbeddedServer, commands: str, **environment: object) -> str:
    """Carry out documented commands in a shell, as the superuser of a server; return what they print."""
    address = urlsplit(server.superuser_url())
    programs = installed_program("pg_dump")
    assert programs is not None
    found = {
        "PATH": f"{Path(programs).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PGHOST": address.hostname or "",
        "PGPORT": str(address.port),
        "PGUSER": address.username or "",
        "PGPASSWORD": address.password or "",
        "PGDATABASE": "postgres",
    }
    added = {name: str(value) for name, value in environment.items()}
    script = commands.replace("warehouse", DATABASE)
    result = subprocess.run(
        ["bash", "-euc", script], env={**os.environ, **found, **added}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


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
        """Type a command as a role."""
        os.environ.update(self.environment(role))
        return self.desk.type(*arguments)

    def environment(self, role: str) -> dict[str, str]:
        """Return the settings of a role; what the migrator does in Dagster's storage, it does as the loader."""
        dagster = "etl_loader" if role == "etl_migrator" else role
        return {
            **self.desk.environment,
            "ETL_ASSETS_DATABASE_URL": self.url(role),
            "ETL_ASSETS_DAGSTER_URL": self.url(dagster, f"{DATABASE}_dagster"),
        }

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
