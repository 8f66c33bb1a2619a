"""The pages: what a reader sees, rendered here and working without JavaScript."""

from fastapi import APIRouter

from cenote.site.web import (
    accounts,
    api_page,
    claims,
    feed,
    methods,
    operating,
    paper,
    plain,
    privacy,
    running,
    searching,
    signing_in,
    subscribing,
    talk,
)
from cenote.site.web.errors import add_error_pages
from cenote.site.web.static_files import STATIC_URL, static_files

__all__ = ["STATIC_URL", "add_error_pages", "router", "static_files"]

router = APIRouter()
# A paper's identifier may hold a slash, so its routes would take others' addresses and come last.
for _part in (plain, api_page, feed, searching, methods, claims):
    router.include_router(_part.router)
for _part in (signing_in, accounts, operating, privacy, subscribing, talk, running, paper):
    router.include_router(_part.router)
