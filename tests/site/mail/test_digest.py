"""Who gets which digest: windows, scopes, catching up, and each once, in both databases."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import update

from cenote.catalog import get_card
from cenote.catalog.results import RESULTS, Result, latest
from cenote.site.app import open_search
from cenote.site.mail.digest import PAPERS, Issue, Planner, queue_issue
from cenote.site.mail.news import announce, result_days
from cenote.site.mail.scopes import Scope
from cenote.site.mail.subscriptions import Frequency, end_all
from cenote.site.methods import Method, Methods
from cenote.site.papers import Paper
from cenote.site.search import Search
from cenote.site.seeding import seed
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import announced, mails, subscriptions
from cenote.site.store.saving import save_papers

from .stories import ADA, DAY, METHODS, NOW, TODAY, count, rows, save, subscribed

MONDAY = dt.date(2026, 11, 30)
WEEKLY = Frequency.WEEKLY


class SomeMethods(Methods):
    """The methods a test chooses."""

    def __init__(self, *methods: Method) -> None:
        self._all = methods
        self.folder = RESULTS


def a_result(run_id: str, **words: str) -> Result:
    """The newest result of a paper, under another name and some days old, with some verdicts changed."""
    result = latest("order-theory")
    assert result is not None
    verdicts = tuple(
        each.model_copy(update={"word": words.get(f"{each.claim}_{each.data}".replace("-", "_"), each.word)})
        for each in result.verdicts
    )
    return result.model_copy(update={"run_id": run_id, "verdicts": verdicts, "finished": NOW - 3 * DAY})


def a_method(*results: Result) -> Method:
    return Method(get_card("order-theory"), results, stale=False)


@pytest.fixture
def search(store: Database, settings: SiteSettings) -> Iterator[Search]:
    opened = open_search(settings, store, METHODS)
    yield opened
    opened.close()


Planning = Callable[..., list[Issue]]


@pytest.fixture
def due(store: Database, search: Search) -> Planning:
    """Return what is due on a day."""

    def due_on(day: dt.date, *, methods: Methods | None = None, frequency: Frequency | None = None) -> list[Issue]:
        methods = methods or SomeMethods()
        with store.write() as connection:
            days = announce(connection, methods, day)
        return list(Planner(store, methods, search, day, days).issues(frequency))

    return due_on


def told(issue: Issue) -> list[str]:
    return [each.paper.id for each in issue.content.papers]


def queue(store: Database, *issues: Issue) -> list[bool]:
    with store.write() as connection:
        return [queue_issue(connection, issue, NOW) for issue in issues]


def test_a_day_is_told_of_on_the_next(store: Database, due: Planning) -> None:
    subscribed(store)
    first, second = save(store, TODAY, TODAY + DAY)
    save(store, TODAY - DAY, start=9)  # of before
    assert due(TODAY) == []
    (issue,) = due(TODAY + DAY)
    assert told(issue) == [first, "2611.00009"]  # the latter came into the store after the subscription had begun
    assert queue(store, issue) == [True]
    (next_,) = due(TODAY + 2 * DAY)
    assert told(next_) == [second]


def test_what_comes_late_is_told_once(store: Database, due: Planning) -> None:
    subscribed(store)
    save(store, TODAY)
    (issue,) = due(TODAY + DAY)
    queue(store, issue)
    assert due(TODAY + 2 * DAY) == []
    (late,) = save(store, TODAY - DAY, start=5)  # arXiv announces a paper a day or two after it was submitted
    save(store, TODAY - 20 * DAY, start=6)  # an old one that is imported now is no news
    (issue,) = due(TODAY + 2 * DAY)
    assert told(issue) == [late]
    queue(store, issue)
    assert due(TODAY + 3 * DAY) == []


def test_what_comes_while_digests_are_planned_is_not_passed_over(store: Database, due: Planning) -> None:
    subscribed(store)
    save(store, TODAY)
    (issue,) = due(TODAY + DAY)
    (meanwhile,) = save(store, TODAY, start=2)
    queue(store, issue)
    (issue,) = due(TODAY + 2 * DAY)
    assert told(issue) == [meanwhile]


def test_missed_days_are_caught_up_with_in_one_mail(store: Database, due: Planning) -> None:
    subscribed(store)
    ids = save(store, *(TODAY + n * DAY for n in range(4)))
    (issue,) = due(TODAY + 4 * DAY)
    assert sorted(told(issue)) == ids
    queue(store, issue)
    assert due(TODAY + 4 * DAY) == []
    assert due(TODAY + 3 * DAY) == []


def test_a_weekly_one_comes_on_mondays_with_seven_days(store: Database, due: Planning) -> None:
    ids = save(store, *(MONDAY + n * DAY for n in range(-8, 2)), votes=1)
    subscribed(store, frequency=WEEKLY, now=NOW)
    for day in range(4):
        assert due(TODAY + day * DAY) == []
    (issue,) = due(MONDAY)
    assert sorted(told(issue)) == ids[1:8]  # the days from Monday to Sunday, also those before the subscription
    assert due(MONDAY + 3 * DAY)[0].span == issue.span  # Monday's, if nothing ran on Monday
    queue(store, issue)
    assert due(MONDAY) == due(MONDAY + 6 * DAY) == []
    (next_,) = due(MONDAY + 7 * DAY)
    assert sorted(told(next_)) == ids[8:]


def test_missed_weeks_are_caught_up_with_in_one_mail(store: Database, due: Planning) -> None:
    subscribed(store, frequency=WEEKLY)
    save(store, *(MONDAY + n * DAY for n in range(9)))
    (issue,) = due(MONDAY + 15 * DAY)
    assert (issue.span.issue, issue.span.first) == (MONDAY + 14 * DAY, TODAY)
    assert len(issue.content.papers) == 9
    # Who was away for a year does not get a year.
    (issue,) = due(MONDAY + 364 * DAY) or [issue]
    assert issue.span.last - issue.span.first <= 30 * DAY


def test_ten_papers_at_most_the_most_talked_about_first(store: Database, due: Planning) -> None:
    subscribed(store)
    some = [Paper(id=f"2611.{n:05}", title="Ponds", featured=TODAY, upvotes=n) for n in range(1, 31)]
    with store.write() as connection:
        save_papers(connection, some)
    (issue,) = due(TODAY + DAY)
    assert told(issue) == [f"2611.{n:05}" for n in range(30, 30 - PAPERS, -1)]


def test_a_shelf_has_the_papers_of_its_cards(store: Database, due: Planning) -> None:
    subscribed(store, scope=Scope.read("shelf", "pooling"))
    with store.write() as connection:
        save_papers(connection, [
            Paper(id="2412.06097", title="Order Theory in the Context of Machine Learning", featured=TODAY),
            Paper(id="2212.04114", title="Group Generalized Mean Pooling", featured=TODAY, upvotes=2),
            Paper(id="2410.12761", title="SAFREE", featured=TODAY, upvotes=9),
            Paper(id="2611.00001", title="Ponds", featured=TODAY, upvotes=99),
        ])  # fmt: skip
    (issue,) = due(TODAY + DAY)
    assert told(issue) == ["2212.04114", "2412.06097"]


def test_a_search_has_what_it_finds(store: Database, due: Planning) -> None:
    subscribed(store, scope=Scope.read("search", "q=ponds&last=2026-11-27"))
    with store.write() as connection:
        save_papers(connection, [
            Paper(id="2611.00001", title="Ponds and Pools", featured=TODAY),
            Paper(id="2611.00002", title="Rivers", featured=TODAY, upvotes=99),
            Paper(id="2611.00003", title="Older Ponds", featured=TODAY - 60 * DAY),
            Paper(id="2611.00004", title="Later Ponds", featured=TODAY + 2 * DAY),
        ])  # fmt: skip
    (issue,) = due(TODAY + DAY)
    assert told(issue) == ["2611.00001"]
    queue(store, issue)
    assert due(TODAY + 3 * DAY) == []  # behind the last day of the search


def test_the_same_is_looked_for_once(store: Database, due: Planning) -> None:
    for n in range(60):
        subscribed(store, f"reader{n}@example.org")
    save(store, TODAY)
    issues = due(TODAY + DAY)
    assert [each.subscription.address for each in issues] == [f"reader{n}@example.org" for n in range(60)]
    assert len({id(each.content) for each in issues}) == 1


def test_only_one_frequency(store: Database, due: Planning) -> None:
    subscribed(store, frequency=WEEKLY)
    subscribed(store, "bob@example.org")
    save(store, TODAY)
    assert len(due(MONDAY)) == 2
    (weekly,) = due(MONDAY, frequency=WEEKLY)
    assert weekly.subscription.address == ADA


# --- verdicts -----------------------------------------------------------------------------------------------------


def test_a_new_result_is_told_once_as_what_changed(store: Database, due: Planning) -> None:
    old = a_result("run-1")
    some, other = old.verdicts[0], old.verdicts[1]
    changed = {f"{some.claim}_{some.data}".replace("-", "_"): "holds" if some.word != "holds" else "fails"}
    new = a_result("run-2", **changed)
    new = new.model_copy(update={"verdicts": tuple(each for each in new.verdicts if each != other)})
    subscribed(store)
    subscribed(store, "bob@example.org", scope=Scope.read("shelf", "pruning"))
    assert due(TODAY + DAY, methods=SomeMethods(a_method(old))) == []  # it is there since its run ended
    (issue,) = due(TODAY + DAY, methods=SomeMethods(a_method(new, old)))
    (news,) = issue.content.verdicts
    assert (news.claim, news.data) == (some.claim, some.data)
    assert (news.before, news.word) == (some.word, next(iter(changed.values())))
    assert queue(store, issue) == [True]
    assert due(TODAY + 2 * DAY, methods=SomeMethods(a_method(new, old))) == []


def test_a_first_result_is_new_and_the_same_again_is_none(store: Database, due: Planning) -> None:
    first, again = a_result("run-1"), a_result("run-2")
    (other,) = (each for each in METHODS if each.card.slug == "ggem")
    subscribed(store)
    due(TODAY, methods=SomeMethods(other))
    (issue,) = due(TODAY + DAY, methods=SomeMethods(other, a_method(first)))
    assert [each.before for each in issue.content.verdicts] == [None] * len(first.verdicts)
    queue(store, issue)
    assert due(TODAY + 2 * DAY, methods=SomeMethods(other, a_method(again, first))) == []


def test_a_result_that_comes_after_the_days_digests_is_told_on_the_next(store: Database, due: Planning) -> None:
    old, new = a_result("run-1"), a_result("run-2")
    some = old.verdicts[0]
    new = a_result("run-2", **{f"{some.claim}_{some.data}".replace("-", "_"): "designed"})
    due(TODAY, methods=SomeMethods(a_method(old)))
    subscribed(store)
    save(store, TODAY)
    queue(store, *due(TODAY + DAY, methods=SomeMethods(a_method(old))))
    assert due(TODAY + DAY, methods=SomeMethods(a_method(new, old))) == []
    (issue,) = due(TODAY + 2 * DAY, methods=SomeMethods(a_method(new, old)))
    assert len(issue.content.verdicts) == 1


def test_looking_writes_nothing(store: Database) -> None:
    methods = SomeMethods(a_method(a_result("run-1")))
    with store.read() as connection:
        assert set(result_days(connection, methods, TODAY)) == {"run-1"}
    assert count(store, announced) == 0
    with store.write() as connection:
        announce(connection, methods, TODAY)
        announce(connection, methods, TODAY + DAY)
    (row,) = rows(store, announced)
    assert (row.run_id, row.slug) == ("run-1", "order-theory")


# --- each once ----------------------------------------------------------------------------------------------------


def test_an_issue_is_queued_once_though_it_was_planned_twice(store: Database, due: Planning) -> None:
    number = subscribed(store)
    save(store, TODAY)
    (one,), (two,) = due(TODAY + DAY), due(TODAY + DAY)
    assert queue(store, one, two) == [True, False]
    (row,) = rows(store, mails)
    assert (row.subscription, row.issue, row.kind) == (number, TODAY + DAY, "digest")
    content = json.loads(row.content)
    assert [each["id"] for each in content["papers"]] == told(one)
    with store.write() as connection:  # and the table itself would refuse it
        connection.execute(update(subscriptions).values(issue=TODAY))
    assert queue(store, two) == [False]


def test_who_unsubscribes_while_it_is_planned_gets_none(store: Database, due: Planning) -> None:
    subscribed(store)
    save(store, TODAY)
    (issue,) = due(TODAY + DAY)
    with store.write() as connection:
        end_all(connection, ADA, NOW)
    assert queue(store, issue) == [False]
    assert count(store) == 0


def test_the_catalog_is_no_news_to_who_subscribes_to_a_new_site(store: Database, due: Planning) -> None:
    seed(store, (each.card for each in METHODS))
    subscribed(store, now=NOW)
    subscribed(store, "bob@example.org", frequency=WEEKLY)
    assert due(TODAY + DAY, methods=METHODS) == []
