"""``etl-assets db``: shows how other programs reach the warehouse."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import click

from etl_assets.cli.environment import environment


@click.group(name="db")
def command() -> None:
    """Show how other programs reach the warehouse."""


@command.command()
@click.option("--password", "with_password", is_flag=True, help="With the password, for a program that asks for none.")
def url(*, with_password: bool) -> None:
    """Print the URL of the warehouse: user, host, port and database; the password only with --password.

    An embedded server runs while a command needs it, such as `etl-assets dev`. Its port stays the same while no other
    program takes it; ETL_ASSETS_PORT, or port in the project file, declares one.
    """
    with environment() as env:
        click.echo(env.url if with_password else without_password(env.url))
        if env.settings.database_url is None:
            click.echo("This server runs while a command needs it: keep etl-assets dev running.", err=True)


def without_password(url: str) -> str:
    """Return the URL of a database without its password, wherever the URL has it."""
    scheme, _, rest = url.partition("://")
    parts = urlsplit(f"//{rest}")
    user, at, host = parts.netloc.rpartition("@")
    query = [(name, value) for name, value in parse_qsl(parts.query) if "password" not in name]
    asked = f"?{urlencode(query)}" if query else ""
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{parts.path}{asked}"
