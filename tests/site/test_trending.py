"""The order of trending papers, against the formula computed in Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.site.methods import Methods
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from cenote.site.trending import WINDOW, Trending, recent_days, trending, trending_score

NOW = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)
TODAY = NOW.date()
METHODS = Methods()
JUDGED = [method.card.arxiv for method in METHODS if method.result]


def paper(number: int, age: int, upvotes: int | None = None, **more: object) -> Paper:
    day = TODAY - dt.timedelta(days=age)
    said = {"id": f"2601.{number:05}", "title": f"Paper {number}", "featured": day, "upvotes": upvotes}
    return Paper.model_validate(said | more)


def save(database: Database, *batch: Paper) -> None:
    with database.write() as connection:
        save_papers(connection, batch)


def trend(database: Database, **more: int) -> Trending:
    with database.read() as connection:
        return trending(connection, METHODS, NOW, **more)


def ids(found: Trending) -> list[str]:
    return [stored.paper.id for stored in found.papers]


def test_votes_over_age_by_hand() -> None:
    # 34 hours and 2 make 36, whose power is 216.
    day, now = dt.date(2026, 11, 19), dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
    assert trending_score(108, day, now) == pytest.approx(0.5)
    assert trending_score(8, dt.date(2027, 1, 1), now) == pytest.approx(8 / 2**1.5)  # a day to come has no age
    assert trending_score(0, day, now) == 0


def test_the_order_is_that_of_the_formula(database: Database) -> None:
    batch = [paper(number, age=number * 7 % 28, upvotes=number * 31 % 97) for number in range(1, 60)]
    save(database, *batch)
    best = sorted(batch, key=lambda each: (-trending_score(each.upvotes or 0, each.day or TODAY, NOW), each.id))
    found = trend(database, limit=60)
    assert ids(found) == [each.id for each in best]
    assert (found.total, found.by_votes) == (59, True)
    pages = [ids(trend(database, limit=7, offset=7 * page)) for page in range(9)]
    assert [each for page in pages for each in page] == ids(found)


def test_votes_that_are_too_old_do_not_count(database: Database) -> None:
    save(database, paper(1, age=WINDOW, upvotes=9_000_000), paper(2, age=WINDOW - 1, upvotes=1), paper(3, age=0))
    assert ids(trend(database)) == ["2601.00002", "2601.00003"]


def test_where_the_newest_days_have_no_votes_the_newest_that_have_come_first(database: Database) -> None:
    with_votes = [paper(1, age=700, upvotes=77), paper(2, age=690, upvotes=3), paper(3, age=700 + WINDOW, upvotes=9)]
    save(database, *with_votes, paper(4, age=695), paper(5, age=2), paper(6, age=1), paper(7, age=-3, upvotes=8))
    found = trend(database)
    assert ids(found) == ["2601.00001", "2601.00002", "2601.00006", "2601.00005"]
    assert (found.total, found.by_votes) == (4, True)
    save(database, paper(5, age=2, upvotes=1))
    assert ids(trend(database)) == ["2601.00005", "2601.00006"]


def test_the_window_ends_with_the_newest_day_but_not_in_the_future(database: Database) -> None:
    with database.read() as connection:
        assert recent_days(connection, NOW)[1] == TODAY
    save(database, paper(1, age=400, upvotes=2), paper(2, age=401, upvotes=2), paper(3, age=429), paper(4, age=430))
    assert ids(trend(database)) == ["2601.00001", "2601.00002", "2601.00003"]
    save(database, paper(5, age=-2, upvotes=90))
    assert ids(trend(database)) == ["2601.00001", "2601.00002", "2601.00003"]


def test_without_votes_the_newest_verdict_comes_first(database: Database) -> None:
    judged = JUDGED[0]
    save(database, paper(1, age=3), paper(2, age=1), paper(3, age=400, id=judged))
    found = trend(database)
    assert ids(found) == [judged, "2601.00002", "2601.00001"]
    assert not found.by_votes
    save(database, paper(1, age=3, upvotes=1))
    found = trend(database)
    assert ids(found) == ["2601.00001", judged, "2601.00002"]
    assert found.by_votes


def test_of_several_verdicts_the_newest_comes_first(database: Database) -> None:
    class Two(Methods):
        """The published result as two papers', the second's a day younger."""

        def __init__(self) -> None:
            real = METHODS.by_paper(JUDGED[0])
            assert real is not None
            assert real.result is not None
            later = real.result.model_copy(update={"finished": real.result.finished + dt.timedelta(days=1)})
            self._all = (
                type(real)(real.card.model_copy(update={"arxiv": "2601.00001"}), real.results, stale=False),
                type(real)(real.card.model_copy(update={"arxiv": "2601.00002"}), (later,), stale=False),
            )

    save(database, paper(1, age=1), paper(2, age=5), paper(3, age=0))
    with database.read() as connection:
        found = trending(connection, Two(), NOW)
    assert ids(found) == ["2601.00002", "2601.00001", "2601.00003"]


def test_a_week_of_one_submitter(database: Database, tmp_path: Path) -> None:
    mine: Sequence[Paper] = [paper(n, age=n, upvotes=5, submitted_by="Ann Lee") for n in range(9)]
    save(database, *mine, paper(10, age=2, upvotes=90, submitted_by="Bo"), paper(11, age=2, upvotes=90))
    days = (TODAY - dt.timedelta(days=6), TODAY - dt.timedelta(days=2))
    with database.read() as connection:
        found = trending(connection, Methods(results=tmp_path), NOW, days=days, submitter="Ann Lee")
    assert ids(found) == [f"2601.{n:05}" for n in range(2, 7)]
    assert found.total == 5


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(0, 400))
def test_more_votes_score_more_and_more_age_less(votes: int, more: int, days: int) -> None:
    day = TODAY - dt.timedelta(days=days)
    assert trending_score(votes + more, day, NOW) > trending_score(votes, day, NOW)
    assert trending_score(more, day, NOW) > trending_score(more, day - dt.timedelta(days=1), NOW)
