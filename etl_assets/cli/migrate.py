"""``etl-assets migrate``: migrates schema ``etl`` and Dagster's storage to this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.terminal import console

if TYPE_CHECKING:
    from etl_assets.cli.environment import Environment


@click.command(name="migrate")
def command() -> None:
    """Migrate the database and Dagster's storage to this version.

    Safe to run at any time, and more than once. The roles of the database get their rights on it.
    """
    with environment(creates=True) as env:
        for storage, before, after in migrate_databases(env):
            change = f"is at revision {after}" if before == after else f"went from {before or 'nothing'} to {after}"
            console().print(f"{storage} {change}.")


def migrate_databases(env: Environment) -> list[tuple[str, str | None, str | None]]:
    """Migrate both databases, and set the limits of pools as declared.

    Returns:
        For each database: its name in words, its revision before, and its revision after.
    """
    import dagster as dg

    from etl_assets.graph.pools import set_limits
    from etl_assets.postgres.migrations.migrate import migrate

    before, after = migrate(env.url)
    with dg.DagsterInstance.get() as instance:  # creates the tables if they are missing
        earlier = instance.run_storage.alembic_version()
        instance.upgrade()
        later = instance.run_storage.alembic_version()
        set_limits(instance, declared(env.settings).sources.values())
    return [
        ("Schema etl", before, after),
        ("Dagster's storage", earlier[0] if earlier else None, later[0] if later else None),
    ]
