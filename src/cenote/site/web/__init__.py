"""The pages: what a reader sees, rendered here and working without JavaScript."""

from fastapi import APIRouter

from cenote.site.web import api_page, claims, feed, methods, paper, plain, searching
from cenote.site.web.errors import add_error_pages
from cenote.site.web.static_files import STATIC_URL, static_files

__all__ = ["STATIC_URL", "add_error_pages", "router", "static_files"]

router = APIRouter()
# A paper's identifier may hold a slash, so its routes would take others' addresses and come last.
for _part in (plain, api_page, feed, searching, methods, claims, paper):
    router.include_router(_part.router)
