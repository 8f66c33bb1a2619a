"""What every request of the site works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from cenote.site.methods import Methods
from cenote.site.search import Search
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database


@dataclass(frozen=True)
class Site:
    """Opened once when the server starts, shared by its threads."""

    settings: SiteSettings
    database: Database
    methods: Methods
    search: Search


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(_site)]
"""Type of a route's parameter that receives the site."""
