"""Cookies: what others plant is worth nothing (session fixation), and ours are kept where only this site reads them."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from cenote.site.guarding.visitors import same_site
from cenote.site.store.database import Database
from cenote.site.store.reader_tables import sessions

from ..visiting import ADA, PAPER, Post, Visited, open_visited

URL = f"/papers/{PAPER.id}"
ELSEWHERE = [
    "https://evil.example",
    "http://evil.example/papers",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "account",
    "?next=//evil.example",
    "/account\r\nLocation: https://evil.example",
    "/account\x00",
    "/ünder",
    "https:/account",
    "/" + "a" * 2_000,
    "",
]


def cookies(answer: httpx.Response) -> SimpleCookie:
    found = SimpleCookie()
    for each in answer.headers.get_list("set-cookie"):
        found.load(each)
    return found


def test_a_planted_session_is_worthless_after_signing_in(visited: Visited) -> None:
    mallory, victim = visited.reader("mallory@example.org"), visited.browser()
    planted = mallory.client.cookies["cenote-session"]
    victim.client.cookies.set("cenote-session", planted, domain="127.0.0.1", path="/")
    link = visited.link(ADA)
    answer = victim.post(f"/sign-in/{link}")
    opened = cookies(answer)["cenote-session"].value
    assert opened != planted
    for name in ("cenote-session", "cenote-visitor"):
        victim.client.cookies.delete(name) if name in victim.client.cookies else None
    victim.client.cookies.set("cenote-session", opened)
    assert ADA in victim.get("/account").text
    assert not mallory.is_signed_in()  # the session that was planted ended
    assert visited.count(sessions) == 1


@pytest.mark.parametrize("planted", ["A" * 43, "x", "", "' OR 1=1 --", "%00", "a" * 4_000])
def test_a_made_up_session_is_nobody_and_never_becomes_somebody(visited_lite: Visited, planted: str) -> None:
    browser = visited_lite.browser()
    browser.client.cookies.set("cenote-session", planted, domain="127.0.0.1", path="/")
    assert browser.get("/account").status_code == 303
    browser.post(f"/sign-in/{visited_lite.link()}")
    stranger = visited_lite.browser()
    stranger.client.cookies.set("cenote-session", planted, domain="127.0.0.1", path="/")
    assert stranger.get("/account").status_code == 303


def test_a_planted_visitors_key_is_worthless_after_signing_in(visited_lite: Visited) -> None:
    mallory, victim = visited_lite.browser(), visited_lite.browser()
    token = mallory.token()
    key = mallory.client.cookies["cenote-visitor"]
    victim.client.cookies.set("cenote-visitor", key, domain="127.0.0.1", path="/")
    victim.sign_in()
    assert victim.client.post(f"{URL}/vote", data={"csrf": token, "want": "1"}).status_code == 403
    assert visited_lite.paper().votes == 41


@pytest.mark.parametrize("secure", [False, True])
def test_cookies_are_for_this_host_alone(tmp_path: Path, secure: bool) -> None:
    base = "https://feed.example" if secure else "http://127.0.0.1:8000"
    prefix = "__Host-cenote" if secure else "cenote"
    with (
        Database(f"sqlite:///{tmp_path}/store") as database,
        open_visited(database, tmp_path, post=Post(), base_url=base) as visited,
    ):
        browser = visited.browser()
        shown = browser.get("/sign-in")
        sent = browser.post("/sign-in", address=ADA, next=URL)
        used = browser.post(f"/sign-in/{visited.link()}")
        assert used.headers["location"] == URL
        out = browser.post("/sign-out")
    given = {}
    for answer in (shown, sent, used, out):
        for name, cookie in cookies(answer).items():
            given.setdefault(name, cookie)
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/"), name
            assert bool(cookie["secure"]) is secure
            assert cookie["domain"] == ""
    assert set(given) == {f"{prefix}-{kind}" for kind in ("session", "visitor", "next")}
    assert given[f"{prefix}-session"]["max-age"] == str(30 * 24 * 3600)
    assert given[f"{prefix}-visitor"]["max-age"] == str(12 * 3600)
    assert given[f"{prefix}-next"]["max-age"] == str(30 * 60)
    ended = cookies(used)
    assert (ended[f"{prefix}-visitor"]["max-age"], ended[f"{prefix}-next"]["max-age"]) == ("0", "0")
    assert cookies(out)[f"{prefix}-session"]["max-age"] == "0"


def test_a_visitors_key_is_given_again_with_each_form(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    keys = [cookies(browser.get("/sign-in"))["cenote-visitor"] for _ in range(2)]
    assert keys[0].value == keys[1].value
    assert [key["max-age"] for key in keys] == [str(12 * 3600)] * 2
    assert "set-cookie" not in visited_lite.reader().get("/account").headers  # its forms are tied to the session


@pytest.mark.parametrize("planted", ["x", "\xff" * 32, "a" * 33, '"\\012"'])
def test_a_visitors_key_that_is_none_of_ours_is_not_given_again(visited_lite: Visited, planted: str) -> None:
    answer = visited_lite.browser().get("/sign-in", headers={"Cookie": f"cenote-visitor={planted}".encode("latin-1")})
    assert len(cookies(answer)["cenote-visitor"].value) == 32


def test_who_only_reads_gets_no_cookie_and_pages_that_caches_may_keep(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    for address in ("/", "/papers/date/2026-11-20", "/papers/trending", "/search?q=x", URL, f"{URL}.md", "/methods",
                    "/claims", "/privacy", "/nothing", "/feed.atom", "/api/daily_papers"):  # fmt: skip
        answer = browser.get(address)
        assert "set-cookie" not in answer.headers, address
        assert "private" not in answer.headers.get("cache-control", ""), address
        if answer.headers["content-type"].startswith("text/html") and answer.status_code == 200:
            assert "Cookie" in answer.headers["vary"], address


def test_pages_of_a_reader_stay_out_of_caches(visited_lite: Visited) -> None:
    reader = visited_lite.reader()
    for address in ("/", "/papers/trending", "/search?q=x", URL, "/account", "/account/delete", "/account/data.json",
                    "/privacy", "/methods"):  # fmt: skip
        assert reader.get(address).headers["cache-control"] == "private, no-store", address
    stranger = visited_lite.browser()
    for address in ("/sign-in", f"/sign-in/{visited_lite.link()}"):  # a form is tied to one browser
        assert stranger.get(address).headers["cache-control"] == "private, no-store", address
    assert stranger.get("/").headers["cache-control"] == "no-cache"  # though it has a visitor's cookie by now


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_address_leads_elsewhere(visited_lite: Visited, address: str) -> None:
    assert same_site(address) == ""
    browser = visited_lite.browser()
    shown = browser.get("/sign-in", params={"next": address})
    assert re.search(r'name="next" value=""', shown.text)
    browser.post("/sign-in", address=ADA, next=address)
    assert browser.post(f"/sign-in/{visited_lite.link()}").headers["location"] == "/account"
    answer = browser.post(f"{URL}/vote", want="1", next=address)
    assert answer.headers["location"] == URL


def test_no_planted_cookie_leads_elsewhere(visited_lite: Visited) -> None:
    for planted in ("//evil.example", "%2F%2Fevil.example", "https://evil.example", "%2F%5Cevil.example"):
        browser = visited_lite.browser()
        browser.client.cookies.set("cenote-next", planted, domain="127.0.0.1", path="/")
        assert browser.post(f"/sign-in/{visited_lite.link()}").headers["location"] == "/account"
