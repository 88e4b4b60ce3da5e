"""Entries of rebuilds; and views over all sources leave out the rebuilds that are not in place."""

from alembic import op

revision = "0018"
down_revision = "0017"

KINDS = """
ALTER TABLE etl.batch DROP CONSTRAINT batch_kind_check;
ALTER TABLE etl.batch ADD CONSTRAINT batch_kind_check CHECK (kind IN ('ingest', 'replay', 'completion', 'rebuild'));
"""
VIEWS = ("quality_daily", "source_health", "rejections_by_rule", "rejected_case")
FILTERED = """
DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW etl.{view} WITH (security_barrier = {barrier}) AS SELECT * FROM ('
    || rtrim(pg_get_viewdef('etl.{view}'::regclass), ';')
    || ') v WHERE right(v.source, 8) <> ''@rebuild'''; END $$
"""


def upgrade() -> None:
    """Allow the kind, and filter the views."""
    op.execute(KINDS)
    for view in VIEWS:
        op.execute(FILTERED.format(view=view, barrier=str(view != "rejected_case").lower()))


def downgrade() -> None:
    """Forbid the kind, of which there must be no entry; the filter of the views may stay."""
    op.execute("ALTER TABLE etl.batch DROP CONSTRAINT batch_kind_check")
    op.execute(
        "ALTER TABLE etl.batch ADD CONSTRAINT batch_kind_check CHECK (kind IN ('ingest', 'replay', 'completion'))"
    )
