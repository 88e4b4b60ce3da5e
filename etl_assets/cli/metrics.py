"""``etl-assets metrics``: serves metrics for Prometheus; see package `metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from etl_assets import logs
from etl_assets.cli.environment import require_warehouse
from etl_assets.errors import EtlAssetsError, SettingsError
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from etl_assets.local import Database

_HOST: Final = "127.0.0.1:9464"


@click.command(name="metrics")
@click.option("--listen", default=_HOST, show_default=True, metavar="HOST:PORT", help="Address to listen at.")
@click.pass_context
def command(ctx: click.Context, listen: str) -> None:
    """Serve metrics for Prometheus at /metrics, and /health. Ctrl-C ends it.

    It reads the run history and Dagster's storage at each request, and needs the rights to read them only. There is no
    password: listen where only Prometheus can connect.
    """
    try:
        from etl_assets.metrics.collector import Exposition
        from etl_assets.metrics.server import listening, serve
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Metrics need the library {error.name}. Nothing was started. "
            "Install it: pip install 'etl-assets[metrics]'."
        ) from error
    from etl_assets.local import database

    settings = Settings.from_environment()
    require_warehouse(settings)
    logs.configure_command(verbose=ctx.obj["verbose"])
    with database(settings) as databases, listening(listen) as listener:
        _require_rights(databases)
        exposition = Exposition({"warehouse": databases.url, "dagster": databases.dagster_url})
        host, port = listener.getsockname()[:2]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        serve(exposition, listener, lambda: click.echo(f"Metrics are at http://{place}/metrics (Ctrl-C ends it)."))


def _require_rights(databases: Database) -> None:
    """Read everything once.

    Raises:
        SettingsError: If a database cannot be read, or is not migrated.
    """
    from etl_assets.metrics.orchestration import orchestration_metrics
    from etl_assets.metrics.warehouse import warehouse_metrics
    from etl_assets.postgres.metrics.session import reading

    try:
        with reading(databases.url) as connection:
            warehouse_metrics(connection)
        with reading(databases.dagster_url) as connection:
            orchestration_metrics(connection)
    except EtlAssetsError as error:
        raise SettingsError(
            f"Metrics cannot be read. Nothing was started. Run etl-assets migrate, and grant the rights that "
            f"docs/monitoring.md lists. {error}"
        ) from error
