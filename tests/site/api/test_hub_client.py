"""The hub's own client and command, unchanged, against a real server."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.site.api.conftest import CARD, COUNTED, FULL, OLD, UNDATED, XSS


@pytest.fixture(scope="module")
def api(endpoint: str) -> HfApi:
    return HfApi(endpoint=endpoint, token=False)


def ids(found: Iterable[object]) -> list[str]:
    return [each.id for each in found]  # type: ignore[attr-defined]


def test_papers_of_a_day_a_week_and_a_month(api: HfApi) -> None:
    assert ids(api.list_daily_papers(date="2026-02-11")) == [FULL.id]
    assert ids(api.list_daily_papers(week="2026-W07")) == [COUNTED.id, FULL.id, CARD]
    assert ids(api.list_daily_papers(month="2026-02", sort="trending")) == [FULL.id, CARD, COUNTED.id]
    assert ids(api.list_daily_papers(submitter="akhaliq")) == [FULL.id]
    assert ids(api.list_daily_papers(limit=2)) == [XSS.id, COUNTED.id]
    assert ids(api.list_daily_papers(limit=2, p=2)) == [OLD.id]
    assert ids(api.list_daily_papers(date="2020-01-01")) == []


def test_a_listed_paper_is_understood(api: HfApi) -> None:
    [paper] = api.list_daily_papers(date="2026-02-11")
    assert [author.name for author in paper.authors or ()] == list(FULL.authors or ())
    assert (paper.title, paper.summary, paper.upvotes, paper.comments) == (FULL.title, FULL.summary, 42, 3)
    assert paper.published_at == FULL.published
    assert paper.submitted_at == dt.datetime(2026, 2, 11, tzinfo=dt.UTC)
    assert paper.submitted_by is not None
    assert paper.submitted_by.username == paper.submitted_by.fullname == "akhaliq"
    assert paper.organization is not None
    assert paper.organization.fullname == "Pond University"


def test_a_day_is_not_taken_for_a_papers_own_date(api: HfApi) -> None:
    [paper] = api.list_daily_papers(date="2026-02-12")
    assert paper.published_at is None
    assert paper.submitted_at == dt.datetime(2026, 2, 12, tzinfo=dt.UTC)


def test_search(api: HfApi) -> None:
    assert set(ids(api.list_papers(query="ponds"))[:2]) == {FULL.id, UNDATED.id}
    assert ids(api.list_papers(query=FULL.title.upper()))[0] == FULL.id
    assert ids(api.list_papers(query="arXiv:hep-th/9901001v2"))[0] == OLD.id
    assert FULL.id in ids(api.list_papers(query="posets"))  # by meaning: it has no such word
    assert ids(api.list_papers(query="disease")) == []
    assert len(list(api.list_papers(limit=3))) == 3


def test_one_paper(api: HfApi) -> None:
    paper = api.paper_info(FULL.id)
    assert (paper.id, paper.title, paper.upvotes, paper.comments) == (FULL.id, FULL.title, 42, 3)
    assert (paper.github_repo, paper.github_stars, paper.project_page) == (
        FULL.code_url,
        FULL.code_stars,
        FULL.project_url,
    )
    assert paper.ai_keywords == ["pooling", "ponds"]
    assert paper.published_at == FULL.published
    assert paper.submitted_at == dt.datetime(2026, 2, 11, tzinfo=dt.UTC)
    assert api.paper_info(OLD.id).title == OLD.title
    assert api.paper_info(UNDATED.id).published_at is None
    assert api.paper_info(CARD).cenote["method"]["slug"] == "order-theory"  # type: ignore[attr-defined]


def test_a_paper_is_read(api: HfApi) -> None:
    assert api.read_paper(FULL.id).startswith(f"# {FULL.title}\n")
    assert api.read_paper(OLD.id).startswith(f"# {OLD.title}\n")
    assert "Claimed: " in api.read_paper(CARD)
    with pytest.raises(HfHubHTTPError) as error:
        api.read_paper("2602.99999")
    assert error.value.response.status_code == 404


def test_the_client_shows_what_was_wrong(api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError, match=r"the paper 2602\.99999 is not in this feed") as error:
        api.paper_info("2602.99999")
    assert error.value.response.status_code == 404
    with pytest.raises(HfHubHTTPError, match="week must be an ISO week"):
        list(api.list_daily_papers(week="2025-W53"))


def test_the_hubs_command(endpoint: str, tmp_path: Path) -> None:
    def hf(*arguments: str) -> str:
        command = Path(sys.executable).with_name("hf")
        environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [str(command), "papers", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=True,
        )
        return done.stdout

    assert [each["id"] for each in json.loads(hf("ls", "--month", "1999-01", "--format", "json"))] == [OLD.id]
    assert FULL.id in [each["id"] for each in json.loads(hf("search", "ponds", "--format", "json"))]
    assert json.loads(hf("info", FULL.id, "--format", "json"))["title"] == FULL.title
    assert hf("read", OLD.id).startswith(f"# {OLD.title}\n")
