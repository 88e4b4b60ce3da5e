"""Names of time zones in declarations."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from etl_assets.errors import DeclarationError


def check_zone(zone: str, where: str, field: str) -> None:
    """Raise a `DeclarationError` unless there is a time zone of that name.

    Args:
        zone: The name.
        where: How the error names the declaration.
        field: The argument with the name.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
        raise DeclarationError(
            where, field, f"{zone!r} is not an IANA zone", "Write one like 'Europe/Paris' or 'UTC'"
        ) from error
