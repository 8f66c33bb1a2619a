"""What all answers to programs have in common: errors of one shape, and "not modified" to who has the newest."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError

from cenote.errors import ArgumentError, StorageError, UnknownPaperError

FRESH = "public, max-age=60"
"""How long an answer may be used without asking again, unless its route says otherwise."""

_TAG = re.compile(r'(?:W/)?"([^"]*)"')

_log = logging.getLogger(__name__)


class Error(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence that names the parameter, what came and what is allowed.")


_AS_JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The answer is the one whose ETag was sent as If-None-Match."}
}
ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"description": "A parameter has a value that is not allowed.", "content": _AS_JSON},
    503: {"description": "The store does not answer just now.", "content": _AS_JSON},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such thing.", "model": Error}}


def error_answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the form that all have here."""
    return JSONResponse({"error": sentence}, status, headers={"Cache-Control": "no-store"} | (headers or {}))


def new_router() -> APIRouter:
    """Return a router whose routes answer as this module says."""
    return _Router(
        route_class=_Route,
        responses=NOT_MODIFIED | ERRORS,
        generate_unique_id_function=lambda route: route.name,  # short names for whom generates a client
    )


class _Router(APIRouter):
    """A router that answers HEAD wherever it answers GET, though only GET is described."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        # A route of two methods would be described twice under one name. The one that answers both comes first, so that
        # it is also the one that tells other methods which there are.
        if how.get("methods") == ["GET"]:
            super().add_api_route(path, endpoint, **how | {"methods": ["GET", "HEAD"], "include_in_schema": False})
        super().add_api_route(path, endpoint, **how)


class _Route(APIRoute):
    """A route that tells errors in one sentence, and sends nothing to who has the answer already."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except RequestValidationError as error:
                return error_answer(422, _sentence(error))
            except ArgumentError as error:
                return error_answer(422, str(error))
            except UnknownPaperError as error:
                return error_answer(404, str(error))
            except (StorageError, OperationalError):
                _log.exception("the store does not answer")
                return error_answer(503, "the store does not answer just now; try again", {"Retry-After": "60"})
            return _unless_known(request, response)

        return answer


def _unless_known(request: Request, response: Response) -> Response:
    # Of the content, not of a moment: a paper imported late or corrected changes it as well as a new one does. It is
    # weak because the answer may be compressed on its way.
    tag = hashlib.sha256(bytes(response.body)).hexdigest()[:32]
    response.headers["ETag"] = f'W/"{tag}"'
    response.headers.setdefault("Cache-Control", FRESH)
    known = request.headers.get("If-None-Match", "")
    if known.strip() != "*" and tag not in _TAG.findall(known):
        return response
    kept = {name: value for name, value in response.headers.items() if name in ("etag", "cache-control")}
    return Response(status_code=304, headers=kept)


def _sentence(error: RequestValidationError) -> str:
    """Say the first thing that is wrong."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    return f"{first['loc'][-1]}: {message[:1].lower()}{message[1:]}, got {str(first.get('input'))!r:.80}"
