"""Names that no two readers have in common."""

from __future__ import annotations

import secrets
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change the table; of readers with one name, the first keeps it, and the others choose anew."""
    op.add_column("readers", sa.Column("name_key", sa.Text, nullable=False, server_default=""))
    readers = sa.table("readers", sa.column("id"), sa.column("name"), sa.column("name_key"))
    connection, taken = op.get_bind(), set[str]()
    for number, name in connection.execute(sa.select(readers.c.id, readers.c.name).order_by(readers.c.id)).all():
        kept = name
        while (key := _key(kept)) in taken:
            kept = f"reader-{secrets.token_hex(3)}"
        taken.add(key)
        changed = sa.update(readers).where(readers.c.id == number).values(name=kept, name_key=key)
        connection.execute(changed)
    op.create_index("ux_readers_name_key", "readers", ["name_key"], unique=True)


def _key(name: str) -> str:
    # As it was with this version: what came later must not change what this did.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
