"""Migrations of schema ``etl``: the Alembic revisions, and the only functions that apply and check them."""

from etl_assets.postgres.migrations.migrate import migrate, require_current

__all__ = ["migrate", "require_current"]
