"""A type that changed in the catalogue of a publisher is drift."""

from alembic import op

revision = "0013"
down_revision = "0012"

KINDS = """
ALTER TABLE etl.drift DROP CONSTRAINT drift_kind_check;
ALTER TABLE etl.drift ADD CONSTRAINT drift_kind_check CHECK (kind IN (
    'added', 'removed', 'renamed', 'reordered', 'line_end', 'skipped_lines', 'catalogue',
    'retyped', 'format', 'null_word', 'category'));
"""

FORMER = """
DELETE FROM etl.drift WHERE kind = 'catalogue';
ALTER TABLE etl.drift DROP CONSTRAINT drift_kind_check;
ALTER TABLE etl.drift ADD CONSTRAINT drift_kind_check CHECK (kind IN (
    'added', 'removed', 'renamed', 'reordered', 'line_end', 'skipped_lines',
    'retyped', 'format', 'null_word', 'category'));
"""


def upgrade() -> None:
    """Allow the kind."""
    op.execute(KINDS)


def downgrade() -> None:
    """Delete the events of the kind."""
    op.execute(FORMER)
