"""Pages for what went wrong: friendly to readers, JSON to programs."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from cenote.errors import StorageError
from cenote.site.api.answering import error_answer
from cenote.site.guarding.visitors import FormRefused, visitor_of
from cenote.site.readers.comments import LONGEST
from cenote.site.security import HEADERS
from cenote.site.web.rendering import render

_SENTENCES = {
    400: "The request could not be read.",
    403: "This is not allowed here.",
    404: "There is nothing at this address.",
    405: "This address cannot be used in that way.",
    500: "Something went wrong here; it was written into the server's log.",
    503: "The store of papers does not answer just now. Please try again in a minute.",
}

_OLD_FORM = "This form was open for too long, or was not shown in this browser. Nothing is lost: publish it now."


def add_error_pages(app: FastAPI) -> None:
    """Answer errors with a page, or with JSON under ``/api/``."""
    app.add_exception_handler(HTTPException, _expected)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(StorageError, _no_store)
    app.add_exception_handler(OperationalError, _no_store)
    app.add_exception_handler(Exception, _unexpected)


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(request, error)


def refusal(request: Request, error: HTTPException) -> Response:
    """Return the page that says why something was refused."""
    standard = HTTPStatus(error.status_code).phrase
    said = error.detail if error.detail != standard else ""
    written = error.fields.get("text", "") if isinstance(error, FormRefused) else ""
    paper, _, form = request.url.path.rpartition("/")
    if written and form == "comments" and visitor_of(request).reader is not None:
        return _comment_again(request, paper, written)
    return _page(request, error.status_code, said, dict(error.headers or {}), written)


def _comment_again(request: Request, paper: str, written: str) -> Response:
    """Show a comment that was refused for its form's sake in a new form, so that one press sends it."""
    said = {"paper": None, "url": paper, "text": written, "longest": LONGEST, "problem": _OLD_FORM}
    answer = render(request, "comment.html.j2", status=403, **said)
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _page(request, 400)


async def _no_store(request: Request, error: Exception) -> Response:
    return _page(request, 503, headers={"Retry-After": "60"})


async def _unexpected(request: Request, error: Exception) -> Response:
    # This answer is made outside of all middleware.
    return _page(request, 500, headers=HEADERS)


def _page(
    request: Request, status: int, sentence: str = "", headers: dict[str, str] | None = None, written: str = ""
) -> Response:
    sentence = sentence or _SENTENCES.get(status, "This did not work.")
    if _for_programs(request):
        return error_answer(status, sentence, headers)
    phrase = HTTPStatus(status).phrase
    said = {"number": status, "phrase": phrase, "sentence": sentence, "written": written}
    answer = render(request, "error.html.j2", status=status, **said)
    answer.headers.update(headers or {})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _for_programs(request: Request) -> bool:
    return request.url.path.startswith("/api/")
