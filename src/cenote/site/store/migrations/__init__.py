"""Alembic's migrations; ``cenote.site.store.database.Database.migrate`` runs them."""
