"""Each form can be sent so often: by one client of the net, and for one address."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import ModuleType
from typing import Any

import httpx
import pytest

from cenote.site.guarding.limits import Limit
from cenote.site.serving import server_config
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.mail_tables import mails
from cenote.site.store.reader_tables import comments, limits
from cenote.site.web import accounts, operating, signing_in, talk

from ..visiting import ADA, OPERATOR, PAPER, Browser, Visited, token_in

URL = f"/papers/{PAPER.id}"
FEW = Limit(3, dt.timedelta(minutes=10))
MANY = Limit(1_000, dt.timedelta(minutes=10))
_serial = count()

Send = Callable[[Browser, Visited], httpx.Response]


def _asks(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post("/sign-in", address=f"a{next(_serial)}@example.org")


def _asks_for_ada(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post("/sign-in", address=ADA)


def _uses(browser: Browser, visited: Visited) -> httpx.Response:
    return visited.browser(browser.ip).post(f"/sign-in/{visited.link()}")


def _votes(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post(f"{URL}/vote", want="1")


def _writes(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post(f"{URL}/comments", text="Nice.")


def _renames(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post("/account/name", name="Ada")


def _features(browser: Browser, visited: Visited) -> httpx.Response:
    return browser.post("/operate/feature", paper=PAPER.id, day="2026-11-27")


# What is sent, by whom, the limits by address and by IP, and which of them one module has.
FORMS: list[tuple[Send, str | None, ModuleType, str | None, str]] = [
    (_asks, None, signing_in, None, "LINKS_BY_IP"),
    (_asks_for_ada, None, signing_in, "LINKS_BY_ADDRESS", "LINKS_BY_IP"),
    (_asks_for_ada, None, signing_in, "LINKS_BY_ADDRESS_A_DAY", "LINKS_BY_IP"),
    (_uses, None, signing_in, None, "USES_BY_IP"),
    (_votes, ADA, talk, "VOTES", "BY_IP"),
    (_writes, ADA, talk, "COMMENTS", "BY_IP"),
    (_renames, ADA, accounts, "CHANGES", "CHANGES_BY_IP"),
    (_features, OPERATOR, operating, "ACTIONS", "ACTIONS_BY_IP"),
]


@pytest.mark.parametrize(("send", "address", "module", "by_address", "by_ip"), FORMS)
def test_by_one_client_of_the_net(
    visited_lite: Visited, monkeypatch: pytest.MonkeyPatch, send: Send, address: str | None, module: ModuleType,
    by_address: str | None, by_ip: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, by_ip, FEW)
    if by_address:
        monkeypatch.setattr(module, by_address, MANY)
    browsers = [_browser(visited_lite, address, ip) for ip in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    _check(lambda: send(browsers[next(_serial) % 2], visited_lite))  # two addresses of one subscriber
    assert send(browsers[2], visited_lite).status_code == 303


@pytest.mark.parametrize(("send", "address", "module", "by_address", "by_ip"), [each for each in FORMS if each[3]])
def test_for_one_address(
    visited_lite: Visited, monkeypatch: pytest.MonkeyPatch, send: Send, address: str | None, module: ModuleType,
    by_address: str, by_ip: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, by_address, FEW)
    monkeypatch.setattr(module, by_ip, MANY)
    browsers = [_browser(visited_lite, address, f"192.0.2.{number}") for number in range(4)]
    _check(lambda: send(browsers[next(_serial) % 4], visited_lite))


def _browser(visited: Visited, address: str | None, ip: str) -> Browser:
    browser = visited.browser(ip)
    if address is not None:
        browser.sign_in(address)
    return browser


def _check(send: Callable[[], httpx.Response]) -> None:
    assert [send().status_code for _ in range(FEW.times)] == [303] * FEW.times
    answer = send()
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= FEW.pause + 1
    assert "That was often; try again in" in answer.text


def test_mistakes_do_not_use_up_an_address(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    for _ in range(20):
        assert browser.post("/sign-in", address="ada").status_code == 422
    assert browser.post("/sign-in", address=ADA).status_code == 303


def test_who_sends_fifty_at_once_gets_no_more_than_who_sends_them_in_turn(visited: Visited) -> None:
    browser, reader = visited.browser("198.51.100.1"), visited.reader(ip="198.51.100.2")
    asking, writing = browser.token(), reader.token("/account")

    def ask(number: int) -> int:
        fields = {"csrf": asking, "address": f"a{number}@example.org"}
        return browser.client.post("/sign-in", data=fields).status_code

    def write(number: int) -> int:
        return reader.client.post(f"{URL}/comments", data={"csrf": writing, "text": str(number)}).status_code

    with ThreadPoolExecutor(16) as pool:
        asked = list(pool.map(ask, range(50)))
        wrote = list(pool.map(write, range(50)))
    assert (asked.count(303), asked.count(429)) == (signing_in.LINKS_BY_IP.times, 50 - signing_in.LINKS_BY_IP.times)
    assert (wrote.count(303), wrote.count(429)) == (talk.COMMENTS.times, 50 - talk.COMMENTS.times)
    assert visited.count(mails) == signing_in.LINKS_BY_IP.times
    assert visited.count(comments) == visited.paper().reader_comments == talk.COMMENTS.times


def test_the_store_does_not_tell_who_was_limited(visited: Visited) -> None:
    visited.browser("192.0.2.77").post("/sign-in", address=ADA)
    with visited.database.read() as connection:
        rows = str(connection.execute(limits.select()).all())
    assert "192.0.2.77" not in rows
    assert ADA not in rows
    assert rows.count("(") >= 2


@pytest.mark.parametrize(
    ("proxies", "peer", "told", "limited"),
    [
        ("", "203.0.113.9", "x-forwarded-for", True),  # nobody is believed
        ("", "127.0.0.1", "x-forwarded-for", True),
        ("10.0.0.0/8", "203.0.113.9", "x-forwarded-for", True),  # nor who is no proxy of ours
        ("10.0.0.0/8", "10.1.2.3", "x-forwarded-for", False),
        ("10.0.0.0/8", "10.1.2.3", "x-real-ip", True),
        ("10.0.0.0/8", "10.1.2.3", "forwarded", True),
    ],
)
def test_only_a_trusted_proxy_says_who_asks(
    visited_lite: Visited, proxies: str, peer: str, told: str, limited: bool
) -> None:
    site = visited_lite.site
    settings = SiteSettings(home=site.settings.home, trusted_proxies=proxies)
    visited_lite.app.state.site = Site(settings, site.database, site.methods, site.search, site.post)
    config = server_config(visited_lite.app, settings)
    config.load()

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(config.loaded_app, client=(peer, 50_000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as client:
            token = token_in((await client.get("/sign-in")).text)
            found = []
            for number in range(signing_in.LINKS_BY_IP.times + 2):
                who = f"198.51.100.{number}"
                headers = {told: f"for={who}" if told == "forwarded" else who}
                fields = {"csrf": token, "address": f"a{number}@example.org"}
                found.append((await client.post("/sign-in", data=fields, headers=headers)).status_code)
            return found

    found: Any = asyncio.run(statuses())
    assert found.count(429) == (2 if limited else 0)


def test_a_client_cannot_write_itself_in_front_of_a_trusted_proxy(visited_lite: Visited) -> None:
    # The proxy appends whom it saw; what stood there before is the client's own word.
    site = visited_lite.site
    settings = SiteSettings(home=site.settings.home, trusted_proxies="10.0.0.0/8")
    visited_lite.app.state.site = Site(settings, site.database, site.methods, site.search, site.post)
    config = server_config(visited_lite.app, settings)
    config.load()

    async def last() -> int:
        transport = httpx.ASGITransport(config.loaded_app, client=("10.1.2.3", 50_000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as client:
            token = token_in((await client.get("/sign-in")).text)
            status = 0
            for number in range(signing_in.LINKS_BY_IP.times + 1):
                headers = {"x-forwarded-for": f"198.51.100.{number}, 203.0.113.9"}
                fields = {"csrf": token, "address": f"a{number}@example.org"}
                status = (await client.post("/sign-in", data=fields, headers=headers)).status_code
            return status

    assert asyncio.run(last()) == 429
