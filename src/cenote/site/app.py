"""The web application: what is opened when it starts, and what every answer of it has in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from cenote import __version__
from cenote.site import api, web
from cenote.site.guarding.requests import GuardRequests
from cenote.site.mail.office import PostOffice
from cenote.site.methods import Method, Methods
from cenote.site.readers.retention import Cleaning
from cenote.site.runs.keeper import RunKeeper
from cenote.site.search import Search, Tags
from cenote.site.security import SecureHeaders
from cenote.site.seeding import seed
from cenote.site.settings import SiteSettings, read_settings
from cenote.site.state import Site
from cenote.site.store.database import Database


def create_app(settings: SiteSettings | None = None, *, site: Site | None = None) -> FastAPI:
    """Return the application; what it works with is opened when it starts.

    Args:
        settings: Where the store is; from the environment by default.
        site: One that is open already, and stays open when the application ends.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if site is not None:
            app.state.site = site
            yield
            return
        with open_site(settings or read_settings()) as opened:
            app.state.site = opened
            yield

    # FastAPI's pages that describe the API load a script from elsewhere; ours is made from the same description.
    app = FastAPI(
        title="cenote",
        summary="A paper feed whose papers run.",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    # A level that costs little: answers are packed while others wait for the same cores.
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=2)
    app.add_middleware(GuardRequests)
    app.add_middleware(SecureHeaders)
    app.include_router(api.router)
    app.include_router(web.router)
    app.mount(web.STATIC_URL, web.static_files, name="static")
    web.add_error_pages(app)
    return app


FINGERPRINTS = "fingerprints.json"
"""File in the home that spares a start the parsing of all papers' modules."""


@contextmanager
def open_site(settings: SiteSettings, *, allow_runs: bool = False) -> Iterator[Site]:
    """Open the store, see that the papers with a card are in it, and open the search.

    Args:
        settings: Where the store is.
        allow_runs: Whether readers may start runs on this machine.

    Raises:
        ArgumentError: If a setting of mail cannot be used.
        StorageError: If the store cannot be opened.
    """
    methods = Methods(kept=settings.home / FINGERPRINTS)
    with Database(settings.database) as database:
        seed(database, (method.card for method in methods))
        search = open_search(settings, database, methods)
        post = _open_post(settings, database)
        runs = RunKeeper(settings, database, methods) if allow_runs else None
        try:
            with Cleaning(database):
                yield Site(settings, database, methods, search, post, runs)
        finally:
            if runs is not None:
                runs.close()
            if post is not None:
                post.close()
            search.close()


def open_search(settings: SiteSettings, database: Database, methods: Methods) -> Search:
    """Open the search over papers and what their cards add to them."""
    return Search(database, home=settings.home, tags={method.card.arxiv: _tags(method) for method in methods})


def _open_post(settings: SiteSettings, database: Database) -> PostOffice | None:
    """Open the post office if mail is set up; half a setting is a mistake that would show only when mail is missed."""
    return PostOffice(settings, database) if settings.mail_url or settings.mail_from else None


def _tags(method: Method) -> Tags:
    words: set[str] = {verdict.word for verdict in method.verdicts}
    if method.stale:
        words.add("stale")
    has_code = method.card.runs or method.card.links.code is not None
    return Tags(method.card.shelf.value, frozenset(words), has_code)
