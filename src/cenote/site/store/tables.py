"""The tables of papers, alike in SQLite and PostgreSQL; each database's text index is added by the migrations."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[dt.datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """Refuse a moment without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a moment needs a zone")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """Return it in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Words(TypeDecorator[tuple[str, ...]]):
    """A list of texts as JSON, whose punctuation the text indexes pass over."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Any) -> str | None:
        """Write the list."""
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Any) -> tuple[str, ...] | None:
        """Read the list."""
        return None if value is None else tuple(json.loads(value))


Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite's own row number is an INTEGER


def is_row(number: int) -> bool:
    """Return whether a row may have this number; with others neither database can be asked."""
    return 0 <= number < 2**63


VOTED = text("upvotes > 0 OR reader_votes > 0")
"""Whether a paper has votes; written out, so that SQLite sees that its index fits."""

papers = Table(
    "papers",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("summary", Text),
    Column("authors", Words),
    Column("author_count", Integer),
    Column("published", Moment),
    Column("updated", Moment),
    Column("featured", Date),
    Column("day", Date),  # featured, else submitted: where the feed shows it
    Column("categories", Words, nullable=False),
    Column("keywords", Words, nullable=False),
    Column("organization", Text),
    Column("comment", Text),
    Column("journal_reference", Text),
    Column("doi", Text),
    Column("license", Text),
    Column("code_url", Text),
    Column("code_stars", Integer),
    Column("project_url", Text),
    Column("upvotes", Integer),
    Column("comments", Integer),
    Column("submitted_by", Text),
    Column("text_version", Integer, nullable=False, server_default="1"),  # raised when title or summary change
    # Those of this site's readers, kept in step with their tables; upvotes and comments are what a source says.
    Column("reader_votes", Integer, nullable=False, server_default="0"),
    Column("reader_comments", Integer, nullable=False, server_default="0"),
    Index(None, "day", "number"),
    Index("ix_papers_voted", "day", sqlite_where=VOTED, postgresql_where=VOTED),
    Index(None, "organization"),
    sqlite_autoincrement=True,  # a number is never used again, so a vector can never be another paper's
)

vectors = Table(
    "vectors",
    metadata,
    Column("number", Number, ForeignKey("papers.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("encoder", String(64), primary_key=True),
    Column("text_version", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float16, little endian
    # Raised with every batch, also where a vector is replaced: who has read up to here reads on behind it.
    Column("written", BigInteger, nullable=False, server_default="1"),
    Index(None, "encoder", "written"),
)

imports = Table(
    "imports",
    metadata,
    Column("key", Text, primary_key=True),  # kind and identity of the input
    Column("position", BigInteger, nullable=False),  # of the last record that is in the store
    Column("saved", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
    Column("bad_bytes", BigInteger, nullable=False),  # length of the side file that belongs to position
    Column("cursor", Text),
    Column("finished", Moment),
)
