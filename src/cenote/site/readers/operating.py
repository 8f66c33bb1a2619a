"""What operators may do: hide comments, block addresses, feature papers on a day. All of it is written down."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cenote.errors import ArgumentError
from cenote.site.readers.accounts import forget_mail
from cenote.site.readers.addresses import read_address
from cenote.site.readers.comments import hide_comments, show_comments
from cenote.site.readers.sessions import Reader, close_sessions
from cenote.site.settings import SiteSettings
from cenote.site.store.reader_tables import blocks, comments, operator_actions, readers
from cenote.site.store.tables import papers

FIRST_DAY = dt.date(1991, 8, 14)
"""Of arXiv: a paper whose own date is not known is featured on no day before."""

_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What an operator did."""

    HIDE = "hide"
    SHOW = "show"
    BLOCK = "block"
    UNBLOCK = "unblock"
    FEATURE = "feature"
    UNFEATURE = "unfeature"


@dataclass(frozen=True)
class Action:
    """Something an operator did."""

    created: dt.datetime
    operator: str
    """Address of who did it."""
    kind: Kind
    object: str
    """A comment's number, an address, or a paper and its day."""


@dataclass(frozen=True)
class Block:
    """An address with which nobody signs in."""

    address: str
    created: dt.datetime


def is_operator(reader: Reader | None, settings: SiteSettings) -> bool:
    """Return whether a reader may do what this module does."""
    return reader is not None and operates(reader.address, settings)


def operates(address: str, settings: SiteSettings) -> bool:
    """Return whether this is the address of an operator, whose comments are marked."""
    return address in {read_address(each) for each in settings.operator_addresses}


def hide(connection: Connection, comment: int, by: Reader, now: dt.datetime) -> bool:
    """Take a comment from its page; return whether it was there."""
    changed = bool(hide_comments(connection, [comment], now))
    if changed:
        _write_down(connection, Kind.HIDE, f"comment {comment}", by, now)
    return changed


def show(connection: Connection, comment: int, by: Reader, now: dt.datetime) -> bool:
    """Put a hidden comment back; return whether it was hidden."""
    changed = bool(show_comments(connection, [comment]))
    if changed:
        _write_down(connection, Kind.SHOW, f"comment {comment}", by, now)
    return changed


def block(connection: Connection, address: str, by: Reader, now: dt.datetime) -> None:
    """Let nobody sign in with an address any more, also when its account is deleted.

    Its sessions end, its comments are hidden, and mail to it, sign-in links and subscriptions are taken out. Blocked
    already, the same is done once more.
    """
    upsert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(upsert(blocks).values(address=address, created=now).on_conflict_do_nothing())
    forget_mail(connection, address)
    held = select(readers.c.id).where(readers.c.address == address).with_for_update()
    reader: int | None = connection.scalar(held)
    if reader is not None:
        close_sessions(connection, reader)
        theirs = connection.scalars(select(comments.c.id).where(comments.c.reader == reader)).all()
        hide_comments(connection, theirs, now)
    _write_down(connection, Kind.BLOCK, address, by, now)


def unblock(connection: Connection, address: str, by: Reader, now: dt.datetime) -> bool:
    """Let an address sign in again; its comments stay hidden until they are shown one by one."""
    changed = connection.execute(delete(blocks).where(blocks.c.address == address)).rowcount > 0
    if changed:
        _write_down(connection, Kind.UNBLOCK, address, by, now)
    return changed


def feature(connection: Connection, paper: str, day: dt.date, by: Reader, now: dt.datetime) -> bool:
    """Show a paper under this day, whatever a source says now or later; return whether there is such a paper.

    Raises:
        ArgumentError: If the day is before the paper's own, or after tomorrow.
    """
    found = _own_day(connection, paper)
    if found is None:
        return False
    first, last = found.own or FIRST_DAY, now.astimezone(dt.UTC).date() + dt.timedelta(days=1)
    if not first <= day <= last:
        raise ArgumentError(f"day must be from {first} to {last} for {paper}, got {day}")
    _choose(connection, paper, day)
    _write_down(connection, Kind.FEATURE, f"{paper} on {day}", by, now)
    return True


def unfeature(connection: Connection, paper: str, by: Reader, now: dt.datetime) -> bool:
    """Show a paper under the day of its first version again; return whether there is such a paper.

    That day is then the operator's choice, so no source that features the paper moves it.

    Raises:
        ArgumentError: If the day of its first version is not known.
    """
    found = _own_day(connection, paper)
    if found is None:
        return False
    if found.own is None:
        raise ArgumentError(f"paper must have a day of its own to go back to, got {paper}, whose is not known")
    _choose(connection, paper, found.own)
    _write_down(connection, Kind.UNFEATURE, f"{paper}, back to {found.own}", by, now)
    return True


def blocked(connection: Connection) -> list[Block]:
    """Return the blocked addresses, the last one first."""
    found = select(blocks.c.address, blocks.c.created).order_by(blocks.c.created.desc(), blocks.c.address)
    return [Block(*row) for row in connection.execute(found)]


def actions(connection: Connection, *, limit: int) -> list[Action]:
    """Return what operators did, the last thing first."""
    done = operator_actions.c
    found = select(done.created, done.operator, done.kind, done.object).order_by(done.id.desc()).limit(limit)
    return [Action(row.created, row.operator, Kind(row.kind), row.object) for row in connection.execute(found)]


@dataclass(frozen=True)
class _Found:
    own: dt.date | None
    """The day of the paper's first version."""


def _own_day(connection: Connection, paper: str) -> _Found | None:
    held = select(papers.c.published).where(papers.c.id == paper).with_for_update()
    row = connection.execute(held).one_or_none()
    return None if row is None else _Found(row.published.date() if row.published else None)


def _choose(connection: Connection, paper: str, day: dt.date) -> None:
    # An import fills in the day where there is none, and keeps the one that is there.
    connection.execute(update(papers).where(papers.c.id == paper).values(featured=day, day=day))


def _write_down(connection: Connection, kind: Kind, what: str, by: Reader, now: dt.datetime) -> None:
    row = {"created": now, "operator": by.address, "kind": kind.value, "object": what}
    connection.execute(insert(operator_actions).values(row))
    # The server shows warnings and what is worse; who may take things from pages is to be seen there.
    _log.warning("operator %s: %s %s", by.address, kind.value, what)
