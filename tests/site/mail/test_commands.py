"""``cenote digest`` and ``cenote bounced`` as cron and a mail server call them, in both databases."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import delete
from typer.testing import CliRunner

from cenote.cli import app
from cenote.site import commands as site_commands
from cenote.site.mail import commands
from cenote.site.mail.bounces import FAILURES, count_failure
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.mail.scopes import Scope
from cenote.site.mail.subscriptions import Frequency
from cenote.site.seeding import seed
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import announced, mails
from cenote.site.store.tables import papers

from .servers import MailServer
from .stories import ADA, DAY, METHODS, count, rows, save, states, subscribed
from .test_returns import notification

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _environment(settings: SiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.mail_url is not None
    assert settings.database_url is not None
    for name, value in {
        "CENOTE_HOME": str(settings.home),
        "CENOTE_DATABASE_URL": settings.database_url.get_secret_value(),
        "CENOTE_BASE_URL": settings.base_url,
        "CENOTE_MAIL_URL": settings.mail_url.get_secret_value(),
        "CENOTE_MAIL_FROM": settings.mail_from,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands, "Methods", lambda: METHODS)
    monkeypatch.setattr(site_commands, "read_cards", lambda: ([method.card for method in METHODS], ()))


def call(*arguments: str, rc: int = 0, given: bytes | None = None) -> Result:
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), input=given)
    assert outcome.exit_code == rc, outcome.output
    return outcome


@pytest.fixture
def readers(store: Database) -> list[str]:
    """Three who get all papers since yesterday, of which there is one."""
    seed(store, (method.card for method in METHODS))
    addresses = [f"reader{n}@example.org" for n in range(3)]
    for address in addresses:
        subscribed(store, address, now=NOW - DAY)
    save(store, TODAY - DAY)
    return addresses


def test_each_gets_it_once_however_often_it_is_called(store: Database, readers: list[str], server: MailServer) -> None:
    assert call("digest").stdout == "3 queued, 3 mails sent\n"
    assert [each.recipients for each in server.mails] == [(address,) for address in readers]
    assert "Paper 1" in server.mails[0].text
    assert call("digest").stdout == "0 queued, 0 mails sent\n"
    assert len(server.mails) == 3
    assert len({each.message["Message-ID"] for each in server.mails}) == 3


def test_a_limit_and_one_frequency(readers: list[str], server: MailServer) -> None:
    assert call("digest", "--limit", "2").stdout == "2 queued, 2 mails sent\n"
    assert call("digest", "--frequency", "weekly").stdout == "0 queued, 0 mails sent\n"
    assert call("digest", "--limit", "2").stdout == "1 queued, 1 mail sent\n"
    assert sorted(each.recipients[0] for each in server.mails) == readers


def test_a_dry_run_says_who_gets_what_and_keeps_nothing(
    store: Database, readers: list[str], server: MailServer
) -> None:
    said = call("digest", "--dry-run").stdout
    assert said.splitlines() == [
        *[f"re…@example.org: all papers, daily, {TODAY}: 1 paper, 0 verdicts"] * 3,
        f"3 digests due on {TODAY}; nothing was sent",
    ]
    assert not any(address in said for address in readers)
    assert count(store) == count(store, announced) == 0
    assert not server.mails
    assert "1 digest due" in call("digest", "--dry-run", "--limit", "1").stdout


def test_a_preview_has_one_example_of_each(
    store: Database, readers: list[str], server: MailServer, tmp_path: Path
) -> None:
    subscribed(store, ADA, scope=Scope.read("search", "q=paper"), now=NOW - DAY)
    folder = tmp_path / "look"
    said = call("digest", "--preview", str(folder)).stdout
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{name}.{kind}" for name in ("01-daily", "02-daily-paper") for kind in ("eml", "html", "txt")]
    assert str(folder / "01-daily.html") in said
    assert "Paper 1" in (folder / "01-daily.txt").read_text()
    assert "reader0@example.org" not in (folder / "01-daily.eml").read_text()
    assert count(store) == 0
    assert not server.mails


def test_a_weekly_preview_has_the_day_of_its_issue(store: Database, tmp_path: Path) -> None:
    wednesday, monday = dt.datetime(2026, 11, 25, 9, tzinfo=dt.UTC), dt.date(2026, 11, 23)
    subscribed(store, ADA, Frequency.WEEKLY, now=wednesday - 9 * DAY)
    save(store, monday - 2 * DAY)
    call("digest", "--date", "2026-11-25", "--preview", str(tmp_path / "look"))
    assert (tmp_path / "look" / "01-weekly.txt").read_text().startswith("23 November 2026\n")


def test_a_preview_needs_neither_subscribers_nor_mail(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENOTE_MAIL_URL", "")
    monkeypatch.setenv("CENOTE_MAIL_FROM", "")
    save(store, TODAY - DAY)
    call("digest", "--preview", str(tmp_path / "look"))
    assert "Paper 1" in (tmp_path / "look" / "01-weekly.html").read_text()


def test_a_server_that_is_away_is_one_sentence_and_the_next_call_goes_on(
    readers: list[str], server: MailServer
) -> None:
    server.answers["*"] = "421 4.3.2 going down"
    outcome = call("digest", rc=2)
    assert "says 421 4.3.2 going down; 3 mails left, with which the next call goes on" in " ".join(
        outcome.stderr.split()
    )
    server.answers.clear()
    # The one at which the server broke off has its pause: it may be the reason.
    assert call("digest").stdout == "0 queued, 2 mails sent\n"


def test_what_is_deferred_is_said(readers: list[str], server: MailServer) -> None:
    server.answers[readers[0]] = "451 4.7.1 come back"
    server.answers[readers[1]] = "550 5.1.1 nobody"
    outcome = call("digest", rc=1)
    assert outcome.stdout == "3 queued, 1 mail sent, 1 refused, 1 to be tried again later\n"


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        ((), {"CENOTE_MAIL_URL": ""}, "CENOTE_MAIL_URL says where it goes"),
        ((), {"CENOTE_MAIL_URL": "smtp+plain://u:secret-word@192.0.2.1"}, "192.0.2.1 must be this machine"),
        (("--date", str(TODAY + DAY)), {}, "--date must not be in the future"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: tuple[str, ...], changed: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    outcome = call("digest", *arguments, rc=2)
    assert said in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert "secret-word" not in outcome.output


def test_old_rows_are_cleared(store: Database, readers: list[str]) -> None:
    with store.write() as connection:
        put_mail(connection, MailKind.SIGN_IN, ADA, NOW - 90 * DAY)
        connection.execute(mails.update().values(state="sent", ended=NOW - 90 * DAY))
    call("digest")
    assert states(store) == ["sent"] * 3


def test_what_comes_back(store: Database, server: MailServer, tmp_path: Path) -> None:
    subscribed(store, ADA, now=NOW - 9 * DAY)
    save(store, TODAY - DAY)
    call("digest")
    message_id = str(server.mails[0].message["Message-ID"])
    assert re.fullmatch(r"<[0-9]{14}\.[0-9a-f]{24}@example\.org>", message_id)
    returned = call("bounced", given=notification(message_id)).stdout
    assert "did not arrive" in returned
    (tmp_path / "back.eml").write_bytes(notification(message_id))
    assert "is known" in call("bounced", str(tmp_path / "back.eml")).stdout
    assert "cannot be opened" in call("bounced", str(tmp_path / "none.eml"), rc=2).stderr
    assert [row.state for row in rows(store, mails)] == ["refused"]


def test_an_address_is_let_in_again(store: Database) -> None:
    with store.write() as connection:
        for _ in range(FAILURES):
            count_failure(connection, ADA, NOW, "no")
    assert call("bounced", "--allow", " Ada@example.org").stdout == f"{ADA}: gets mail again\n"
    assert call("bounced", "--allow", ADA).stdout == f"{ADA}: nothing ever came back\n"
    assert "must be an e-mail address" in call("bounced", "--allow", "nobody", rc=2).stderr
    with store.write() as connection:
        assert connection.execute(delete(papers)).rowcount == len(METHODS)  # the store is seeded by every command
