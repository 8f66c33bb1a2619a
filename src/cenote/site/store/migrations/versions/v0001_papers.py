"""Papers with their text index, vectors, and how far imports have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "papers",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("summary", sa.Text),
        sa.Column("authors", sa.Text),
        sa.Column("author_count", sa.Integer),
        sa.Column("published", _MOMENT),
        sa.Column("updated", _MOMENT),
        sa.Column("featured", sa.Date),
        sa.Column("day", sa.Date),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("keywords", sa.Text, nullable=False),
        sa.Column("organization", sa.Text),
        sa.Column("comment", sa.Text),
        sa.Column("journal_reference", sa.Text),
        sa.Column("doi", sa.Text),
        sa.Column("license", sa.Text),
        sa.Column("code_url", sa.Text),
        sa.Column("code_stars", sa.Integer),
        sa.Column("project_url", sa.Text),
        sa.Column("upvotes", sa.Integer),
        sa.Column("comments", sa.Integer),
        sa.Column("submitted_by", sa.Text),
        sa.Column("text_version", sa.Integer, nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("number", name="pk_papers"),
        sa.UniqueConstraint("id", name="uq_papers_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_papers_day_number", "papers", ["day", "number"])
    op.create_index("ix_papers_organization", "papers", ["organization"])
    op.create_table(
        "vectors",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("encoder", sa.String(64), nullable=False),
        sa.Column("text_version", sa.Integer, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["papers.number"], name="fk_vectors_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", "encoder", name="pk_vectors"),
    )
    op.create_table(
        "imports",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("saved", sa.BigInteger, nullable=False),
        sa.Column("bad", sa.BigInteger, nullable=False),
        sa.Column("bad_bytes", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("finished", _MOMENT),
        sa.PrimaryKeyConstraint("key", name="pk_imports"),
    )
    statements = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


_WORDS = "number, title, summary, authors, keywords"

# An index over the papers' own columns, kept in step by triggers. Lists are JSON there, whose signs separate words.
_SQLITE = (
    """CREATE VIRTUAL TABLE papers_text USING fts5(
        title, summary, authors, keywords,
        content='papers', content_rowid='number', tokenize='porter unicode61 remove_diacritics 2')""",
    f"""CREATE TRIGGER papers_text_insert AFTER INSERT ON papers BEGIN
        INSERT INTO papers_text (rowid, title, summary, authors, keywords)
        VALUES ({", ".join(f"new.{name}" for name in _WORDS.split(", "))}); END""",
    f"""CREATE TRIGGER papers_text_delete AFTER DELETE ON papers BEGIN
        INSERT INTO papers_text (papers_text, rowid, title, summary, authors, keywords)
        VALUES ('delete', {", ".join(f"old.{name}" for name in _WORDS.split(", "))}); END""",
    f"""CREATE TRIGGER papers_text_update AFTER UPDATE OF title, summary, authors, keywords ON papers
        WHEN (old.title, old.summary, old.authors, old.keywords)
          IS NOT (new.title, new.summary, new.authors, new.keywords) BEGIN
        INSERT INTO papers_text (papers_text, rowid, title, summary, authors, keywords)
        VALUES ('delete', {", ".join(f"old.{name}" for name in _WORDS.split(", "))});
        INSERT INTO papers_text (rowid, title, summary, authors, keywords)
        VALUES ({", ".join(f"new.{name}" for name in _WORDS.split(", "))}); END""",
)

_POSTGRESQL = (
    """ALTER TABLE papers ADD COLUMN papers_text tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') ||
        setweight(to_tsvector('english', keywords), 'B') ||
        setweight(to_tsvector('english', coalesce(summary, '')), 'C') ||
        setweight(to_tsvector('simple', coalesce(authors, '')), 'D')) STORED""",
    "CREATE INDEX papers_text_index ON papers USING gin (papers_text)",
)
