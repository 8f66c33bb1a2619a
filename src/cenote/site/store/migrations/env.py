"""Run migrations on the connection that is given."""

from __future__ import annotations

from alembic import context

from cenote.site.store import mail_tables, reader_tables, run_tables
from cenote.site.store.tables import metadata

assert {mail_tables.mails, reader_tables.readers, run_tables.runs} <= set(metadata.sorted_tables)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's is, too
    include_object=lambda thing, name, kind, reflected, other: not (name or "").startswith("papers_text"),
)
with context.begin_transaction():
    context.run_migrations()
