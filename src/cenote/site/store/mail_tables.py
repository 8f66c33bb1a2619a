"""The tables of mail: subscriptions, what is to be sent or was, and which addresses do not take it."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from cenote.site.store.reader_tables import ADDRESS, HASH
from cenote.site.store.tables import Moment, Number, metadata

_THERE = text("state <> 'ended'")

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("key", String(43), nullable=False, unique=True),  # random; what links to unsubscribe name
    Column("address", ADDRESS, nullable=False),
    Column("frequency", String(8), nullable=False),  # daily, weekly
    Column("scope", String(8), nullable=False),  # all, shelf, search
    Column("chosen", Text, nullable=False, server_default=""),  # the shelf, or the search's query string
    Column("state", String(12), nullable=False),  # pending, confirmed, ended
    Column("created", Moment, nullable=False),
    Column("confirmed", Moment),
    Column("ended", Moment),
    Column("issue", Date),  # the day of the last digest, or of the confirmation
    Column("seen", Number),  # the number of the newest paper there was then
    Index(
        "ux_subscriptions_there",
        "address",
        "frequency",
        "scope",
        "chosen",
        unique=True,
        sqlite_where=_THERE,
        postgresql_where=_THERE,
    ),
    sqlite_autoincrement=True,
)

confirmations = Table(
    "confirmations",
    metadata,
    Column("token_hash", HASH, primary_key=True),
    Column("address", ADDRESS, nullable=False),
    Column("expires", Moment, nullable=False),
)

mails = Table(
    "mails",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", String(12), nullable=False),  # sign-in, confirm, digest
    Column("address", ADDRESS, nullable=False),
    Column("subscription", Number, ForeignKey("subscriptions.id", ondelete="CASCADE")),
    Column("issue", Date),
    Column("content", Text),  # JSON of what a digest is made from; emptied when it was sent
    Column("message_id", String(64), nullable=False, unique=True),  # without the domain
    Column("state", String(12), nullable=False),  # queued, sent, refused, dropped
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created", Moment, nullable=False),
    Column("due", Moment, nullable=False),  # not to be tried before
    Column("ended", Moment),
    Column("problem", Text),
    UniqueConstraint("subscription", "issue"),
    Index(None, "state", "kind", "id"),
    Index(None, "address"),
    sqlite_autoincrement=True,
)

bounces = Table(
    "bounces",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("failures", Integer, nullable=False),  # permanent ones, none arrived in between
    Column("last", Moment, nullable=False),
    Column("reason", Text),
    Column("suppressed", Moment),
)

announced = Table(
    "announced",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("day", Date, nullable=False),  # when this site had the result first
)
