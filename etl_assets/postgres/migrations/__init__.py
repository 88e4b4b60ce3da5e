"""Migrations of schema ``etl``: Alembic revisions, and the one way to bring a database up to them."""

from etl_assets.postgres.migrations.migrate import migrate, require_current

__all__ = ["migrate", "require_current"]
