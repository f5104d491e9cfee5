"""Where migrations run. The program hands in the connection; by hand: ``alembic -c alembic/alembic.ini -x url=...``."""

from __future__ import annotations

from sqlalchemy import Connection, create_engine

from alembic import context
from ivr.records.model import Base


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite cannot alter most of a table in place; batch mode copies it.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as connection:
        migrate(connection)
