"""What operators do is done, stays done, and is written down."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, select

from cenote.errors import ArgumentError
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.papers import Paper
from cenote.site.readers.accounts import delete_reader
from cenote.site.readers.comments import add_comment, count_below
from cenote.site.readers.operating import (
    Kind,
    actions,
    block,
    blocked,
    feature,
    hide,
    is_operator,
    operates,
    show,
    unblock,
    unfeature,
)
from cenote.site.readers.sessions import open_session, reader_of
from cenote.site.readers.sign_in import is_blocked, new_link
from cenote.site.settings import SiteSettings
from cenote.site.store.mail_tables import mails, subscriptions
from cenote.site.store.reader_tables import sign_in_links
from cenote.site.store.reading import papers_between
from cenote.site.store.saving import save_papers

from .conftest import DAY, NOW, Store

ADA, OLGA = "ada@example.org", "olga@example.org"


def test_operators_are_known_by_their_address_however_it_is_written(store: Store, tmp_path: Path) -> None:
    settings = SiteSettings(home=tmp_path, operators=" Olga@Example.ORG , second@example.org")
    assert is_operator(store.reader(OLGA), settings)
    assert operates("second@example.org", settings)
    assert not is_operator(store.reader(ADA), settings)
    assert not is_operator(None, settings)
    assert not is_operator(store.reader(OLGA), SiteSettings(home=tmp_path))
    with pytest.raises(ValidationError, match="address must be an e-mail address such as"):
        SiteSettings(home=tmp_path, operators="olga@example.org, olga")


def test_hiding_and_showing_are_written_down_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ada, olga = store.reader(ADA), store.reader(OLGA)
    paper = store.paper(1).number
    with store.database.write() as connection:
        number = add_comment(connection, paper, ada.id, "Nice.", NOW)
        assert number is not None
        assert not show(connection, number, olga, NOW)
        assert hide(connection, number, olga, NOW)
        assert not hide(connection, number, olga, NOW)
        assert count_below(connection, paper) == 0
        assert show(connection, number, olga, NOW + dt.timedelta(minutes=1))
        assert count_below(connection, paper) == 1
        done = actions(connection, limit=9)
    assert [(each.kind, each.object, each.operator) for each in done] == [
        (Kind.SHOW, f"comment {number}", OLGA),
        (Kind.HIDE, f"comment {number}", OLGA),
    ]
    assert done[1].created == NOW
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [f"operator {OLGA}: hide comment {number}", f"operator {OLGA}: show comment {number}"]


def test_a_blocked_address_is_put_out_and_stays_out(store: Store) -> None:
    ada, olga = store.reader(ADA), store.reader(OLGA)
    paper = store.paper(1).number
    with store.database.write() as connection:
        session = open_session(connection, ada.id, NOW)
        new_link(connection, ADA, NOW)
        add_comment(connection, paper, ada.id, "Buy ponds.", NOW)
        other = add_comment(connection, paper, olga.id, "Nice.", NOW)
        put_mail(connection, MailKind.SIGN_IN, ADA, NOW)
        put_mail(connection, MailKind.SIGN_IN, OLGA, NOW)
        row = {"key": "k", "address": ADA, "frequency": "daily", "scope": "all", "state": "confirmed", "created": NOW}
        connection.execute(insert(subscriptions).values(row))
    with store.database.write() as connection:
        block(connection, ADA, olga, NOW)
        block(connection, ADA, olga, NOW)
        assert reader_of(connection, session, NOW) is None
        assert count_below(connection, paper) == 1
        assert connection.scalars(select(mails.c.address)).all() == [OLGA]
        assert connection.scalars(select(subscriptions.c.address)).all() == []
        assert connection.scalars(select(sign_in_links.c.address)).all() == []
        assert [(each.address, each.created) for each in blocked(connection)] == [(ADA, NOW)]
    assert (store.paper(1).reader_comments, other is not None) == (1, True)
    with store.database.write() as connection:
        delete_reader(connection, ada.id)
        assert is_blocked(connection, ADA)
        assert unblock(connection, ADA, olga, NOW)
        assert not unblock(connection, ADA, olga, NOW)
        assert not is_blocked(connection, ADA)
        kinds = [each.kind for each in actions(connection, limit=9)]
    assert kinds == [Kind.UNBLOCK, Kind.BLOCK, Kind.BLOCK]


def test_an_address_can_be_blocked_that_never_was_here(store: Store) -> None:
    olga = store.reader(OLGA)
    with store.database.write() as connection:
        block(connection, "new@example.org", olga, NOW)
        assert is_blocked(connection, "new@example.org")
        assert not is_blocked(connection, OLGA)


PUBLISHED = dt.datetime(2026, 11, 1, 23, 30, tzinfo=dt.UTC)


def test_a_paper_that_is_featured_no_more_has_its_own_day_and_keeps_it(store: Store) -> None:
    olga = store.reader(OLGA)
    dated = Paper(id="2611.00004", title="Four", published=PUBLISHED)
    featured = Paper(id="2611.00004", title="Four", published=PUBLISHED, featured=DAY)
    with store.database.write() as connection:
        save_papers(connection, [dated])
        assert feature(connection, "2611.00004", dt.date(2026, 11, 27), olga, NOW)
    assert store.paper(4).day == dt.date(2026, 11, 27)
    with store.database.write() as connection:
        assert unfeature(connection, "2611.00004", olga, NOW)
        assert not unfeature(connection, "2611.99999", olga, NOW)
        with pytest.raises(
            ArgumentError, match=r"^paper must have a day of its own .* 2611\.00001, whose is not known"
        ):
            unfeature(connection, "2611.00001", olga, NOW)
        for fill in (False, True):
            save_papers(connection, [featured], fill=fill)
        done = actions(connection, limit=1)
    assert store.paper(4).day == PUBLISHED.date()
    assert store.paper(1).day == DAY
    assert (done[0].kind, done[0].object) == (Kind.UNFEATURE, "2611.00004, back to 2026-11-01")


@pytest.mark.parametrize(
    ("paper", "day", "allowed"),
    [
        ("2611.00004", dt.date(2026, 10, 31), False),
        ("2611.00004", dt.date(2026, 11, 1), True),
        ("2611.00004", dt.date(2026, 11, 29), True),  # tomorrow
        ("2611.00004", dt.date(2026, 11, 30), False),
        ("2611.00001", dt.date(1991, 8, 13), False),
        ("2611.00001", dt.date(1991, 8, 14), True),
        ("2611.00001", dt.date(9999, 12, 31), False),
    ],
)
def test_a_paper_is_featured_between_its_own_day_and_tomorrow(
    store: Store, paper: str, day: dt.date, allowed: bool
) -> None:
    olga = store.reader(OLGA)
    with store.database.write() as connection:
        save_papers(connection, [Paper(id="2611.00004", title="Four", published=PUBLISHED)])
        if allowed:
            assert feature(connection, paper, day, olga, NOW)
        else:
            with pytest.raises(ArgumentError, match=f"^day must be from .* for {paper}, got {day}"):
                feature(connection, paper, day, olga, NOW)
        assert len(actions(connection, limit=9)) == allowed


def test_an_operators_day_wins_over_what_sources_say_before_and_after(store: Store) -> None:
    olga = store.reader(OLGA)
    chosen = dt.date(2026, 11, 27)
    bare = Paper(id="2611.00003", title="Three", published=dt.datetime(2026, 11, 1, tzinfo=dt.UTC))
    with store.database.write() as connection:
        save_papers(connection, [bare])
        assert feature(connection, "2611.00001", chosen, olga, NOW)
        assert feature(connection, "2611.00003", chosen, olga, NOW)
        assert not feature(connection, "2611.99999", chosen, olga, NOW)
        for fill in (False, True):
            said = [
                Paper(id="2611.00001", title="One", featured=DAY, upvotes=7),
                Paper(id="2611.00003", title="Three", featured=dt.date(2026, 11, 26)),
            ]
            save_papers(connection, said, fill=fill)
        assert {each.paper.id for each in papers_between(connection, chosen, chosen)} == {"2611.00001", "2611.00003"}
        assert [each.paper.id for each in papers_between(connection, DAY, DAY)] == ["2611.00002"]
        assert [each.object for each in actions(connection, limit=9)] == [
            "2611.00003 on 2026-11-27",
            "2611.00001 on 2026-11-27",
        ]
    assert store.paper(1).paper.upvotes == 7  # the rest of what the source says is taken
