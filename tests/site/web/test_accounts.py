"""Signing in by mail, the account, and the page that says what is kept."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from cenote.site.readers.operating import block
from cenote.site.readers.sessions import Reader
from cenote.site.readers.sign_in import LINK_LASTS
from cenote.site.runs.keeper import KEPT
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.reader_tables import readers, sessions, sign_in_links, votes
from cenote.site.web.privacy import TIMES, in_words

from ..visiting import ADA, OPERATOR, PAPER, Visited, open_visited
from .pages import check_page, links, text_of

SENT = "If this address can sign in here, a link is on its way to it. It works once, within 30 minutes."


def test_a_link_is_asked_for_and_sent(visited: Visited) -> None:
    browser = visited.browser()
    page = check_page(browser.get("/sign-in").text)
    assert "/privacy" in links(page)
    answer = browser.post("/sign-in", address=f" {ADA.upper()} ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/sent")
    assert SENT in text_of(check_page(browser.get("/sign-in/sent").text))
    assert visited.queued() == [("sign-in", ADA)]
    assert visited.site.post is not None
    assert visited.site.post.woken == 1  # type: ignore[attr-defined]
    assert visited.count(readers) == 0  # nobody is made by asking
    assert visited.count(sign_in_links) == 0  # no token lies in the store before its mail is composed


def test_the_answer_tells_nothing_of_an_address(visited: Visited) -> None:
    visited.reader(ADA)
    with visited.database.write() as connection:
        by = Reader(1, OPERATOR, "Olga", dt.datetime.now(dt.UTC))
        block(connection, "blocked@example.org", by, dt.datetime.now(dt.UTC))
    answers = []
    for number, address in enumerate([ADA, "new@example.org", "blocked@example.org"]):
        answer = visited.browser(f"198.51.100.{number}").post("/sign-in", address=address)
        answers.append((answer.status_code, sorted(answer.headers.items()), answer.text))
    assert answers[0] == answers[1] == answers[2]
    assert visited.queued() == [("sign-in", ADA), ("sign-in", "new@example.org")]


@pytest.mark.parametrize(
    "written", ["", "ada", "ada@", "a@b@c.de", "ada@example.org\r\nBcc: x@y.zz", "<b>@x", "a" * 300]
)
def test_what_is_no_address_is_said_beside_the_field(visited_lite: Visited, written: str) -> None:
    answer = visited_lite.browser().post("/sign-in", address=written)
    assert answer.status_code == 422
    page = check_page(answer.text)
    field = page.find(".//input[@id='address']")
    assert field is not None
    assert (field.get("aria-invalid"), field.get("aria-describedby")) == ("true", "problem")
    assert "address must be an e-mail address" in text_of(page)
    assert visited_lite.queued() == []


def test_looking_at_a_link_does_not_use_it(visited: Visited) -> None:
    token = visited.link()
    browser = visited.browser()
    for _ in range(3):
        assert browser.client.head(f"/sign-in/{token}").status_code == 200
        page = check_page(browser.get(f"/sign-in/{token}").text)
        assert f"signs you in as {ADA}" in text_of(page)
    assert visited.count(sessions) == 0
    answer = browser.post(f"/sign-in/{token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert ADA in text_of(check_page(browser.get("/account").text))


def test_used_expired_and_forged_links_are_one_sentence(visited_lite: Visited) -> None:
    used, expired = visited_lite.link(), visited_lite.link(age=LINK_LASTS)
    browser = visited_lite.browser()
    browser.post(f"/sign-in/{used}")
    said = set()
    for token, status in [(used, 410), (expired, 410), ("A" * 43, 410), ("A" * 42, 404), ("%00", 404)]:
        for answer in (browser.get(f"/sign-in/{token}"), browser.post(f"/sign-in/{token}")):
            assert answer.status_code == status
            said.add(text_of(check_page(answer.text)).partition("410 Gone")[2].partition("The newest")[0] or "404")
    assert said == {" This link was used already, is older than 30 minutes, or never was one. Ask for another. ", "404"}


def test_where_the_reader_came_from_is_where_the_reader_goes(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    shown = browser.get("/sign-in?next=/papers/2611.00001%3Fpage%3D2")
    assert 'value="/papers/2611.00001?page=2"' in shown.text
    browser.post("/sign-in", address=ADA, next="/papers/2611.00001?page=2")
    answer = browser.post(f"/sign-in/{visited_lite.link()}")
    assert answer.headers["location"] == "/papers/2611.00001?page=2"
    assert browser.get("/sign-in?next=/claims").headers["location"] == "/claims"  # who is signed in goes on at once
    assert browser.get("/sign-in").headers["location"] == "/account"


def test_who_signs_in_as_another_is_another(visited_lite: Visited) -> None:
    browser = visited_lite.reader(ADA)
    browser.sign_in("bob@example.org")
    assert "bob@example.org" in browser.get("/account").text
    assert visited_lite.count(sessions) == 1


def test_signing_out_here_and_everywhere(visited: Visited) -> None:
    here, there = visited.reader(ADA), visited.reader(ADA)
    answer = here.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert here.get("/account").headers["location"] == "/sign-in?next=/account"
    assert there.get("/account").status_code == 200
    here.sign_in(ADA)
    here.post("/sign-out", everywhere="1")
    assert there.get("/account").status_code == 303
    assert visited.count(sessions) == 0


def test_without_mail_there_is_no_form(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/store") as database, open_visited(database, tmp_path) as visited:
        browser = visited.browser()
        page = check_page(browser.get("/sign-in").text)
        assert "No mail is set up here, so nobody can sign in." in text_of(page)
        assert page.find(".//form[@method='post']") is None
        front = check_page(browser.get("/").text)
        assert "/sign-in" not in links(front)
        assert "/sign-in" not in browser.get(f"/papers/{PAPER.id}").text


def test_the_name_is_changed_and_shown(visited: Visited) -> None:
    browser = visited.reader()
    evil = "<script>alert(1)</script> Bo"
    assert browser.post("/account/name", name=f"  {evil}  ").status_code == 303
    page = check_page(browser.get("/account").text)
    assert evil in text_of(page)
    answer = browser.post("/account/name", name="0perator")
    assert answer.status_code == 422
    refused = check_page(answer.text)
    assert "name must not be that of somebody who runs the site" in text_of(refused)
    assert evil in text_of(refused)  # it stays what it was, beside what was written
    field = refused.find(".//input[@id='name']")
    assert field is not None
    assert field.get("value") == "0perator"


def test_a_name_that_somebody_has_is_not_given_again(visited: Visited) -> None:
    ada, bob = visited.reader(ADA), visited.reader("bob@example.org")
    assert ada.post("/account/name", name="Ada").status_code == 303
    answer = bob.post("/account/name", name="ADA")
    assert answer.status_code == 422
    assert "name must be one that no other reader has" in text_of(check_page(answer.text))


def test_the_name_that_was_given_may_be_sent_unchanged(visited: Visited) -> None:
    browser = visited.reader()
    field = check_page(browser.get("/account").text).find(".//input[@id='name']")
    assert field is not None
    assert browser.post("/account/name", name=str(field.get("value"))).status_code == 303


def test_the_account_has_votes_comments_and_a_file(visited: Visited) -> None:
    browser = visited.reader()
    browser.post(f"/papers/{PAPER.id}/vote", want="1")
    browser.post(f"/papers/{PAPER.id}/comments", text="Nice *ponds*.")
    page = check_page(browser.get("/account").text)
    assert {f"/papers/{PAPER.id}", "/comments/1", "/subscribe", "/account/delete"} <= set(links(page))
    assert "/operate" not in links(page)
    answer = browser.get("/account/data.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="cenote-account.json"'
    assert answer.headers["cache-control"] == "private, no-store"
    data = json.loads(answer.text)
    assert (data["reader"]["address"], data["votes"][0]["paper"]) == (ADA, PAPER.id)
    assert data["comments"][0]["text"] == "Nice *ponds*."
    assert "/operate" in links(check_page(visited.reader(OPERATOR).get("/account").text))


def test_an_account_is_deleted_when_its_reader_is_sure(visited: Visited) -> None:
    browser = visited.reader()
    browser.post(f"/papers/{PAPER.id}/vote", want="1")
    assert visited.paper().votes == 42
    check_page(browser.get("/account/delete").text)
    assert browser.post("/account/delete").status_code == 400
    assert visited.count(readers) == 1
    answer = browser.post("/account/delete", sure="yes")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/deleted")
    check_page(browser.get("/account/deleted").text)
    assert [visited.count(table) for table in (readers, sessions, votes)] == [0, 0, 0]
    assert visited.paper().votes == 41
    assert browser.get("/account").status_code == 303


@pytest.mark.parametrize("address", ["/account", "/account/delete", "/account/data.json"])
def test_strangers_are_sent_to_sign_in(visited_lite: Visited, address: str) -> None:
    answer = visited_lite.browser().get(address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/account")


def test_the_page_on_privacy_says_every_time_there_is(visited_lite: Visited) -> None:
    page = check_page(visited_lite.browser().get("/privacy").text)
    said = text_of(page)
    for name, time in TIMES.items():
        assert in_words(time) in said, name
    # The times as numbers; that they are kept are tested where things are taken out.
    for promised in (
        "30 days",
        "30 minutes",
        "24 months",
        "12 hours",
        "60 days",
        "12 months",
        "4 days",
        "90 days",
        "1 hour",
    ):
        assert promised in said
    for promised in ("into its log too", "The file leaves out"):
        assert promised in said
    assert "/privacy" in links(check_page(visited_lite.browser().get("/").text))


def test_where_runs_are_started_their_page_says_what_is_kept(visited_lite: Visited) -> None:
    browser, site = visited_lite.browser(), visited_lite.site
    assert "If you start a run" not in browser.get("/privacy").text
    runs: Any = object()
    visited_lite.app.state.site = Site(site.settings, site.database, site.methods, site.search, site.post, runs)
    said = text_of(check_page(browser.get("/privacy").text))
    assert "the number of your account if you are signed in, else a hash of your browser’s cookie" in said
    assert "Whose it was goes 30 days after it ended, or with your account" in said
    assert f"when {KEPT} later ones have ended" in said


def test_times_in_words() -> None:
    given = {"1 day": 24 * 60, "36 hours": 36 * 60, "90 minutes": 90, "12 months": 365 * 24 * 60, "1 minute": 1}
    assert {in_words(dt.timedelta(minutes=minutes)): minutes for minutes in given.values()} == given
