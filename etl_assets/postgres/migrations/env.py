"""The script that Alembic runs: connects with the URL that it gets and keeps its version table in schema ``etl``."""

from alembic import context
from sqlalchemy import create_engine, pool

from etl_assets.postgres.migrations.migrate import VERSION_TABLE

_engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool, hide_parameters=True)
with _engine.connect() as _connection:
    context.configure(connection=_connection, version_table=VERSION_TABLE, version_table_schema="etl")
    with context.begin_transaction():
        context.run_migrations()
