"""From the outbox to a server that speaks SMTP: what is sent, tried again, refused and dropped, in both databases."""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import pytest
from sqlalchemy import insert, update

from cenote.errors import ArgumentError
from cenote.site.mail.bounces import FAILURES, RETURNS_WITHIN, count_failure, takes_mail
from cenote.site.mail.office import PostOffice
from cenote.site.mail.outbox import KEPT, WAITS, MailKind, drop_mails, forget_mails, next_mail, put_mail
from cenote.site.mail.scopes import Scope
from cenote.site.mail.sending import Dispatcher
from cenote.site.mail.subscriptions import Frequency, end_all, read_leave_token, subscribe
from cenote.site.mail.transport import Transport, open_transport
from cenote.site.readers.sign_in import link_address
from cenote.site.secret import site_secret
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive
from cenote.site.store.mail_tables import bounces, mails, subscriptions
from cenote.site.store.reader_tables import blocks, sign_in_links

from .servers import MailServer
from .stories import ADA, ALL, SECRET, count, rows, states, subscribed

CONTENT = {"scope": "", "about": "all papers", "frequency": "daily", "verdicts": [], "more_verdicts": 0,
           "papers": [{"id": "2611.00001", "title": "Ponds", "excerpt": "", "authors": 1, "votes": 2,
                       "organization": None}]}  # fmt: skip


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def put(store: Database, kind: MailKind = MailKind.SIGN_IN, address: str = ADA, **more: object) -> bool:
    with store.write() as connection:
        return put_mail(connection, kind, address, now(), **more)  # type: ignore[arg-type]


def put_digest(store: Database, address: str = ADA) -> int:
    number = subscribed(store, address, now=now())
    assert put(store, MailKind.DIGEST, address, subscription=number, issue=now().date(), content=CONTENT)
    return number


def set_back(store: Database, **values: object) -> None:
    """Change all that is queued, as if time had passed."""
    with store.write() as connection:
        connection.execute(update(mails).where(mails.c.state == "queued").values(**values))


def problem(store: Database) -> str:
    return str(rows(store, mails)[-1].problem)


def test_a_sign_in_mail_has_a_link_that_works(settings: SiteSettings, store: Database, server: MailServer) -> None:
    assert put(store)
    assert Dispatcher(settings, store).send_due().sent == 1
    (received,) = server.mails
    assert (received.sender, received.recipients) == ("feed@example.org", (ADA,))
    found = re.search(r"https://papers\.example\.org/sign-in/([\w-]{43})\s", received.text)
    assert found
    with store.read() as connection:
        assert link_address(connection, found[1], now()) == ADA
    (row,) = rows(store, mails)
    assert (row.state, row.attempts, row.content) == ("sent", 0, None)
    assert found[1] not in str(row)


def test_nobody_sends_his_words_to_another_by_asking_for_a_search(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    with store.write() as connection:
        for scope in (Scope.read("search", "q=you+won+at+evil.example"), Scope.read("shelf", "pruning")):
            subscribe(connection, SECRET, ADA, Frequency.DAILY, scope, now())
    Dispatcher(settings, store).send_due()
    (received,) = server.mails
    assert b"evil" not in received.content
    assert "* papers found by a search, daily" in received.text
    assert "* papers on pruning, daily" in received.text


def test_a_digest_is_sent_once_with_what_ends_it(settings: SiteSettings, store: Database, server: MailServer) -> None:
    number = put_digest(store)
    assert not put(store, MailKind.DIGEST, subscription=number, issue=now().date(), content=CONTENT)
    dispatcher = Dispatcher(settings, store)
    assert (dispatcher.send_due().sent, dispatcher.send_due().sent) == (1, 0)
    (received,) = server.mails
    found = re.search(r"https://papers\.example\.org/u/(\S+)", received.text)
    assert found
    keys = [row.key for row in rows(store, subscriptions)]
    assert [read_leave_token(site_secret(settings), found[1])] == keys


def test_what_somebody_waits_for_is_sent_before_all_digests(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    for n in range(3):
        put_digest(store, f"reader{n}@example.org")
    with store.write() as connection:
        subscribe(connection, SECRET, "bob@example.org", Frequency.WEEKLY, ALL, now())
    put(store)
    Dispatcher(settings, store).send_due()
    subjects = [each.message["Subject"].partition(" ")[0] for each in server.mails]
    assert subjects == ["Sign", "Please", "1", "1", "1"]
    assert server.connections == 1


def test_a_temporary_refusal_is_tried_again_with_the_same_id(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    put(store)
    dispatcher = Dispatcher(settings, store)
    server.answers[ADA] = "451 4.7.1 greylisted, come back"
    pauses = []
    for _ in range(4):
        begun = now()
        assert dispatcher.send_due().deferred == 1
        assert dispatcher.send_due().deferred == 0  # not before its time
        (row,) = rows(store, mails)
        pauses.append(round((row.due - begun).total_seconds() / 60))
        set_back(store, due=begun)
    assert pauses == [1, 2, 4, 8]
    assert "greylisted" in problem(store)
    server.answers.clear()
    assert dispatcher.send_due().sent == 1
    (received,) = server.mails
    assert received.message["Message-ID"] == f"<{row.message_id}@example.org>"
    assert count(store, bounces) == 0


def test_three_permanent_refusals_suppress_an_address(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    server.answers[ADA] = "550 5.1.1 no such user"
    dispatcher = Dispatcher(settings, store)
    for _ in range(FAILURES):
        assert put(store)
        assert dispatcher.send_due().refused == 1
    assert states(store) == ["refused"] * FAILURES
    assert not put(store)
    assert put(store, address="bob@example.org")
    (row,) = rows(store, bounces)
    assert (row.failures, row.suppressed is not None, "no such user" in row.reason) == (FAILURES, True, True)


def test_that_we_are_not_wanted_is_not_the_addresss_fault(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    server.answers["*"] = "554 5.7.1 relay access denied"
    for n in range(FAILURES + 1):
        put(store, address=ADA if n == 0 else f"reader{n}@example.org")
    assert Dispatcher(settings, store).send_due().refused == FAILURES + 1
    assert count(store, bounces) == 0


def test_a_mail_that_arrived_begins_the_count_anew(store: Database) -> None:
    moment = now() - dt.timedelta(days=40)
    with store.write() as connection:
        assert [count_failure(connection, ADA, moment + dt.timedelta(days=n), "no") for n in (0, 1)] == [1, 2]
        put_mail(connection, MailKind.SIGN_IN, ADA, moment)
        taken = moment + dt.timedelta(days=2)
        connection.execute(update(mails).values(state="sent", ended=taken))
        # A relay that took it may still give it back.
        assert count_failure(connection, ADA, taken + RETURNS_WITHIN, "no") == FAILURES
        assert not takes_mail(connection, ADA)
        connection.execute(bounces.delete())
        assert [count_failure(connection, ADA, moment + dt.timedelta(days=n), "no") for n in (0, 1)] == [1, 2]
        assert count_failure(connection, ADA, taken + RETURNS_WITHIN + dt.timedelta(seconds=1), "no") == 1
        assert takes_mail(connection, ADA)


def test_a_server_that_is_away_loses_nothing(store: Database, settings: SiteSettings, server: MailServer) -> None:
    for n in range(5):
        put_digest(store, f"reader{n}@example.org")
    away = settings.model_copy(update={"mail_url": type(settings.mail_url)("smtp+plain://127.0.0.1:1")})
    done = Dispatcher(away, store).send_due()
    assert (done.sent, "cannot be reached" in done.problem) == (0, True)
    assert count(store, mails, mails.c.state == "queued") == 5
    assert Dispatcher(settings, store).send_due().sent == 5
    server.to_sender = "550 5.7.1 not you"
    put_digest(store, "last@example.org")
    assert "refuses the sender" in Dispatcher(settings, store).send_due().problem
    server.to_sender = ""
    assert Dispatcher(settings, store).send_due().sent == 1


@pytest.mark.parametrize("how", ["says 421", "hangs up"])
def test_a_mail_at_which_the_server_breaks_off_holds_up_no_other(
    settings: SiteSettings, store: Database, server: MailServer, how: str
) -> None:
    if how == "says 421":
        server.answers[ADA] = "421 4.7.0 not now"
    else:
        server.hangs_up_on = ADA
    put(store)
    put(store, address="bob@example.org")
    dispatcher = Dispatcher(settings, store)
    done = dispatcher.send_due()
    assert (done.sent, done.deferred, "127.0.0.1" in done.problem) == (0, 1, True)
    assert dispatcher.send_due().sent == 1
    assert [each.recipients for each in server.mails] == [("bob@example.org",)]
    (row, _) = rows(store, mails)
    assert (row.state, row.attempts, row.problem) == ("queued", 1, done.problem)
    # Each try makes a link; that tries become rare keeps them few.
    for _ in range(5):
        dispatcher.send_due()
    assert count(store, sign_in_links, sign_in_links.c.address == ADA) == 1


class _Broken:
    """Hands over all mail but one kind, at which it fails like no transport should."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.close = transport.close

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        if recipient == ADA:
            raise UnicodeEncodeError("ascii", "ü", 0, 1, "a defect")
        self._transport.send(message, sender, recipient)


def test_a_mail_that_cannot_be_handed_over_holds_up_no_other(
    settings: SiteSettings, store: Database, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    put(store)
    put(store, address="bob@example.org")
    done = Dispatcher(settings, store, lambda: _Broken(open_transport(server.url(), name="x"))).send_due()
    assert (done.sent, done.deferred, done.problem) == (1, 1, "")
    assert "cannot be handed over" in caplog.text
    assert "a defect" in caplog.text


@pytest.mark.parametrize("kind", [MailKind.SIGN_IN, MailKind.CONFIRM])
def test_no_second_mail_is_queued_while_one_waits(store: Database, kind: MailKind) -> None:
    assert put(store, kind)
    assert not put(store, kind)
    assert put(store, kind, "bob@example.org")
    set_back(store, created=now() - WAITS[kind] - dt.timedelta(seconds=1))  # it will be dropped, not sent
    assert put(store, kind)


def test_of_many_that_ask_at_once_one_mail_comes(store: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        queued = list(pool.map(lambda _: put(store), range(16)))
    assert queued.count(True) == 1
    assert count(store) == 1


@pytest.mark.parametrize("kind", MailKind)
def test_a_mail_is_not_sent_when_it_is_of_no_use_any_more(
    settings: SiteSettings, store: Database, server: MailServer, kind: MailKind
) -> None:
    put_digest(store) if kind is MailKind.DIGEST else put(store, kind)
    set_back(store, created=now() - WAITS[kind] - dt.timedelta(seconds=1))
    assert Dispatcher(settings, store).send_due().dropped == 1
    assert problem(store) == "it waited too long"
    assert not server.mails


def test_who_unsubscribed_or_was_blocked_in_between_gets_nothing(
    settings: SiteSettings, store: Database, server: MailServer
) -> None:
    put_digest(store)
    put_digest(store, "bob@example.org")
    put(store, MailKind.CONFIRM, "carl@example.org")
    with store.write() as connection:
        connection.execute(update(subscriptions).where(subscriptions.c.address == ADA).values(state="ended"))
        connection.execute(insert(blocks).values(address="bob@example.org", created=now()))
    assert Dispatcher(settings, store).send_due().dropped == 3
    assert {row.problem for row in rows(store, mails) if row.problem} == {
        "unsubscribed", "the address takes no mail", "nothing is to be confirmed"
    }  # fmt: skip
    assert not server.mails


def test_a_mail_that_cannot_be_written_holds_up_no_other(
    settings: SiteSettings, store: Database, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    number = subscribed(store, now=now())
    put(store, MailKind.DIGEST, subscription=number, issue=now().date(), content={"papers": 1})
    put_digest(store, "bob@example.org")
    done = Dispatcher(settings, store).send_due()
    assert (done.sent, done.deferred) == (1, 1)
    assert "cannot be written" in caplog.text


def test_dropping_and_forgetting(store: Database) -> None:
    put(store)
    put(store, address="bob@example.org")
    with store.write() as connection:
        moment = now()
        assert drop_mails(connection, moment, "blocked", mails.c.address == ADA) == 1
        assert forget_mails(connection, moment + KEPT) == 0
        assert forget_mails(connection, moment + KEPT + dt.timedelta(minutes=1)) == 1
        left = next_mail(connection, now())
    assert left is not None
    assert left.address == "bob@example.org"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mail_from": ""}, "CENOTE_MAIL_FROM"),
        ({"mail_from": "nobody"}, "CENOTE_MAIL_FROM must be an address"),
        ({"mail_from": "A\r\nBcc: b@example.org <feed@example.org>"}, "CENOTE_MAIL_FROM must be"),
        ({"mail_url": None}, "CENOTE_MAIL_URL"),
    ],
)
def test_half_a_setting_is_one_sentence(
    settings: SiteSettings, store: Database, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        Dispatcher(settings.model_copy(update=changed), store)


# --- several processes --------------------------------------------------------------------------------------------


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for something; return how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.01)
    return time.monotonic() - begin


def test_the_office_sends_within_a_second(settings: SiteSettings, store: Database, server: MailServer) -> None:
    office = PostOffice(settings, store)
    try:
        put(store)
        office.wake()
        assert soon(lambda: len(server.mails) == 1) < 1
        put(store, address="bob@example.org")
        office.wake()
        assert soon(lambda: len(server.mails) == 2) < 1
        soon(lambda: states(store) == ["sent", "sent"])
    finally:
        office.close()


def test_offices_take_turns(settings: SiteSettings, store: Database, server: MailServer) -> None:
    """Three of them, woken at once for many mails, send each once."""
    offices = [PostOffice(settings, store) for _ in range(3)]
    try:
        for n in range(40):
            put(store, address=f"reader{n}@example.org")
            for office in offices:
                office.wake()
        soon(lambda: states(store) == ["sent"] * 40, 30)
    finally:
        for office in offices:
            office.close()
    assert sorted(each.recipients[0] for each in server.mails) == sorted(f"reader{n}@example.org" for n in range(40))


def test_an_office_waits_for_its_turn(settings: SiteSettings, store: Database, server: MailServer) -> None:
    office = PostOffice(settings, store)
    try:
        with exclusive(store, settings.home, "mail") as ours:
            assert ours
            put(store)
            office.wake()
            time.sleep(0.3)
            assert Dispatcher(settings, store).send_due().busy
            assert not server.mails
        assert soon(lambda: len(server.mails) == 1) < 2
    finally:
        office.close()


def test_an_office_outlives_what_goes_wrong(
    settings: SiteSettings, store: Database, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    broken = True

    def open_() -> Transport:
        if broken:
            raise RuntimeError("a defect")
        return open_transport(server.url(), name="x")

    office = PostOffice(settings, store, open_)
    try:
        put(store)
        office.wake()
        soon(lambda: "a defect" in caplog.text)
        broken = False
        office.wake()
        soon(lambda: len(server.mails) == 1)
    finally:
        office.close()


def test_ending_all_of_an_address_leaves_nothing_to_send(settings: SiteSettings, store: Database) -> None:
    put_digest(store)
    with store.write() as connection:
        end_all(connection, ADA, now())
    assert not Dispatcher(settings, store).has_due()
