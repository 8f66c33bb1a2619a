"""Readers with their votes and comments, subscriptions and mail, runs that were asked for, limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.add_column("papers", sa.Column("reader_votes", sa.Integer, nullable=False, server_default="0"))
    op.add_column("papers", sa.Column("reader_comments", sa.Integer, nullable=False, server_default="0"))
    _readers()
    _mail()
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("preset", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("requested", _MOMENT, nullable=False),
        sa.Column("started", _MOMENT),
        sa.Column("finished", _MOMENT),
        sa.Column("done", sa.Integer),
        sa.Column("total", sa.Integer),
        sa.Column("seconds_left", sa.Float),
        sa.Column("trial", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("folder", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_state_requested", "runs", ["state", "requested"])
    unfinished = sa.text("state IN ('queued', 'running')")
    op.create_index(
        "ux_runs_there",
        "runs",
        ["slug", "preset"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "limits",
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("full_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_limits"),
    )
    op.create_index("ix_limits_full_at", "limits", ["full_at"])


def _readers() -> None:
    op.create_table(
        "readers",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("seen", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_readers"),
        sa.UniqueConstraint("address", name="uq_readers_address"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sign_in_links",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_links"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("reader", _NUMBER, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["reader"], ["readers.id"], name="fk_sessions_reader", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_reader", "sessions", ["reader"])
    op.create_table(
        "votes",
        sa.Column("paper", _NUMBER, nullable=False),
        sa.Column("reader", _NUMBER, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("paper", "reader", name="pk_votes"),
        sa.ForeignKeyConstraint(["paper"], ["papers.number"], name="fk_votes_paper", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["reader"], ["readers.id"], name="fk_votes_reader", ondelete="CASCADE"),
    )
    op.create_index("ix_votes_reader", "votes", ["reader"])
    op.create_table(
        "comments",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("paper", _NUMBER, nullable=False),
        sa.Column("reader", _NUMBER, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("hidden", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
        sa.ForeignKeyConstraint(["paper"], ["papers.number"], name="fk_comments_paper", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["reader"], ["readers.id"], name="fk_comments_reader", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comments_paper_id", "comments", ["paper", "id"])
    op.create_index("ix_comments_reader", "comments", ["reader"])
    op.create_table(
        "blocks",
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_blocks"),
    )
    op.create_table(
        "operator_actions",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("operator", sa.String(254), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_actions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operator_actions_created", "operator_actions", ["created"])


def _mail() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(43), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("frequency", sa.String(8), nullable=False),
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("chosen", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("confirmed", _MOMENT),
        sa.Column("ended", _MOMENT),
        sa.Column("issue", sa.Date),
        sa.Column("seen", _NUMBER),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sa.UniqueConstraint("key", name="uq_subscriptions_key"),
        sqlite_autoincrement=True,
    )
    there = sa.text("state <> 'ended'")
    op.create_index(
        "ux_subscriptions_there",
        "subscriptions",
        ["address", "frequency", "scope", "chosen"],
        unique=True,
        sqlite_where=there,
        postgresql_where=there,
    )
    op.create_table(
        "confirmations",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_confirmations"),
    )
    op.create_table(
        "mails",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("subscription", _NUMBER),
        sa.Column("issue", sa.Date),
        sa.Column("content", sa.Text),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("due", _MOMENT, nullable=False),
        sa.Column("ended", _MOMENT),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
        sa.UniqueConstraint("message_id", name="uq_mails_message_id"),
        sa.UniqueConstraint("subscription", "issue", name="uq_mails_subscription_issue"),
        sa.ForeignKeyConstraint(
            ["subscription"], ["subscriptions.id"], name="fk_mails_subscription", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mails_state_kind_id", "mails", ["state", "kind", "id"])
    op.create_index("ix_mails_address", "mails", ["address"])
    op.create_table(
        "bounces",
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last", _MOMENT, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("suppressed", _MOMENT),
        sa.PrimaryKeyConstraint("address", name="pk_bounces"),
    )
    op.create_table(
        "announced",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_announced"),
    )
