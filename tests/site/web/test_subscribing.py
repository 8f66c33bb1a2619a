"""Papers by mail in a browser without JavaScript, and unsubscribing as mail programs do (RFC 8058)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import insert, update

from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import (
    Frequency,
    confirm,
    leave_token,
    new_confirmation,
    pending,
    subscribe,
    subscriptions_of,
)
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import confirmations, mails, subscriptions
from cenote.site.store.reader_tables import blocks, limits
from cenote.site.web.subscribing import BY_ADDRESS, BY_IP

from ..visiting import ADA, Browser, Post, Visited, open_visited, token_in
from .pages import check_page, text_of

ALL = Scope(ScopeKind.ALL)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def visited(database: Database, tmp_path: Path) -> Iterator[Visited]:
    with open_visited(database, tmp_path, post=Post()) as opened:
        yield opened


@pytest.fixture
def sqlite_visited(tmp_path: Path) -> Iterator[Visited]:
    """For what does not depend on the database."""
    with (
        Database(f"sqlite:///{tmp_path}/store.sqlite3") as database,
        open_visited(database, tmp_path, post=Post()) as opened,
    ):
        yield opened


def ask(browser: Browser, address: str = ADA, **fields: str) -> httpx.Response:
    whole = {"address": address, "frequency": "daily", "scope": "all"} | fields
    return browser.post("/subscribe", shown_on="/subscribe", **whole)


def subscribed(visited: Visited, address: str = ADA, scope: Scope = ALL) -> str:
    """Subscribe and confirm; return the token that unsubscribes."""
    now = dt.datetime.now(dt.UTC)
    with visited.database.write() as connection:
        subscribe(connection, visited.site.secret, address, Frequency.DAILY, scope, now)
        wanted = [each.id for each in pending(connection, address)]
        confirm(connection, new_confirmation(connection, address, now), wanted, now)
        connection.execute(mails.delete())
        return leave_token(visited.site.secret, subscriptions_of(connection, address)[-1].key)


def confirmation(visited: Visited, address: str = ADA) -> str:
    with visited.database.write() as connection:
        return new_confirmation(connection, address, dt.datetime.now(dt.UTC))


def confirmed(visited: Visited, address: str = ADA) -> list[str]:
    with visited.database.read() as connection:
        return [each.words for each in subscriptions_of(connection, address)]


# --- subscribing --------------------------------------------------------------------------------------------------


def test_from_the_form_to_the_confirmation(visited: Visited) -> None:
    browser = visited.browser()
    answer = ask(browser, " Ada@Example.org", frequency="weekly", scope="shelf", shelf="active_learning")
    assert (answer.status_code, answer.headers["location"]) == (303, "/subscribe/sent")
    check_page(browser.get("/subscribe/sent").text)
    assert visited.queued() == [("confirm", ADA)]
    assert visited.site.post.woken == 1  # type: ignore[union-attr]
    token = confirmation(visited)
    page = browser.get(f"/confirm/{token}")
    assert "papers on active learning, weekly" in text_of(check_page(page.text))
    assert ADA in page.text
    assert browser.client.head(f"/confirm/{token}").status_code == 200
    assert confirmed(visited) == []  # looking confirms nothing
    shown = re.search(r'name="shown" value="([^"]+)"', page.text)
    assert shown
    answer = browser.post(f"/confirm/{token}", shown_on=f"/confirm/{token}", shown=shown[1])
    assert (answer.status_code, answer.headers["location"]) == (303, "/subscribe/confirmed")
    check_page(browser.get("/subscribe/confirmed").text)
    assert confirmed(visited) == ["papers on active learning, weekly"]
    again = browser.post(f"/confirm/{token}", shown_on="/subscribe", shown=shown[1])
    assert again.status_code == 404
    assert "used already" in again.text


def test_five_sign_ups_within_a_minute_give_one_mail(visited: Visited) -> None:
    browsers = [visited.browser(f"192.0.2.{n}") for n in range(1, 6)]
    answers = [ask(browser, scope="shelf", shelf=shelf) for browser, shelf in zip(browsers, SHELVES, strict=True)]
    assert {(each.status_code, each.headers["location"]) for each in answers} == {(303, "/subscribe/sent")}
    assert visited.queued() == [("confirm", ADA)]
    assert visited.count(subscriptions) == 5


SHELVES = ("pooling", "filters", "pruning", "retrieval", "tracking")


def test_five_at_once_give_one_mail(visited: Visited) -> None:
    browsers = [visited.browser(f"192.0.2.{n}") for n in range(1, 6)]
    tokens = [browser.token("/subscribe") for browser in browsers]

    def send(n: int) -> int:
        fields = {"csrf": tokens[n], "address": ADA, "frequency": "daily", "scope": "shelf", "shelf": SHELVES[n % 3]}
        return browsers[n].client.post("/subscribe", data=fields).status_code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(send, range(5))) == {303}
    assert visited.queued() == [("confirm", ADA)]
    assert visited.count(subscriptions) == 3


@pytest.mark.parametrize("who", ["new", "confirmed", "blocked", "robot"])
def test_the_answer_tells_nothing_of_an_address(sqlite_visited: Visited, who: str) -> None:
    browser = sqlite_visited.browser()
    if who == "confirmed":
        subscribed(sqlite_visited)
    if who == "blocked":
        with sqlite_visited.database.write() as connection:
            connection.execute(insert(blocks).values(address=ADA, created=dt.datetime.now(dt.UTC)))
    answer = ask(browser, **({"website": "https://spam.example"} if who == "robot" else {}))
    assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/subscribe/sent", "")
    assert sqlite_visited.queued() == ([("confirm", ADA)] if who == "new" else [])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "nobody"}, "must be an e-mail address"),
        ({"address": "a@b.example\r\nBcc: eve@example.org"}, "must be an e-mail address"),
        ({"frequency": "hourly"}, "frequency must be one of daily, weekly"),
        ({"scope": "shelf", "shelf": "none"}, "shelf must be one of"),
        ({"scope": "search", "search": "page=2"}, "search must have words or filters"),
        ({"scope": "csrf"}, "scope must be one of"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(sqlite_visited: Visited, fields: dict[str, str], said: str) -> None:
    answer = ask(sqlite_visited.browser(), **fields)
    assert answer.status_code == 422
    page = check_page(answer.text)
    assert said in text_of(page)
    assert page.find(".//input[@id='address']").get("aria-invalid") == "true"  # type: ignore[union-attr]
    assert sqlite_visited.queued() == []


def test_a_form_of_another_browser_is_refused(sqlite_visited: Visited) -> None:
    one, other = sqlite_visited.browser(), sqlite_visited.browser()
    other.token("/subscribe")
    fields = {"csrf": one.token("/subscribe"), "address": ADA, "frequency": "daily", "scope": "all"}
    assert other.client.post("/subscribe", data=fields).status_code == 403
    answer = one.client.post("/subscribe", data=fields, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert sqlite_visited.queued() == []


def test_often_is_too_often(sqlite_visited: Visited) -> None:
    browser = sqlite_visited.browser()
    codes = [ask(browser, f"reader{n}@example.org").status_code for n in range(BY_IP.times + 1)]
    assert codes == [303] * BY_IP.times + [429]
    with sqlite_visited.database.write() as connection:
        connection.execute(limits.delete())
    codes = [ask(sqlite_visited.browser(f"198.51.100.{n}")).status_code for n in range(1, BY_ADDRESS.times + 2)]
    assert codes == [303] * BY_ADDRESS.times + [429]


def test_a_search_leads_to_its_subscription(sqlite_visited: Visited) -> None:
    browser = sqlite_visited.browser()
    page = check_page(browser.get("/search?q=token+%22pooling%22&shelf=pooling&page=2").text)
    (link,) = [each.get("href", "") for each in page.iter("a") if each.get("href", "").startswith("/subscribe?search")]
    form = check_page(browser.get(link).text)
    assert 'Papers found by “token "pooling"”, shelf pooling' in text_of(form)
    chosen = form.find(".//input[@name='search']")
    assert chosen is not None
    assert parse_qs(chosen.get("value", "")) == {"q": ['token "pooling"'], "shelf": ["pooling"]}
    assert ask(browser, scope="search", search=chosen.get("value", "")).status_code == 303
    assert sqlite_visited.count(subscriptions, subscriptions.c.scope == "search") == 1


def test_the_form_says_what_was_chosen(sqlite_visited: Visited) -> None:
    browser = sqlite_visited.browser()
    page = check_page(browser.get("/subscribe?shelf=pruning&frequency=weekly").text)
    chosen = {each.get("value") for each in page.iter("input") if "checked" in each.attrib}
    assert chosen == {"shelf", "weekly"}
    assert [each.get("value") for each in page.iter("option") if "selected" in each.attrib] == ["pruning"]
    check_page(browser.get("/subscribe?search=%ff%00&shelf=%3Cscript%3E&scope=x&frequency=y").text)


def test_a_reader_sees_their_subscriptions(sqlite_visited: Visited) -> None:
    token = subscribed(sqlite_visited)
    reader = sqlite_visited.reader()
    page = reader.get("/subscribe")
    assert f"/u/{token}" in page.text
    assert f'value="{ADA}"' in page.text
    assert f"/u/{token}" not in sqlite_visited.browser().get("/subscribe").text


def test_without_mail_there_is_no_form(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/store.sqlite3") as database, open_visited(database, tmp_path) as visited:
        browser = visited.browser()
        page = check_page(browser.get("/subscribe").text)
        assert "No mail is set up here" in text_of(page)
        assert not [each for each in page.iter("form") if each.get("method") == "post"]
        assert "/subscribe" not in browser.get("/").text
        assert "/subscribe" not in browser.get("/search?q=x").text


# --- confirming ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["x" * 43, "x", "%00" * 43, "é" * 43])
def test_a_link_that_never_was(sqlite_visited: Visited, token: str) -> None:
    browser = sqlite_visited.browser()
    assert browser.get(f"/confirm/{token}").status_code == 404
    assert browser.post(f"/confirm/{token}", shown_on="/subscribe", shown="1").status_code == 404


def test_a_link_that_is_too_old(sqlite_visited: Visited) -> None:
    browser = sqlite_visited.browser()
    ask(browser)
    token = confirmation(sqlite_visited)
    with sqlite_visited.database.write() as connection:
        connection.execute(update(confirmations).values(expires=dt.datetime.now(dt.UTC)))
    assert browser.get(f"/confirm/{token}").status_code == 410
    assert browser.post(f"/confirm/{token}", shown_on="/subscribe", shown="1").status_code == 410
    assert confirmed(sqlite_visited) == []


@pytest.mark.parametrize("shown", ["", "x", "9" * 40, "-1", "1;2", "999"])
def test_numbers_that_nobody_was_shown_confirm_nothing(sqlite_visited: Visited, shown: str) -> None:
    browser = sqlite_visited.browser()
    ask(browser)
    answer = browser.post(f"/confirm/{confirmation(sqlite_visited)}", shown_on="/subscribe", shown=shown)
    assert answer.status_code == 410
    assert confirmed(sqlite_visited) == []


# --- unsubscribing ------------------------------------------------------------------------------------------------


def test_looking_never_unsubscribes(visited: Visited) -> None:
    token = subscribed(visited)
    browser = visited.browser()
    for _ in range(3):
        page = browser.get(f"/u/{token}")
        assert page.status_code == 200
        assert browser.client.head(f"/u/{token}").status_code == 200
        assert browser.client.options(f"/u/{token}").status_code == 405
    assert "Unsubscribe" in text_of(check_page(page.text))
    assert "set-cookie" not in page.headers
    for body in ({}, {"List-Unsubscribe": "One-Clicks"}, {"other": "One-Click"}):
        assert browser.client.post(f"/u/{token}", data=body).status_code == 400
    assert confirmed(visited) == ["all papers, daily"]


@pytest.mark.parametrize("encoding", ["multipart", "urlencoded"])
def test_one_click_from_anywhere_without_cookies(visited: Visited, encoding: str) -> None:
    """As mail programs post: no cookie, no token, another origin or none, more than once."""
    token = subscribed(visited)
    body = {"files": {name: (None, value) for name, value in ONE_CLICK.items()}}
    if encoding == "urlencoded":
        body = {"data": ONE_CLICK}  # type: ignore[dict-item]
    for headers in ({}, {"Origin": "https://mail.example.com", "Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = visited.browser("203.0.113.9").client.post(f"/u/{token}", headers=headers, **body)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "You are unsubscribed" in text_of(check_page(answer.text))
        assert confirmed(visited) == []


def test_a_browser_unsubscribes_with_the_button(sqlite_visited: Visited) -> None:
    token = subscribed(sqlite_visited)
    page = sqlite_visited.browser().get(f"/u/{token}").text
    action = re.search(r'<form class="small" action="([^"]+)" method="post">\s*<input type="hidden" name="([^"]+)" '
                       r'value="([^"]+)">', page)  # fmt: skip
    assert action
    path, name, value = (unescape(each) for each in action.groups())
    assert urlsplit(path).path == f"/u/{token}"
    assert sqlite_visited.browser().client.post(path, data={name: value}).status_code == 200
    assert confirmed(sqlite_visited) == []


def test_forged_tokens_are_refused(visited: Visited) -> None:
    token = subscribed(visited)
    other = leave_token("another secret of some length!!!", "k" * 43)
    client = visited.browser().client
    for forged in (other, token[:-2], token + "x", token.replace(".", ""), "x", "%00", "k" * 43):
        assert client.get(f"/u/{forged}").status_code == 404
        assert client.post(f"/u/{forged}", data=ONE_CLICK).status_code == 404
        assert client.post(f"/u/{forged}/all").status_code == 404
    assert confirmed(visited) == ["all papers, daily"]


def test_an_old_link_never_ends_a_newer_subscription(visited: Visited) -> None:
    old = subscribed(visited)
    client = visited.browser().client
    client.post(f"/u/{old}", data=ONE_CLICK)
    new = subscribed(visited)
    assert new != old
    assert client.post(f"/u/{old}", data=ONE_CLICK).status_code == 200
    assert confirmed(visited) == ["all papers, daily"]


def test_a_subscription_that_is_forgotten_has_ended(sqlite_visited: Visited) -> None:
    token = subscribed(sqlite_visited)
    with sqlite_visited.database.write() as connection:
        connection.execute(subscriptions.delete())
    answer = sqlite_visited.browser().client.post(f"/u/{token}", data=ONE_CLICK)
    assert answer.status_code == 200
    assert "ended long ago" in text_of(check_page(answer.text))


def test_all_of_an_address_ends_at_once(visited: Visited) -> None:
    token = subscribed(visited)
    subscribed(visited, scope=Scope(ScopeKind.SHELF, "pruning"))
    subscribed(visited, "bob@example.org")
    client = visited.browser().client
    page = check_page(client.get(f"/u/{token}").text)
    assert "papers on pruning, daily" in text_of(page)
    answer = client.post(f"/u/{token}/all")
    assert (answer.status_code, confirmed(visited)) == (200, [])
    assert confirmed(visited, "bob@example.org") == ["all papers, daily"]


def test_a_form_that_is_none_is_refused(sqlite_visited: Visited) -> None:
    token = subscribed(sqlite_visited)
    client = sqlite_visited.browser().client
    for headers, content in (
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nnothing"),
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "application/json"}, b'{"List-Unsubscribe": "One-Click"}'),
    ):
        assert client.post(f"/u/{token}", headers=headers, content=content).status_code == 400
    assert token_in(sqlite_visited.browser().get("/subscribe").text)
    assert confirmed(sqlite_visited) == ["all papers, daily"]
