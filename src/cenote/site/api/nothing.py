"""What programs are told at an address under ``/api/`` where there is nothing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from cenote.site.api.answering import error_answer

router = APIRouter()


@router.api_route("/api/{rest:path}", methods=["GET", "HEAD"], include_in_schema=False)
def nothing(request: Request, rest: str) -> JSONResponse:
    """Say so in the form of all other errors."""
    return error_answer(404, f"there is nothing at /api/{rest:.80}; {request.app.openapi_url} describes what there is")
