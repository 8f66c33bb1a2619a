"""Hostile questions: no input is a server error, and every answer is as described."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cenote.errors import ArgumentError
from cenote.site.papers import paper_id
from cenote.site.state import Site
from tests.site.api.conftest import make_app

RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck)}

IDENTIFIERS = st.from_regex(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", fullmatch=True)
NAMES = st.text() | IDENTIFIERS | st.from_regex(r"(\.\./|%2e|[/\\?#;'\"<>\x00-\x1f])*[\w./]*")
VALUES = NAMES | st.from_regex(r"-?\d{1,30}|\d{4}-(W?\d\d)?(-\d\d)?")
ROUTES = {
    "/api/daily_papers": ("date", "week", "month", "submitter", "sort", "p", "limit"),
    "/api/papers/search": ("q", "mode", "p", "limit", "first", "last", "author", "category", "shelf", "has_code"),
    "/api/claims.csv": ("shelf", "verdict"),
    "/feed.atom": ("q", "mode", "date", "first", "organization", "verdict", "limit"),
    "/feed.json": ("q", "date", "last", "author", "limit"),
}


@pytest.mark.slow
def test_answers_are_as_described(site: Site) -> None:
    description = schemathesis.openapi.from_asgi("/openapi.json", make_app(site))
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:

        @settings(max_examples=40, **RELAXED)
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            # A calendar is no pattern: week 53 looks like one in years that have none.
            case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])

        ask()


@pytest.mark.slow
@settings(max_examples=1500, **RELAXED)
@given(name=NAMES)
def test_any_name_is_a_paper_or_unknown(client: TestClient, name: str) -> None:
    assume(not {".", ".."} & set(name.split("/")))  # the client itself makes another address of these
    answer = client.get(f"/api/papers/{quote(name, safe='/')}")
    assert answer.status_code in (200, 404)
    try:
        paper_id(name)
    except ArgumentError:
        # Names of other routes are no papers' names.
        assert answer.status_code == 404 or name == "search"


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
@settings(max_examples=300, **RELAXED)
@given(data=st.data())
def test_any_question_is_answered_or_told(client: TestClient, path: str, data: st.DataObject) -> None:
    asked = data.draw(st.dictionaries(st.sampled_from(ROUTES[path]), VALUES, max_size=3))
    answer = client.get(path, params=asked)
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        [(name, sentence)] = answer.json().items()
        assert name == "error"
        assert any(each in sentence for each in ROUTES[path])


@pytest.mark.parametrize("path", ["/api/papers/search", "/feed.atom", "/feed.json"])
@settings(max_examples=50, **RELAXED)
@given(query=st.text())
def test_no_query_is_an_error(client: TestClient, path: str, query: str) -> None:
    assert client.get(path, params={"q": query}).status_code == 200
