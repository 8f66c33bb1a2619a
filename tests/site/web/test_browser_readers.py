"""Readers in Chromium: from the link in a mail to the deleted account, without JavaScript too, and under axe-core."""

from __future__ import annotations

import email
import email.policy
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .chromium import NEEDS_CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

PAPER = "/papers/2412.06097"
LOOKS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]
OPERATORS = {look: f"olga-{look[0]}-{look[1]}@example.org" for look in LOOKS}
"""One for each look, since an address gets so many links an hour."""

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVIL = "<img src=x onerror=\"document.title='taken over'\"> *nice*, see [this](javascript:alert(1)) and [that](https://example.org)"
PAGES = [
    "/",
    PAPER,
    "/search?q=pooling",
    "/account",
    "/account/delete",
    "/account/deleted",
    "/operate",
    "/sign-in/sent",
    "/privacy",
]


@dataclass(frozen=True)
class Served:
    """A server, and the folder in which it puts its mails."""

    address: str
    mails: Path

    def link_for(self, address: str) -> str:
        """The link in the newest mail to an address, once it is there."""
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            for path in sorted(self.mails.glob("*.eml"), key=lambda each: each.stat().st_mtime, reverse=True):
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if address in str(mail["To"]):
                    path.unlink()
                    body = mail.get_body(("plain",))
                    assert body is not None
                    found = re.search(r"http://\S+/sign-in/\S+", body.get_content())
                    assert found
                    return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no mail came to {address}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "CENOTE_HOME": str(home),
        "CENOTE_DATABASE_URL": "",
        "CENOTE_BASE_URL": address,
        "CENOTE_MAIL_URL": f"file:{home / 'mail'}",
        "CENOTE_MAIL_FROM": "feed@example.org",
        "CENOTE_OPERATORS": ",".join(OPERATORS.values()),
    }
    command = [sys.executable, "-m", "cenote.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert address in said, said
    yield Served(address, home / "mail")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert all(line.startswith("operator olga-") for line in rest.splitlines()), rest


def sign_in(page: Page, served: Served, address: str) -> None:
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()
    page.goto(served.link_for(address))
    assert address in page.get_by_role("main").inner_text()
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("javascript", [True, False])
def test_sign_in_upvote_comment_delete_account(served: Served, browser: Browser, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    page.goto(served.address + PAPER)
    page.get_by_role("link", name="Sign in to vote").click()
    sign_in(page, served, f"ada-{javascript}@example.org".lower())
    page.wait_for_url(served.address + PAPER)  # where the reader came from

    button = page.get_by_role("button", name="upvote Order Theory in the Context of Machine Learning")
    assert (button.get_attribute("aria-pressed"), button.inner_text().split()[0]) == ("false", "0")
    for pressed, number in [("true", "1"), ("false", "0"), ("true", "1")]:
        button.click()
        page.locator(f"form.vote button[aria-pressed={pressed}]").wait_for()
        assert button.inner_text().split()[0] == number
        assert ("#paper-" in page.url) is not javascript  # in its place, or by way of the server
    page.goto(served.address)
    card = page.get_by_role("button", name="upvote Order Theory in the Context of Machine Learning")
    assert card.get_attribute("aria-pressed") == "true"

    page.goto(served.address + PAPER)
    page.get_by_label("Write a comment").fill(EVIL)
    page.get_by_role("button", name="Publish it").click()
    page.locator(".comment .said").wait_for()
    assert re.search(r"#comment-\d+$", page.url)
    comment = page.locator(".comment .said")
    assert comment.locator("img").count() == 0
    assert comment.locator("em").inner_text() == "nice"
    assert [each.get_attribute("href") for each in comment.locator("a").all()] == ["https://example.org"]
    assert page.title().startswith("Order Theory")

    page.locator("header.site a.who").click()
    page.get_by_label("The name beside your comments").fill("Ada")
    page.get_by_role("button", name="Change the name").click()
    assert page.locator("header.site a.who").inner_text() == "Ada"
    page.get_by_role("link", name="Delete your account").click()
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Delete my account").click()
    page.get_by_role("heading", name="Your account is deleted").wait_for()

    page.goto(served.address + PAPER)
    assert page.locator(".comment").count() == 0
    assert page.get_by_role("link", name="Sign in to vote").is_visible()
    assert "nice" not in page.get_by_role("main").inner_text().partition("Comments")[2]
    assert said == []
    context.close()


def test_a_session_that_ended_meanwhile_is_said(served: Served, browser: Browser) -> None:
    context = browser.new_context()
    page, other = context.new_page(), context.new_page()
    page.goto(f"{served.address}/sign-in")
    sign_in(page, served, "bob@example.org")
    page.goto(served.address + PAPER)
    other.goto(f"{served.address}/account")
    other.get_by_role("button", name="Sign out", exact=True).click()
    page.locator("form.vote button").click()
    page.get_by_role("heading", name="Forbidden").wait_for()
    assert "was not shown in this browser" in page.get_by_role("main").inner_text()
    context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_comment_in_an_old_form_is_sent_by_one_press_more(served: Served, browser: Browser, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page = context.new_page()
    reader = f"carla-{javascript}@example.org".lower()
    page.goto(f"{served.address}/sign-in")
    sign_in(page, served, reader)
    page.goto(served.address + PAPER)
    page.get_by_label("Write a comment").fill(f"By {reader}, in two tries")
    page.locator("form.write [name=csrf]").evaluate("field => field.value = 'too old'")
    page.get_by_role("button", name="Publish it").click()
    page.get_by_text("Nothing is lost").wait_for()
    assert page.get_by_label("Write a comment").input_value() == f"By {reader}, in two tries"
    page.get_by_role("button", name="Publish it").click()
    page.locator(".comment .said", has_text=f"By {reader}, in two tries").wait_for()
    context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    served: Served, browser: Browser, width: int, scheme: str
) -> None:
    import axe_playwright_python

    operator = OPERATORS[width, scheme]
    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()

    def check(name: str) -> None:
        page.evaluate(axe + "; 0")
        found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
        assert not wrong, name
        assert found["passes"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        folder = os.environ.get("CENOTE_SCREENSHOTS")
        if folder:
            path = (
                Path(folder) / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'front'}-{scheme}-{width}.png"
            )
            page.screenshot(path=path, full_page=name != "/")

    page.goto(f"{served.address}/sign-in")
    check("/sign-in")
    page.get_by_label("E-mail address").fill(operator)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()
    page.goto(served.link_for(operator))
    check("/sign-in/token")
    page.get_by_role("button", name="Sign in").click()
    page.goto(served.address + PAPER)
    if not page.locator(".comment").count():
        page.get_by_label("Write a comment").fill(
            f"{EVIL}\n\n> quoted\n\n- a\n- `b`\n\n```\ncode {'x' * 200}\n```\n" + "w" * 200
        )
        page.get_by_role("button", name="Publish it").click()
        page.goto(f"{served.address}/operate")
        page.get_by_label("E-mail address").fill("spam@example.org")
        page.get_by_role("button", name="Block it").click()
    for address in PAGES:
        page.goto(served.address + address)
        check(address)
    page.goto(f"{served.address}/account")
    page.locator("#name").fill("operator")
    page.get_by_role("button", name="Change the name").click()
    check("/account/name")
    context.close()
