"""The table of runs that readers asked for."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text, false, text

from cenote.site.store.reader_tables import HASH
from cenote.site.store.tables import Moment, metadata

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("preset", String(16), nullable=False),
    Column("owner", HASH, nullable=False),  # who may cancel it: a browser's hash, a reader, or nobody
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
    Column("host", Text),  # the machine that runs it, where its log and its folder lie
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("folder", Text),  # of the finished run, below the folder of all runs
    Index(None, "state", "requested"),
    Index(
        "ux_runs_there",
        "slug",
        "preset",
        unique=True,
        sqlite_where=text("state IN ('queued', 'running')"),
        postgresql_where=text("state IN ('queued', 'running')"),
    ),
)
