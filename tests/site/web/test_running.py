"""Runs from a paper's page: who may start, see and stop them, and what their pages say."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from cenote.catalog import get_card
from cenote.catalog.results import RESULTS
from cenote.site.app import create_app
from cenote.site.methods import Methods
from cenote.site.readers.sign_in import new_link
from cenote.site.runs import queue
from cenote.site.runs.keeper import RunKeeper
from cenote.site.runs.queue import MOST_QUEUED, AskedRun, State
from cenote.site.runs.streams import Streams
from cenote.site.seeding import seed
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive
from cenote.site.web.watching import RunEvents, run_view

from ..runs.keeping import QUICK, fake, within_patience
from .conftest import FakeSearch
from .pages import check_page, links, text_of

CARD = get_card("order-theory")
PAPER = f"/papers/{CARD.arxiv}"
LISTED = "/papers/2410.12761"
OPERATOR = "olga@example.org"
FOLDER = f"{CARD.slug}/fake-smoke"


@pytest.fixture(scope="module")
def methods() -> Methods:
    return Methods()


class Running:
    """A site that may allow runs, which are fake."""

    def __init__(self, methods: Methods, home: Path, stack: ExitStack) -> None:
        self.methods, self.home, self.stack = methods, home, stack
        self.database = stack.enter_context(Database(f"sqlite:///{home}/store.sqlite3"))
        seed(self.database, [CARD, get_card("safree")])
        self.keeper: RunKeeper | None = None

    def open(self, kind: str | None = "work", *amounts: float, **settings: Any) -> Running:
        """Open the site; ``kind`` is that of the runs, which are off if it is None."""
        chosen = SiteSettings(home=self.home, operators=OPERATOR, **settings)
        if kind:
            command = fake(self.home / "journal", kind, *amounts)
            self.keeper = RunKeeper(chosen, self.database, self.methods, command=command, pace=QUICK)
            self.keeper.streams = Streams(look=0.02, heartbeat=0.05)
            self.stack.callback(self.keeper.close)
        search: Any = FakeSearch()
        self.app = create_app(site=Site(chosen, self.database, self.methods, search, None, self.keeper))
        return self

    def browser(self, ip: str | None = None) -> TestClient:
        client = TestClient(
            self.app,
            "http://127.0.0.1:8000",
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(ip or new_ip(), 50000),
        )
        return self.stack.enter_context(client)

    def asked(self) -> int:
        """How many runs were asked for."""
        with self.database.read() as connection:
            return len(queue.recent_runs(connection, 1000))

    def run(self, run_id: str) -> AskedRun:
        with self.database.read() as connection:
            found = queue.find_run(connection, run_id)
        assert found is not None
        return found

    def wait(self, run_id: str, state: State) -> AskedRun:
        within_patience(lambda: self.run(run_id).state is state)
        return self.run(run_id)


@pytest.fixture
def running(methods: Methods, tmp_path: Path) -> Iterator[Running]:
    """A site to be opened by the test."""
    with ExitStack() as stack:
        yield Running(methods, tmp_path.resolve(), stack)


@pytest.fixture(scope="module")
def waiting(methods: Methods, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One site for many tests, where runs only wait: another process, so it seems, has one under way."""
    with ExitStack() as stack:
        home = tmp_path_factory.mktemp("home").resolve()
        opened = Running(methods, home, stack)
        assert stack.enter_context(exclusive(opened.database, home, "runs"))
        yield opened.open()


_numbers = itertools.count(1)


def new_ip() -> str:
    """An address from which nobody came before."""
    return f"198.18.0.{next(_numbers)}"


def token(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found, html
    return found[1]


def start(browser: TestClient, preset: str = "smoke", paper: str = PAPER, **more: Any) -> httpx.Response:
    """Press a button of the paper's page."""
    form = {"csrf": token(browser.get(PAPER).text), "preset": preset}
    return browser.post(f"{paper}/runs", data=form, **more)


def started(browser: TestClient, preset: str = "smoke") -> str:
    answer = start(browser, preset)
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(r"/runs/([0-9a-f]{16})", answer.headers["location"])
    assert found
    return found[1]


# --- who may ------------------------------------------------------------------------------------------------------

ADDRESSES = ["/runs", "/runs/0123456789abcdef", *(f"/runs/0123456789abcdef/{part}" for part in
             ("events", "log", "report", "report/x.png"))]  # fmt: skip


def test_where_runs_are_off_nothing_of_them_is_there(running: Running) -> None:
    browser = running.open(None).browser()
    assert "Run it here" not in browser.get(PAPER).text
    assert [browser.get(address).status_code for address in ADDRESSES] == [404] * len(ADDRESSES)
    assert browser.post(f"{PAPER}/runs", data={"preset": "smoke"}).status_code == 404
    assert browser.post("/runs/0123456789abcdef/cancel").status_code == 404


def test_a_paper_that_runs_has_the_buttons(waiting: Running) -> None:
    browser = waiting.browser()
    page = check_page(browser.get(PAPER).text)
    said = text_of(page)
    assert "Run smoke About 20 seconds of trials" in said
    assert "Run laptop The declared run: minutes, up to 100 of them." in said
    assert "each 180 minutes at most" in said
    assert "/runs" in links(page)
    assert "Run it here" not in browser.get(LISTED).text


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto"]
)
def test_what_a_proxy_handed_on_is_refused(waiting: Running, header: str) -> None:
    before = waiting.asked()
    browser = waiting.browser()
    form = {"csrf": token(browser.get(PAPER).text), "preset": "smoke"}
    handed_on = {header: "198.51.100.7"}
    for address in ADDRESSES:
        assert browser.get(address, headers=handed_on).status_code == 403
    answer = browser.post(f"{PAPER}/runs", data=form, headers=handed_on)
    assert answer.status_code == 403
    assert "unless CENOTE_TRUSTED_PROXIES names it" in answer.text
    assert "Run it here" not in browser.get(PAPER, headers=handed_on).text
    assert waiting.asked() == before


def test_a_proxy_that_is_trusted_may_hand_on(running: Running) -> None:
    browser = running.open("work", 1, 0, trusted_proxies="127.0.0.1").browser()
    assert start(browser, headers={"X-Forwarded-For": "198.51.100.7"}).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", ""])
def test_another_name_is_refused_before_anything_else(waiting: Running, host: str) -> None:
    before = waiting.asked()
    browser = waiting.browser()
    form = {"csrf": token(browser.get(PAPER).text), "preset": "smoke"}
    for answer in (
        browser.get(PAPER, headers={"Host": host}),
        browser.get("/runs", headers={"Host": host}),
        browser.post(f"{PAPER}/runs", data=form, headers={"Host": host}),
    ):
        assert answer.status_code == 421
    assert waiting.asked() == before


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_form_of_another_site_is_refused(waiting: Running, headers: dict[str, str]) -> None:
    browser = waiting.browser()
    form = {"csrf": token(browser.get(PAPER).text), "preset": "smoke"}
    assert browser.post(f"{PAPER}/runs", data=form, headers=headers).status_code == 403
    assert browser.post(f"{PAPER}/runs", data=form).status_code == 303


def test_a_form_without_its_token_or_with_that_of_another_browser_is_refused(waiting: Running) -> None:
    before = waiting.asked()
    browser, other = waiting.browser(), waiting.browser()
    other.get(PAPER)
    stolen = {"csrf": token(browser.get(PAPER).text), "preset": "smoke"}
    for form in ({"preset": "smoke"}, {"preset": "smoke", "csrf": "x"}, stolen):
        answer = other.post(f"{PAPER}/runs", data=form)
        assert answer.status_code == 403
        assert "was not shown in this browser" in answer.text
    assert waiting.asked() == before


def test_one_client_may_ask_so_often(waiting: Running) -> None:
    browser = waiting.browser()
    assert [start(browser).status_code for _ in range(11)] == [303] * 10 + [429]
    assert int(start(browser).headers["Retry-After"]) > 0
    assert start(waiting.browser()).status_code == 303


@pytest.mark.parametrize("preset", ["paper", "tiny", "", "smoke --publish", "$(id)", "x" * 5000])
def test_another_preset_is_one_sentence(waiting: Running, preset: str) -> None:
    answer = start(waiting.browser(), preset)
    assert answer.status_code == 400
    assert "Preset must be smoke or laptop, got" in text_of(check_page(answer.text))


@pytest.mark.parametrize("paper", [LISTED, "/papers/1234.56789", "/papers/..%2F..%2Fetc", f"{PAPER};id"])
def test_a_paper_that_does_not_run_is_one_sentence(waiting: Running, paper: str) -> None:
    answer = start(waiting.browser(), paper=paper)
    assert answer.status_code == 404
    assert "There is no paper of this name that runs." in answer.text


def test_a_full_queue_is_one_sentence(running: Running) -> None:
    with exclusive(running.database, running.home, "runs") as got:
        assert got
        browser = running.open().browser()
        with running.database.write() as connection:
            for number in range(MOST_QUEUED):
                queue.ask(connection, f"p{number}", "smoke", "x", dt.datetime.now(dt.UTC))
        answer = start(browser)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert "10 runs are waiting already; try again when one of them has ended." in answer.text
        assert f"{MOST_QUEUED - 1} runs before it." in text_of(check_page(browser.get("/runs").text))


# --- a run from its beginning to its end --------------------------------------------------------------------------


def test_a_run_is_started_watched_and_reported(running: Running) -> None:
    browser = running.open("work", 5, 0.2).browser()
    results = RESULTS / CARD.slug
    published = json.loads((results / "index.json").read_text())["runs"][-1]["run_id"]
    run_id = started(browser)
    assert started(browser) == run_id
    within_patience(lambda: (running.run(run_id).done or 0) >= 1)
    answer = browser.get(f"/runs/{run_id}")
    html = answer.text
    page = check_page(html)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in html.partition("</head>")[0]
    assert "of 5 trials done" in text_of(page)
    bar = next(page.iter("progress"))
    assert (bar.get("max"), int(bar.get("value", 0)) >= 1) == ("5", True)
    assert f'data-events="/runs/{run_id}/events"' in html
    assert "Stop this run" in html
    assert "step 1" in text_of(page)
    check_page(browser.get("/runs").text)
    # What a run leaves: here the files of one that is published.
    folder = running.home / "runs" / FOLDER
    shutil.copytree(results / published, folder, dirs_exist_ok=True)
    shutil.copy(results / f"{published}.json", folder / "result.json")
    (folder / "report.html").write_text("<!doctype html><title>Report</title><script>alert(1)</script>")
    assert running.wait(run_id, State.DONE).folder == FOLDER
    page = check_page(browser.get(f"/runs/{run_id}").text)
    said = text_of(page)
    assert "It is finished" in said
    assert all(claim.sentence in said for claim in CARD.claims)
    assert f"/runs/{run_id}/report" in links(page)
    assert "no published verdicts" in said
    assert "http-equiv" not in browser.get(f"/runs/{run_id}").text
    log = browser.get(f"/runs/{run_id}/log")
    assert (log.headers["content-type"], log.text.splitlines()[0]) == ("text/plain; charset=utf-8", "step 1")
    _check_report(browser, run_id, folder)
    again = started(browser)
    assert again != run_id
    listed = check_page(browser.get("/runs").text)
    assert links(listed).count(f"/runs/{run_id}") == links(listed).count(f"/runs/{again}") == 1
    assert f"/runs/{run_id}" in links(check_page(browser.get(PAPER).text))


def _check_report(browser: TestClient, run_id: str, folder: Path) -> None:
    report = browser.get(f"/runs/{run_id}/report")
    assert report.content == (folder / "report.html").read_bytes()
    policy = report.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self';")
    assert policy.endswith("; sandbox")
    assert "script-src" not in policy
    figures = [each["file"] for each in json.loads((folder / "result.json").read_text())["figures"]]
    assert figures
    for name in figures:
        figure = browser.get(f"/runs/{run_id}/report/{name}")
        assert figure.content == (folder / name).read_bytes()
        assert figure.headers["Content-Security-Policy"] == policy
        assert figure.headers["content-type"] in ("image/png", "image/svg+xml")
    (folder / "secret.png").write_bytes(b"x")
    up = "%2e%2e/" * 6
    first = figures[0]
    inside = ["secret.png", "result.json", "run.json", f"%2e/{first}", f"/{first}", f"{first}%00", "%2e"]
    outside = [f"{up}etc/passwd", f"..%2f{first}", "%2e%2e/journal", str(folder / first), "%2e%2e"]
    for name in inside + outside:
        answer = browser.get(f"/runs/{run_id}/report/{name}")
        assert answer.status_code == 404, name


def test_a_report_that_is_damaged_or_elsewhere_is_not_shown(running: Running) -> None:
    browser = running.open("chatty", 1).browser()
    run_id = started(browser)
    running.wait(run_id, State.DONE)
    said = text_of(check_page(browser.get(f"/runs/{run_id}").text))
    assert "The report of this run is not here" in said
    assert browser.get(f"/runs/{run_id}/report").status_code == 404
    (running.home / "runs" / FOLDER / "result.json").write_text("{}")
    assert "The report of this run is not here" in browser.get(f"/runs/{run_id}").text
    assert browser.get(f"/runs/{run_id}/report/x.png").status_code == 404


@pytest.mark.parametrize("run_id", ["0123456789abcdef", "%2e%2e%2fx", "x" * 300, "'--"])
def test_a_run_that_is_none(waiting: Running, run_id: str) -> None:
    browser = waiting.browser()
    for address in ("", "/log", "/events", "/report", "/report/x.png"):
        assert browser.get(f"/runs/{run_id}{address}").status_code == 404


def test_what_a_run_prints_is_text(running: Running) -> None:
    browser = running.open("dying").browser()
    run_id = started(browser)
    running.wait(run_id, State.FAILED)
    assert running.keeper is not None
    hostile = b"<script>alert(1)</script>\x1b[31m\x00\r\n\xff\xfe</pre>"
    running.keeper.files.log(run_id).write_bytes(hostile)
    html = browser.get(f"/runs/{run_id}").text
    check_page(html)
    assert "&lt;script&gt;alert(1)" in html
    assert "trial digits/max failed: no luck." in html
    log = browser.get(f"/runs/{run_id}/log")
    assert log.content == hostile
    assert log.headers["X-Content-Type-Options"] == "nosniff"


# --- stopping -----------------------------------------------------------------------------------------------------


def test_only_who_started_it_may_stop_it(running: Running) -> None:
    browser, other = running.open("work", 1000, 0.1).browser(), running.browser()
    run_id = started(browser)
    assert "Stop this run" not in other.get(f"/runs/{run_id}").text
    theirs = {"csrf": token(other.get(PAPER).text)}
    refused = other.post(f"/runs/{run_id}/cancel", data=theirs)
    assert refused.status_code == 403
    assert "Only who started a run, or an operator, may stop it." in refused.text
    own = {"csrf": token(browser.get(f"/runs/{run_id}").text)}
    answer = browser.post(f"/runs/{run_id}/cancel", data=own)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{run_id}")
    running.wait(run_id, State.CANCELLED)
    assert "It was cancelled" in text_of(check_page(browser.get(f"/runs/{run_id}").text))
    assert "Stop this run" not in browser.get(f"/runs/{run_id}").text


def test_an_operator_may_stop_every_run(running: Running) -> None:
    browser, operator = running.open("work", 1000, 0.1).browser(), running.browser()
    run_id = started(browser)
    with running.database.write() as connection:
        link = new_link(connection, OPERATOR, dt.datetime.now(dt.UTC))
    shown = operator.get(f"/sign-in/{link}")
    operator.post(f"/sign-in/{link}", data={"csrf": token(shown.text)})
    form = {"csrf": token(operator.get(f"/runs/{run_id}").text)}
    assert operator.post(f"/runs/{run_id}/cancel", data=form).status_code == 303
    running.wait(run_id, State.CANCELLED)


def test_who_signs_in_may_stop_the_run_on_another_device(running: Running) -> None:
    browser, device = running.open("work", 1000, 0.1).browser(), running.browser()
    run_id = started(browser)
    for each in (browser, device):
        assert ("Stop this run" in each.get(f"/runs/{run_id}").text) is (each is browser)
        with running.database.write() as connection:
            link = new_link(connection, "ada@example.org", dt.datetime.now(dt.UTC))
        each.post(f"/sign-in/{link}", data={"csrf": token(each.get(f"/sign-in/{link}").text)})
        assert "Stop this run" in each.get(f"/runs/{run_id}").text
    posing = running.browser()
    posing.cookies.set("cenote-visitor", running.run(run_id).owner)
    assert "Stop this run" not in posing.get(f"/runs/{run_id}").text
    form = {"csrf": token(device.get(f"/runs/{run_id}").text)}
    assert device.post(f"/runs/{run_id}/cancel", data=form).status_code == 303
    running.wait(run_id, State.CANCELLED)


def test_the_log_of_a_run_that_ended_is_its_end(running: Running) -> None:
    browser = running.open("chatty", 100).browser()
    run_id = started(browser)
    running.wait(run_id, State.DONE)
    said = text_of(check_page(browser.get(f"/runs/{run_id}").text))
    assert "[70 lines before these left out] line 70 " in said
    assert "line 99 " in said


# --- events -------------------------------------------------------------------------------------------------------


def test_events_say_everything_at_each_change_and_end_with_the_run(running: Running) -> None:
    browser = running.open("work", 5, 0.2).browser()
    run_id = started(browser)
    answer = browser.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": "7"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in answer.headers
    blocks = answer.text.split("\n\n")
    assert blocks.pop() == ""
    assert ": nothing new" in blocks
    events = [block.split("\n") for block in blocks if block.startswith("id: ")]
    assert [lines[0] for lines in events] == [f"id: {number}" for number in range(1, len(events) + 1)]
    told = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert {1, 2, 3} & {each["done"] for each in told}
    assert [each["ended"] for each in told] == [False] * (len(told) - 1) + [True]
    assert (told[-1]["state"], told[-1]["done"], told[-1]["total"]) == ("done", 5, 5)
    running_ = [each for each in told if each["state"] == "running" and each["done"]]
    assert set(running_[0]) == {
        "state", "ended", "chip", "sentence", "done", "total", "seconds_left", "trial", "log"
    }  # fmt: skip
    assert re.fullmatch(r"\d of 5 trials done(, \d s left|; the report is being written)?\.", running_[0]["sentence"])
    assert running_[0]["trial"].startswith("step-")
    assert running.keeper is not None
    assert len(running.keeper.streams) == 0
    ended = browser.get(f"/runs/{run_id}/events")
    assert ended.text.count("data: ") == 1


def test_only_so_many_streams_are_open(running: Running) -> None:
    browser, other = running.open("work", 1000, 0.1).browser("192.0.2.1"), running.browser()
    run_id = started(browser)
    assert running.keeper is not None
    streams = running.keeper.streams
    for _ in range(3):
        assert streams.enter("192.0.2.1") is None
    refused = browser.get(f"/runs/{run_id}/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
    for number in range(17):
        assert streams.enter(f"198.51.100.{number}") is None
    assert other.get(f"/runs/{run_id}/events").status_code == 503
    streams.leave("192.0.2.1")
    streams.end()  # so that the one that is now allowed ends at once
    assert browser.get(f"/runs/{run_id}/events").status_code == 200
    assert len(streams) == 19


def test_a_stream_whose_browser_has_gone_is_counted_no_more(running: Running) -> None:
    running.open("work", 1000, 0.1)
    run_id = started(running.browser())
    site: Site = running.app.state.site
    assert running.keeper is not None
    assert running.keeper.streams.enter("192.0.2.1") is None

    async def send(message: Any) -> None:
        raise OSError

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        asyncio.run(RunEvents(site, run_id, "192.0.2.1")(scope, receive, send))
    assert len(running.keeper.streams) == 0


# --- words --------------------------------------------------------------------------------------------------------

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"state": State.QUEUED}, "No run before it."),
        ({"state": State.QUEUED, "before": 1}, "1 run before it."),
        ({"state": State.QUEUED, "started": NOON, "before": 2},
         "It was interrupted and goes on where it stopped. 2 runs before it."),
        ({"state": State.RUNNING}, "It is starting: data and libraries are being loaded."),
        ({"state": State.RUNNING, "cancelling": True, "total": 9}, "It is being stopped."),
        ({"state": State.RUNNING, "total": 9, "done": 0}, "0 of 9 trials done."),
        ({"state": State.RUNNING, "total": 9, "done": 4, "seconds_left": 65.2}, "4 of 9 trials done, 1 min 05 s left."),
        ({"state": State.RUNNING, "total": 9, "done": 9, "seconds_left": 0},
         "9 of 9 trials done; the report is being written."),
        ({"state": State.DONE, "started": NOON, "finished": NOON + dt.timedelta(seconds=100)},
         "It is finished, 1 min 40 s after it started."),
        ({"state": State.FAILED, "message": "trial x failed: no luck"}, "trial x failed: no luck."),
        ({"state": State.CANCELLED, "message": "It was cancelled."}, "It was cancelled."),
    ],
)  # fmt: skip
def test_the_sentence(values: dict[str, Any], sentence: str) -> None:
    before = values.pop("before", 0)
    run = AskedRun(**{"id": "x", "slug": "a", "preset": "smoke", "owner": "o", "cancelling": False, "requested": NOON,
                      **values})  # fmt: skip
    assert run_view(run, None, before).sentence == sentence
