"""The days of papers with votes: where the newest has none, they are looked for further back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the index."""
    voted = sa.text("upvotes > 0 OR reader_votes > 0")
    op.create_index("ix_papers_voted", "papers", ["day"], sqlite_where=voted, postgresql_where=voted)
