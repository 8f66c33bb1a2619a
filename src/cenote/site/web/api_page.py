"""The API as a page to read, made from its own OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cenote.site.web.rendering import page, render

router = APIRouter()

_Schema = Mapping[str, Any]

_SECTIONS = {
    "papers": (
        "Papers",
        "In the JSON shape of Hugging Face’s Daily Papers, so that its clients read this site unchanged.",
    ),
    "methods": ("Methods and claims", "What the cards say, and what was measured."),
    "feeds": ("Feeds", "To subscribe to, as Atom and as JSON Feed."),
}
"""Heading and sentence of each kind of route, in the page's order; others follow under their own names."""


@dataclass(frozen=True)
class _Parameter:
    name: str
    meaning: str
    allowed: str
    """What it may be, in words; empty for any text."""
    default: str


@dataclass(frozen=True)
class _Route:
    path: str
    anchor: str
    summary: str
    meaning: str
    parameters: tuple[_Parameter, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the path can be opened as it is."""
        return "{" not in self.path


@dataclass(frozen=True)
class _Section:
    name: str
    title: str
    sentence: str
    routes: tuple[_Route, ...]


@page(router, "/api")
def api(request: Request) -> HTMLResponse:
    """List the routes for programs with what each takes."""
    description = request.app.openapi()
    return render(
        request, "api.html.j2", sections=list(_sections(description)), description_url=request.app.openapi_url
    )


def _sections(description: _Schema) -> Iterator[_Section]:
    routes: dict[str, list[_Route]] = {}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            kind = (operation.get("tags") or ["other"])[0]
            routes.setdefault(kind, []).append(_route(path, operation, description))
    for kind in dict.fromkeys((*_SECTIONS, *routes)):
        if kind in routes:
            title, sentence = _SECTIONS.get(kind, (kind.capitalize(), ""))
            yield _Section(kind, title, sentence, tuple(routes[kind]))


def _route(path: str, operation: _Schema, description: _Schema) -> _Route:
    return _Route(
        path=path,
        anchor=operation["operationId"].replace("_", "-"),
        summary=operation["summary"],
        meaning=operation.get("description", ""),
        parameters=tuple(_parameter(each, description) for each in operation.get("parameters", ())),
    )


def _parameter(parameter: _Schema, description: _Schema) -> _Parameter:
    schema = parameter["schema"]
    default = schema.get("default")
    return _Parameter(
        name=parameter["name"],
        meaning=parameter.get("description", ""),
        allowed=_allowed(schema, description),
        default="" if default in (None, "", False) else str(default),
    )


def _allowed(schema: _Schema, description: _Schema) -> str:
    """Say in words what a schema allows."""
    if "$ref" in schema:
        return _allowed(description["components"]["schemas"][schema["$ref"].rpartition("/")[2]], description)
    if "anyOf" in schema:
        parts = (_allowed(each, description) for each in schema["anyOf"] if each.get("type") != "null")
        return " or ".join(filter(None, parts))
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum") or [schema["const"]]))
    if schema.get("type") == "integer":
        return (
            f"{schema['minimum']:,} to {schema['maximum']:,}" if {"minimum", "maximum"} <= set(schema) else "a number"
        )
    return "true or false" if schema.get("type") == "boolean" else ""
