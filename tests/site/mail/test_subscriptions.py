"""Subscribing, confirming and unsubscribing, in both databases."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from cenote.errors import ArgumentError
from cenote.site.mail.bounces import FAILURES, allow_again, count_failure
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import (
    CONFIRM_WITHIN,
    CONFIRMATIONS_A_DAY,
    MOST,
    Frequency,
    confirm,
    end_all,
    end_by_key,
    find_subscription,
    leave_token,
    new_confirmation,
    pending,
    read_leave_token,
    subscribe,
    subscriptions_of,
)
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import confirmations, mails, subscriptions
from cenote.site.store.reader_tables import blocks

from .stories import ADA, ALL, NOW, SECRET, count, rows, save, states, subscribed, subscription_states

SHELF = Scope(ScopeKind.SHELF, "pooling")
MINUTE = dt.timedelta(minutes=1)
DAILY, WEEKLY = Frequency.DAILY, Frequency.WEEKLY


def ask(
    database: Database,
    now: dt.datetime = NOW,
    scope: Scope = ALL,
    address: str = ADA,
    frequency: Frequency = DAILY,
) -> bool:
    with database.write() as connection:
        return subscribe(connection, SECRET, address, frequency, scope, now)


def test_five_within_a_minute_give_one_mail(database: Database) -> None:
    scopes = [ALL, ALL, SHELF, Scope(ScopeKind.SHELF, "pruning"), Scope(ScopeKind.SEARCH, "q=posets")]
    assert [ask(database, NOW + 12 * n * MINUTE / 60, scope) for n, scope in enumerate(scopes)] == [True] + [False] * 4
    assert [row.kind for row in rows(database, mails)] == ["confirm"]
    assert subscription_states(database) == [("daily", "pending")] * 4  # all of which the one mail confirms


def test_five_at_once_give_one_mail(database: Database) -> None:
    scopes = [ALL, ALL, SHELF, Scope(ScopeKind.SHELF, "pruning"), Scope(ScopeKind.SEARCH, "q=posets")]
    for round_ in range(5):
        address = f"ada{round_}@example.org"
        with ThreadPoolExecutor(len(scopes)) as pool:
            queued = list(pool.map(lambda scope, address=address: ask(database, NOW, scope, address), scopes))
        assert sum(queued) == 1
        assert count(database, mails, mails.c.address == address) == 1
        assert count(database, subscriptions, subscriptions.c.address == address) == 4


def test_after_ten_minutes_another_mail_can_be_asked_for(database: Database) -> None:
    assert ask(database)
    with database.write() as connection:
        connection.execute(mails.update().values(state="sent", ended=NOW))
    assert not ask(database, NOW + 9 * MINUTE)
    assert ask(database, NOW + 10 * MINUTE)
    assert count(database, subscriptions) == 1


def test_nobody_is_asked_all_day(database: Database) -> None:
    """Somebody who asks for a stranger's address every ten minutes has few mails sent there."""
    queued = 0
    for n in range(6 * 24):
        queued += ask(database, NOW + 10 * n * MINUTE)
        with database.write() as connection:
            connection.execute(mails.update().values(state="sent", ended=NOW))
    assert queued == 2 * CONFIRMATIONS_A_DAY.times - 1  # all at once, and as many again as time passes


def test_while_a_mail_waits_no_other_is_queued_and_nothing_counts(database: Database) -> None:
    assert [ask(database, NOW + 30 * n * MINUTE, Scope(ScopeKind.SEARCH, f"q={n}")) for n in range(9)].count(True) == 1
    with database.write() as connection:
        connection.execute(mails.update().values(state="sent", ended=NOW))
    assert ask(database, NOW + 300 * MINUTE)


def test_what_is_confirmed_needs_no_mail(database: Database) -> None:
    subscribed(database)
    assert not ask(database, NOW + 60 * MINUTE)
    assert subscription_states(database) == [("daily", "confirmed")]


@pytest.mark.parametrize("why", ["suppressed", "blocked"])
def test_an_address_that_takes_no_mail_gets_none(database: Database, why: str) -> None:
    with database.write() as connection:
        if why == "blocked":
            connection.execute(insert(blocks).values(address=ADA, created=NOW))
        for _ in range(FAILURES if why == "suppressed" else 0):
            count_failure(connection, ADA, NOW, "550 no such user")
        assert not put_mail(connection, MailKind.SIGN_IN, ADA, NOW)
    assert not ask(database)
    assert count(database) == count(database, subscriptions) == 0
    if why == "suppressed":
        with database.write() as connection:
            assert allow_again(connection, ADA)
        assert ask(database)


def test_nobody_fills_the_table_with_one_address(database: Database) -> None:
    for n in range(MOST + 5):
        ask(database, NOW, Scope.read("search", f"q=word{n}"))
    assert count(database, subscriptions) == MOST


def test_another_frequency_takes_the_place_of_the_first(database: Database) -> None:
    subscribed(database)
    subscribed(database, frequency=WEEKLY)
    assert subscription_states(database) == [("daily", "ended"), ("weekly", "confirmed")]
    subscribed(database, scope=SHELF)
    subscribed(database)  # back again, beside the ended one
    assert subscription_states(database) == [
        ("daily", "ended"), ("weekly", "ended"), ("daily", "confirmed"), ("daily", "confirmed")
    ]  # fmt: skip


def test_only_what_was_shown_is_confirmed(database: Database) -> None:
    """Somebody else may ask for more with the same address while the page is open."""
    ask(database)
    with database.write() as connection:
        token = new_confirmation(connection, ADA, NOW)
        shown = [each.id for each in pending(connection, ADA)]
    ask(database, NOW, SHELF)
    with database.write() as connection:
        confirmed = confirm(connection, token, [*shown, 999], NOW)
    assert [each.scope for each in confirmed or ()] == [ALL]
    assert subscription_states(database) == [("daily", "confirmed"), ("daily", "pending")]


def test_a_link_confirms_once_and_in_time_and_no_other_address(database: Database) -> None:
    ask(database)
    ask(database, address="bob@example.org")
    with database.write() as connection:
        token, late = new_confirmation(connection, ADA, NOW), new_confirmation(connection, ADA, NOW)
        numbers = [row.id for row in connection.execute(subscriptions.select())]
        assert confirm(connection, "x" * 43, numbers, NOW) is None
        assert confirm(connection, late, numbers, NOW + CONFIRM_WITHIN) is None
        assert len(confirm(connection, token, numbers, NOW) or ()) == 1
        assert confirm(connection, token, numbers, NOW) is None
        assert [each.address for each in pending(connection, "bob@example.org")] == ["bob@example.org"]
    assert not {row.token_hash for row in rows(database, confirmations)} & {token, late}


def test_two_who_press_at_once_confirm_once(database: Database) -> None:
    ask(database)
    with database.write() as connection:
        token = new_confirmation(connection, ADA, NOW)
        shown = [each.id for each in pending(connection, ADA)]

    def press(_: int) -> bool:
        with database.write() as connection:
            return bool(confirm(connection, token, shown, NOW))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(press, range(4))) == 1


def test_it_begins_with_the_day_of_the_confirmation(database: Database) -> None:
    save(database, NOW.date(), NOW.date())
    subscribed(database)
    (row,) = rows(database, subscriptions)
    assert (row.issue, row.seen) == (NOW.date(), 2)


def test_ending_drops_what_is_queued(database: Database) -> None:
    number, other = subscribed(database), subscribed(database, "bob@example.org")
    with database.write() as connection:
        for each, address in ((number, ADA), (other, "bob@example.org")):
            put_mail(connection, MailKind.DIGEST, address, NOW, subscription=each, issue=NOW.date(), content={})
        (key,) = [each.key for each in subscriptions_of(connection, ADA)]
        assert end_by_key(connection, key, NOW)
        assert not end_by_key(connection, key, NOW)
    assert states(database)[-2:] == ["dropped", "queued"]
    subscribed(database, frequency=WEEKLY)
    with database.write() as connection:
        assert end_all(connection, ADA, NOW) == 1
        assert [each.address for each in subscriptions_of(connection, "bob@example.org")] == ["bob@example.org"]


def test_the_token_of_an_ended_subscription_never_ends_a_newer_one(database: Database) -> None:
    subscribed(database)
    with database.write() as connection:
        (old,) = subscriptions_of(connection, ADA)
        end_by_key(connection, old.key, NOW)
    subscribed(database)
    with database.write() as connection:
        (new,) = subscriptions_of(connection, ADA)
        assert new.key != old.key
        assert not end_by_key(connection, old.key, NOW)
        assert [each.id for each in subscriptions_of(connection, ADA)] == [new.id]
        found = find_subscription(connection, old.key)
    assert found is not None
    assert found.state == "ended"


def test_tokens_cannot_be_made_without_the_secret() -> None:
    token = leave_token(SECRET, "key")
    assert read_leave_token(SECRET, token) == "key"
    forged = [leave_token("other" * 8, "key"), token[:-1], token + "A", "key", "", "é", "a.b.c", "\ud800", "." * 3000]
    forged += [token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(len(token) - 1)]
    assert [each for each in forged if read_leave_token(SECRET, each) is not None] == []


def test_a_search_is_kept_in_one_form() -> None:
    some = [
        Scope.read("search", text)
        for text in ("q=token+pooling&shelf=pooling&page=3", "shelf=pooling&q=%20token%20%20pooling&mode=hybrid&x=1")
    ]
    assert some[0] == some[1]
    assert some[0].chosen == "q=token+pooling&shelf=pooling"
    assert some[0].words == "papers found by “token pooling”, shelf pooling"
    assert some[0].form.filters.shelf == "pooling"


@pytest.mark.parametrize(
    ("kind", "chosen", "said"),
    [
        ("shelf", "nothing", "shelf must be one of"),
        ("search", "", "must have words or filters"),
        ("search", "mode=keyword&first=soon", "must have words or filters"),
        ("search", "&".join(f"{name}=" + "%E2%82%AC" * 450 for name in ("q", "author", "category")), "at most 2000"),
        ("planet", "", "scope must be one of all, shelf, search"),
    ],
)
def test_a_scope_that_is_none_is_one_sentence(kind: str, chosen: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Scope.read(kind, chosen)
