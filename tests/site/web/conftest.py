"""Sites to ask: the one a new user sees, and one with papers and a search of the test's choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from cenote.site.app import create_app
from cenote.site.methods import Method, Methods
from cenote.site.papers import Paper
from cenote.site.search import Filters, Found, Hit, Mode
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.reading import StoredPaper
from cenote.site.store.saving import save_papers
from tests.site.conftest import KINDS, empty_store

from .chromium import ARGUMENTS, CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class FakeSearch:
    """Finds what the test says, and keeps what it was asked."""

    def __init__(self, found: Found | None = None, similar: tuple[Hit, ...] = ()) -> None:
        self.found = found or Found((), 0, Mode.HYBRID)
        self.similar_papers = similar
        self.asked: list[tuple[str, Filters, Mode, int, int]] = []

    def find(
        self, query: str, *, filters: Filters | None = None, mode: Mode = Mode.HYBRID, limit: int = 20, offset: int = 0
    ) -> Found:
        self.asked.append((query, filters or Filters(), mode, limit, offset))
        return self.found

    def similar(self, stored: StoredPaper, limit: int = 6) -> tuple[Hit, ...]:
        return self.similar_papers[:limit]

    def without_meaning(self) -> str:
        return ""

    def close(self) -> None:
        pass


class SomeMethods(Methods):
    """The methods a test chooses."""

    def __init__(self, methods: Iterable[Method], folder: Path) -> None:
        self._all = tuple(methods)
        self.folder = folder


Opening = Callable[..., TestClient]


@pytest.fixture(scope="session", params=KINDS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The site at its first start."""
    home = tmp_path_factory.mktemp("home")
    with empty_store(request.param, home, request) as url:
        settings = SiteSettings(home=home, database_url=SecretStr(url.render_as_string(hide_password=False)))
        with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as opened:
            yield opened


@pytest.fixture
def open_with(quick_store: Database, tmp_path: Path) -> Iterator[Opening]:
    """Open a site with the papers, methods and search that a test gives."""
    with ExitStack() as stack:

        def open_(*papers: Paper, methods: Iterable[Method] = (), search: FakeSearch | None = None) -> TestClient:
            with quick_store.write() as connection:
                save_papers(connection, papers)
            some = SomeMethods(methods, tmp_path)
            settings = SiteSettings(home=tmp_path)
            site = Site(settings, quick_store, some, search or FakeSearch())  # type: ignore[arg-type]
            app = create_app(site=site)
            client = TestClient(app, settings.base_url, raise_server_exceptions=False, follow_redirects=False)
            return stack.enter_context(client)

        yield open_


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()
