"""Options and arguments that several commands have, and how they are read."""

from __future__ import annotations

import getpass

import click

ROW_ID = click.IntRange(0, 2**63 - 1)
"""The id of a row in schema ``etl``, as far as the database has such numbers."""
NOTE = click.option("--note", help="Why.")
REVIEWER = click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who decided.")


def column_and_value(text: str) -> tuple[str, str]:
    """Return the two sides of a COLUMN=VALUE; the value may be empty, and may contain ``=``.

    Raises:
        click.UsageError: If the text has no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not of the form COLUMN=VALUE.")
    return name, value
