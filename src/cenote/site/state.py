"""What every request of the site works with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from cenote.site.methods import Methods
from cenote.site.search import Search
from cenote.site.secret import site_secret
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database

if TYPE_CHECKING:
    from cenote.site.mail.office import PostOffice
    from cenote.site.runs.keeper import RunKeeper


@dataclass(frozen=True)
class Site:
    """Opened once when the server starts, shared by its threads."""

    settings: SiteSettings
    database: Database
    methods: Methods
    search: Search
    post: PostOffice | None = None
    """Sends mail; None where none is set up, so nobody can sign in or subscribe."""
    runs: RunKeeper | None = None
    """Starts runs that readers ask for; None where that is off."""

    @cached_property
    def secret(self) -> str:
        """What cookies and links are signed with."""
        return site_secret(self.settings)

    @property
    def allows_runs(self) -> bool:
        """Whether readers may start runs."""
        return self.runs is not None


async def _site(request: Request) -> Site:
    # Not a plain function: FastAPI would call that in a thread, and every request would change threads twice more.
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(_site)]
"""Type of a route's parameter that receives the site."""
