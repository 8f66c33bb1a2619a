"""Browsers without JavaScript that visit a site: they keep cookies, and send the forms they were shown."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from cenote.site.app import create_app
from cenote.site.methods import Method, Methods
from cenote.site.papers import Paper
from cenote.site.readers.sign_in import new_link
from cenote.site.search import Filters, Found, Hit, Mode
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import mails
from cenote.site.store.reading import StoredPaper, find_paper
from cenote.site.store.saving import save_papers

DAY = dt.date(2026, 11, 20)
PAPER = Paper(id="2611.00001", title="Pooling of Ponds", featured=DAY, upvotes=41, comments=2)
QUIET = Paper(id="hep-th/9901001", title="Nobody Voted for This", featured=DAY)
OPERATOR = "olga@example.org"
ADA = "ada@example.org"


class Post:
    """A post office that only counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        pass


class NoMethods(Methods):
    def __init__(self, folder: Path) -> None:
        self._all: tuple[Method, ...] = ()
        self.folder = folder


class FindsAll:
    """A search that finds whatever it was given."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def find(self, query: str, *, filters: Filters | None = None, mode: Mode = Mode.HYBRID, **page: int) -> Found:
        with self.database.read() as connection:
            found = [find_paper(connection, each.id) for each in (PAPER, QUIET)]
        return Found(tuple(Hit(each, 1.0, ()) for each in found if each), 2, mode)

    def similar(self, stored: StoredPaper, limit: int = 6) -> tuple[Hit, ...]:
        return ()

    def close(self) -> None:
        pass


@contextmanager
def open_visited(database: Database, home: Path, *, post: Post | None = None, **settings: Any) -> Iterator[Visited]:
    """A site that can be visited, with two papers."""
    with database.write() as connection:
        save_papers(connection, [PAPER, QUIET])
    chosen = SiteSettings(home=home, operators=OPERATOR, **settings)
    search: Any = FindsAll(database)
    site = Site(chosen, database, NoMethods(home), search, post)  # type: ignore[arg-type]
    yield Visited(site)


@cache
def _app() -> FastAPI:
    """The routes, which are alike for every site: one is visited after the other."""
    return create_app()


class Visited:
    """The site, and who comes."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.app = _app()
        self.app.state.site = site

    @property
    def database(self) -> Database:
        return self.site.database

    def browser(self, ip: str = "192.0.2.1", base_url: str | None = None) -> Browser:
        client = TestClient(
            self.app,
            base_url or self.site.settings.base_url,
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(ip, 50000),
        )
        return Browser(self, client, ip)

    def reader(self, address: str = ADA, ip: str = "192.0.2.1") -> Browser:
        """A browser whose reader is signed in."""
        browser = self.browser(ip)
        browser.sign_in(address)
        return browser

    def link(self, address: str = ADA, *, age: dt.timedelta = dt.timedelta(0)) -> str:
        """The token of a link, as a mail would have it."""
        with self.database.write() as connection:
            return new_link(connection, address, dt.datetime.now(dt.UTC) - age)

    def paper(self, paper: Paper = PAPER) -> StoredPaper:
        with self.database.read() as connection:
            stored = find_paper(connection, paper.id)
        assert stored is not None
        return stored

    def count(self, table: Any, *where: Any) -> int:
        with self.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

    def queued(self) -> list[tuple[str, str]]:
        """Kind and address of the mails that are to be sent."""
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(mails.c.kind, mails.c.address))]


class Browser:
    """Somebody's browser."""

    def __init__(self, visited: Visited, client: TestClient, ip: str) -> None:
        self.visited = visited
        self.client = client
        self.ip = ip

    def get(self, address: str, **more: Any) -> httpx.Response:
        return self.client.get(address, **more)

    def token(self, page: str = "/sign-in") -> str:
        """The token of the first form that a page shows."""
        return token_in(self.get(page).text)

    def post(self, address: str, /, *, shown_on: str | None = None, **fields: Any) -> httpx.Response:
        """Send a form with the token of the page that showed it."""
        headers = fields.pop("headers", None)
        page = shown_on or ("/account" if self.is_signed_in() else "/sign-in")
        return self.client.post(address, data={"csrf": self.token(page), **fields}, headers=headers)

    def is_signed_in(self) -> bool:
        return any("session" in name for name in self.client.cookies) and self.get("/account").status_code == 200

    def sign_in(self, address: str = ADA) -> None:
        answer = self.post(f"/sign-in/{self.visited.link(address)}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")


def token_in(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found, html
    return unescape(found[1])
