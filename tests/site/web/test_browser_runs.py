"""A run in Chromium, from the search to its report: with JavaScript and without, in both schemes, under axe-core."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .chromium import NEEDS_CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

TITLE = "Order Theory in the Context of Machine Learning"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

SERVE = """
from cenote.cli import main
from cenote.site.runs import keeper
whole = keeper.run_command
SMALLER = ["--set", "seeds=5", "--set", "train_images=100", "--set", "test_images=50", "--set", "epochs=1"]
def smaller(run, runs, progress):
    return [*whole(run, runs, progress), *(SMALLER if run.preset == "smoke" else ["--data", "mnist-5k"])]
keeper.RunKeeper.__init__.__kwdefaults__["command"] = smaller
main()
"""
"""``cenote``, whose runs are smaller than a reader's and need no data that is not installed."""

PATIENCE = 300_000.0
"""Milliseconds that a run may take; 20 seconds on an idle machine."""

SCREENSHOTS = os.environ.get("CENOTE_SCREENSHOTS")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server as ``cenote serve --allow-runs`` starts it."""
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"CENOTE_HOME": str(home), "CENOTE_DATABASE_URL": "", "CENOTE_OFFLINE": "1"}
    command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--allow-runs"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    yield found[0]
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")


def walk_to_the_paper(page: Page, server: str) -> None:
    page.goto(server)
    page.get_by_role("searchbox").fill("order theory")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name=TITLE).click()
    page.get_by_role("heading", name=TITLE, level=1).wait_for()


def wait_until(page: Page, expression: str) -> None:
    """Wait for what an expression says; Playwright's own way evaluates text in the page, which the policy forbids."""
    given_up = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < given_up, expression
        page.wait_for_timeout(50)


def start(page: Page, preset: str = "smoke") -> str:
    page.get_by_role("button", name=f"Run {preset}").click()
    page.wait_for_url(re.compile("/runs/[0-9a-f]{16}$"))
    return page.url


def open_report(page: Page) -> None:
    page.get_by_role("heading", name="Verdicts").wait_for(timeout=PATIENCE)
    assert "It is finished" in page.locator("[data-sentence]").inner_text()
    assert page.locator("progress").count() == 0
    assert page.locator("td .chip").count() >= 2
    page.get_by_role("link", name="Open the report").click()
    page.get_by_role("heading", name=TITLE).wait_for()
    assert page.locator("img").count() >= 1
    broken = page.locator("img").evaluate_all("all => all.filter(image => !image.naturalWidth).length")
    assert broken == 0


def test_from_the_search_to_the_report(server: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    walk_to_the_paper(page, server)
    start(page)
    loads: list[str] = []
    page.on("load", lambda loaded: loads.append(loaded.url))
    # Nothing but the events changes the page: the bar moves, and the words with it.
    wait_until(page, "document.querySelector('progress').value >= 2")
    assert not loads
    assert re.search(r"\d+ of \d+ trials done", page.locator("[data-sentence]").inner_text())
    assert "/seed-" in page.locator("[data-trial]").inner_text()
    assert "trials" in page.locator("[data-log]").inner_text()
    assert page.get_by_role("status").inner_text().endswith("running")
    if SCREENSHOTS:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=Path(SCREENSHOTS) / f"run-in-progress-{scheme}.png", full_page=True)
    first = page.locator("progress").evaluate("bar => bar.value")
    wait_until(page, f"!document.querySelector('progress') || document.querySelector('progress').value > {first}")
    open_report(page)
    assert not said
    page.close()


def test_without_javascript_the_page_loads_itself_again(server: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    walk_to_the_paper(page, server)
    run = start(page)
    page.wait_for_event("load", timeout=PATIENCE)
    assert page.url == run
    page.get_by_text(re.compile(r"[1-9]\d* of \d+ trials done|It is finished")).wait_for(timeout=PATIENCE)
    open_report(page)
    context.close()


def test_axe_finds_nothing_and_a_run_is_stopped(server: str, browser: Browser) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    walk_to_the_paper(page, server)
    paper, run = page.url, start(page, "laptop")
    wait_until(page, "document.querySelector('[data-chip]').textContent.includes('running')")
    for scheme in ("light", "dark"):
        for width in (360, 1280):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900})
            for address in (f"{server}/runs", run, paper):
                page.goto(address)
                check_with_axe(page, axe, width)
                if SCREENSHOTS:
                    name = {run: "run", paper: "paper-that-runs"}.get(address, "runs")
                    page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{scheme}-{width}.png", full_page=True)
    page.goto(run)
    page.get_by_role("button", name="Stop this run").click()
    page.get_by_text("It was cancelled.").wait_for(timeout=60_000)
    check_with_axe(page, axe, 1280)
    context.close()


def check_with_axe(page: Page, axe: str, width: int) -> None:
    page.evaluate(axe + "; 0")
    found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
    assert not wrong, page.url
    assert found["passes"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url


def test_a_server_ends_though_a_page_follows_a_run(browser: Browser, tmp_path: Path) -> None:
    environment = os.environ | {"CENOTE_HOME": str(tmp_path), "CENOTE_DATABASE_URL": ""}
    command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--allow-runs"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"http://\S+:\d+", process.stderr.readline())
    assert found
    page = browser.new_page()
    walk_to_the_paper(page, found[0])
    with page.expect_response(re.compile("/events$")) as answered:
        start(page)
    assert answered.value.status == 200
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    page.close()
