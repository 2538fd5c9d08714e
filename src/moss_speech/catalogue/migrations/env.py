"""How Alembic reaches the catalogue: on a connection given to it, else by the settings."""

from alembic import context
from sqlalchemy import Connection

from moss_speech.catalogue import (  # noqa: F401 -- completes the metadata
    gate_tables,
    lineage_tables,
    monitor_tables,
    serving_tables,
)
from moss_speech.catalogue.database import make_engine
from moss_speech.catalogue.tables import Table
from moss_speech.settings import settings


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        user_module_prefix="tables.",
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    with make_engine(settings().catalogue_url).begin() as own:
        _migrate(own)
