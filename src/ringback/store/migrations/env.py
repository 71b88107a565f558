"""Alembic's entry: runs the revisions on the connection that the driver hands over."""

from alembic import context

from ringback.store import (  # noqa: F401 - its tables belong to the metadata
    schema_access,
    schema_accounts,
    schema_bins,
    schema_carriers,
    schema_limits,
    schema_media,
    schema_numbers,
    schema_parts,
    schema_received,
    schema_saved_queries,
    schema_smpp,
    schema_upstream,
)
from ringback.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
