"""Run migrations on the connection that is given."""

from __future__ import annotations

from alembic import context

from cenote.site.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's is, too
    include_object=lambda thing, name, kind, reflected, other: not (name or "").startswith("papers_text"),
)
with context.begin_transaction():
    context.run_migrations()
