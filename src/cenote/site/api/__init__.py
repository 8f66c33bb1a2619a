"""The site for programs: JSON in the hub's shape, methods and claims, and feeds to subscribe to."""

from fastapi import APIRouter

from cenote.site.api import feeds, methods, nothing, papers

router = APIRouter()
for _part in (papers, methods, feeds, nothing):  # what is not here is looked for last
    router.include_router(_part.router)

__all__ = ["router"]
