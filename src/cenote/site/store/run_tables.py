"""The table of runs that readers asked for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, false

from cenote.site.store.reader_tables import HASH
from cenote.site.store.tables import Moment, metadata

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("preset", String(16), nullable=False),
    Column("owner", HASH, nullable=False),  # who may cancel it
    Column("state", String(16), nullable=False),  # queued, running, done, failed, cancelled
    Column("cancelling", Boolean, nullable=False, server_default=false()),
    Column("requested", Moment, nullable=False),
    Column("started", Moment),
    Column("finished", Moment),
    Column("done", Integer),  # trials
    Column("total", Integer),
    Column("seconds_left", Float),
    Column("trial", Text),
    Column("message", Text),  # one sentence about how it ended
    Column("host", Text),  # where it runs, and as which process
    Column("process", BigInteger),
    Column("process_started", Float),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("folder", Text),  # of the finished run
    Index(None, "state", "requested"),
)
