"""Vectors in the order in which they were written; PostgreSQL's text index without accents, as SQLite's is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the tables."""
    op.add_column("vectors", sa.Column("written", sa.BigInteger, nullable=False, server_default="1"))
    op.create_index("ix_vectors_encoder_written", "vectors", ["encoder", "written"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.get_bind().exec_driver_sql(statement)


_POSTGRESQL = (
    "ALTER TABLE papers DROP COLUMN papers_text",
    # Letters and their accents taken apart, then the accents left out.
    r"""CREATE FUNCTION cenote_fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
        $$ SELECT CASE WHEN $1 ~ '^[\x01-\x7f]*$' THEN $1
           ELSE normalize(regexp_replace(normalize($1, NFD), '[\u0300-\u036f]', '', 'g'), NFC) END $$""",
    """ALTER TABLE papers ADD COLUMN papers_text tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', cenote_fold(title)), 'A') ||
        setweight(to_tsvector('english', cenote_fold(keywords)), 'B') ||
        setweight(to_tsvector('english', cenote_fold(coalesce(summary, ''))), 'C') ||
        setweight(to_tsvector('simple', cenote_fold(coalesce(authors, ''))), 'D')) STORED""",
    "CREATE INDEX papers_text_index ON papers USING gin (papers_text)",
)
