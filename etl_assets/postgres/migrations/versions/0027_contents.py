"""A loader works without the right to select the contents of rejected records.

Records are compared by the digests of their bytes, and counted by their lengths, so that this needs no right to read
the bytes. Who may execute the function reads the contents of records that it names.
"""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the digests and lengths, which writes the table anew, and the function."""
    op.execute(
        """
        ALTER TABLE etl.rejected
            ADD COLUMN raw_sha256 bytea NOT NULL GENERATED ALWAYS AS (sha256(raw)) STORED,
            ADD COLUMN raw_bytes integer NOT NULL GENERATED ALWAYS AS (octet_length(raw)) STORED
        """
    )
    # volatile: after a wait for a lock it reads what the other transaction has committed
    op.execute(
        """
        CREATE FUNCTION etl.rejected_contents(ids bigint[]) RETURNS TABLE (id bigint, raw bytea, fields jsonb)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS 'SELECT r.id, r.raw, r.fields FROM etl.rejected r WHERE r.id = ANY (ids)'
        """
    )
    op.execute("REVOKE ALL ON FUNCTION etl.rejected_contents(bigint[]) FROM PUBLIC")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP FUNCTION etl.rejected_contents(bigint[])")
    op.execute("ALTER TABLE etl.rejected DROP COLUMN raw_bytes, DROP COLUMN raw_sha256")
