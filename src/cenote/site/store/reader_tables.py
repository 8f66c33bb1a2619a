"""The tables of readers: who they are, how they signed in, what they voted for and wrote, and how often they asked.

Of tokens only a hash is kept. A row that belongs to a reader or a paper goes when it goes.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, String, Table, Text

from cenote.site.store.tables import Moment, Number, metadata

ADDRESS = String(254)
"""An e-mail address as ``cenote.site.readers.addresses.read_address`` writes it."""

HASH = String(64)
"""SHA-256 of a token, in hexadecimal digits."""

readers = Table(
    "readers",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("address", ADDRESS, nullable=False, unique=True),
    Column("name", String(60), nullable=False),
    Column("name_key", Text, nullable=False, server_default=""),  # what no two names have in common
    Column("created", Moment, nullable=False),
    Column("seen", Moment, nullable=False),  # when they signed in last
    Index("ux_readers_name_key", "name_key", unique=True),
    sqlite_autoincrement=True,  # a number is never used again, so nothing can become another reader's
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", HASH, primary_key=True),
    Column("address", ADDRESS, nullable=False),
    Column("expires", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", HASH, primary_key=True),
    Column("reader", Number, ForeignKey("readers.id", ondelete="CASCADE"), nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Index(None, "reader"),
)

votes = Table(
    "votes",
    metadata,
    Column("paper", Number, ForeignKey("papers.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("reader", Number, ForeignKey("readers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("created", Moment, nullable=False),
    Index(None, "reader"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("paper", Number, ForeignKey("papers.number", ondelete="CASCADE"), nullable=False),
    Column("reader", Number, ForeignKey("readers.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),  # Markdown, as it was written
    Column("created", Moment, nullable=False),
    Column("hidden", Moment),  # when an operator took it from the page
    Index(None, "paper", "id"),
    Index(None, "reader"),
    sqlite_autoincrement=True,
)

blocks = Table(
    "blocks",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("created", Moment, nullable=False),
)
"""Addresses that may not sign in; they stay when the account is deleted."""

operator_actions = Table(
    "operator_actions",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("created", Moment, nullable=False),
    Column("operator", ADDRESS, nullable=False),
    Column("kind", String(12), nullable=False),  # hide, show, block, unblock, feature, unfeature
    Column("object", Text, nullable=False),  # a comment's number, an address, or a paper and its day
    Index(None, "created"),
    sqlite_autoincrement=True,
)

limits = Table(
    "limits",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("full_at", Float, nullable=False),  # seconds since 1970
    Index(None, "full_at"),
)
"""How often something was asked for; see ``cenote.site.guarding.limits``."""
