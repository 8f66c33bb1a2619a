"""The guide's examples, against a real server."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import httpx
import pytest

from cenote.site.state import Site
from tests.site.api.conftest import CARD

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "pages" / "api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
CURLS = re.findall(r"^\$ (curl .*)$", GUIDE, re.MULTILINE)

pytestmark = pytest.mark.parametrize("site", ["sqlite"], indirect=True, scope="session")


@pytest.mark.parametrize("command", CURLS)
def test_an_address_of_the_guide_answers(endpoint: str, command: str) -> None:
    address = shlex.split(command)[-1]
    answer = httpx.get(address.replace(ADDRESS, endpoint))
    assert answer.status_code == 200
    assert answer.content


@pytest.mark.parametrize("route", re.findall(r"`(/feed[^`]*)`", GUIDE))
def test_a_feed_of_the_guide_answers(endpoint: str, route: str) -> None:
    assert httpx.get(endpoint + route).status_code == 200


def test_the_python_of_the_guide_runs(endpoint: str, site: Site) -> None:
    [block] = re.findall(r"^```py\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.replace(ADDRESS, endpoint), "api.md", "exec"), {"__name__": "__main__"})
    method = site.methods.by_paper(CARD)
    assert method is not None
    verdicts = [f"{verdict.word} {verdict.claim} {verdict.data}" for verdict in method.verdicts]
    lines = printed.getvalue().splitlines()
    assert verdicts
    assert lines[0] == f"{CARD} {method.card.title}"
    assert lines[-len(verdicts) :] == verdicts


def test_the_guides_error_is_the_one_that_comes(endpoint: str) -> None:
    [error] = re.findall(r'`(\{"error".*?\})`', GUIDE)
    assert httpx.get(f"{endpoint}/api/daily_papers?week=2025-W53").json() == json.loads(error)


def test_the_guide_has_every_route(endpoint: str) -> None:
    paths = httpx.get(f"{endpoint}/openapi.json").json()["paths"]
    assert [path for path in paths if path.replace("{paper}", "{id}") not in GUIDE] == []
