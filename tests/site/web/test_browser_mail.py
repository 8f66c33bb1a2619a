"""Papers by mail in Chromium: subscribe, confirm, digest, unsubscribe, with JavaScript and without.

``CENOTE_SCREENSHOTS=FOLDER`` keeps pictures of the mails.
"""

from __future__ import annotations

import datetime as dt
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
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import subscriptions
from cenote.site.store.saving import save_papers

from .chromium import NEEDS_CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SUMMARY = (
    "We look at what a pool keeps of a wave. A layer with one parameter keeps more of it than mean and maximum, "
    "at no cost that we could measure, on three data sets and two networks."
)
BEFORE_THE_RESULTS = dt.date(2026, 11, 20)
"""A subscription whose last digest is as old is told of the results that the package has."""


@dataclass(frozen=True)
class Served:
    """A server, and what belongs to it."""

    address: str
    home: Path
    environment: dict[str, str]

    def mail_to(self, address: str) -> EmailMessage:
        """The mail to an address, once it is there; it is taken out."""
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            for path in (self.home / "mail").glob("*.eml"):
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if str(mail["To"]) == address:
                    path.unlink()
                    assert isinstance(mail, EmailMessage)
                    return mail
            time.sleep(0.05)
        raise AssertionError(f"no mail came to {address}")

    def send_digests(self) -> None:
        """Send what is due, as if the last digest had been a while ago and papers had come since."""
        yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
        some = [
            Paper(id=f"2611.{n:05}", title=title, summary=SUMMARY, featured=yesterday, upvotes=votes, author_count=n)
            for n, (title, votes) in enumerate({"What a Pool Keeps of a Wave": 41, "Filters That Forget": 7}.items(), 2)
        ]
        with Database(f"sqlite:///{self.home}/cenote.sqlite3") as database, database.write() as connection:
            save_papers(connection, some)
            connection.execute(update(subscriptions).values(issue=BEFORE_THE_RESULTS))
        command = [sys.executable, "-m", "cenote.cli", "digest"]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {
        "CENOTE_HOME": str(home),
        "CENOTE_DATABASE_URL": "",
        "CENOTE_BASE_URL": address,
        "CENOTE_MAIL_URL": f"file:{home / 'mail'}",
        "CENOTE_MAIL_FROM": "feed@example.org",
    }
    command = [sys.executable, "-m", "cenote.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert address in said, said
    yield Served(address, home, environment)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")


@pytest.mark.parametrize("javascript", [True, False], ids=["with-javascript", "without"])
def test_from_subscribing_to_unsubscribing(served: Served, browser: Browser, javascript: bool) -> None:
    reader = f"reader{int(javascript)}@example.org"
    context = browser.new_context(java_script_enabled=javascript)
    page = context.new_page()
    page.goto(served.address)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Subscribe").click()
    page.get_by_label("E-mail address").fill(reader)
    page.get_by_label("Every day that has something new").check()
    page.get_by_role("button", name="Subscribe").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Look into your mail"
    confirm = served.mail_to(reader)
    keep_pictures(browser, "confirm", confirm)
    page.goto(link_in(confirm, "confirm"))
    assert page.get_by_text("all papers, daily").is_visible()
    page.get_by_role("button", name="Yes, send them").click()
    assert page.get_by_role("heading", level=1).inner_text() == "You are subscribed"
    served.send_digests()
    digest = served.mail_to(reader)
    keep_pictures(browser, "digest", digest)
    open_mail(page, digest)
    page.get_by_role("link", name="What a Pool Keeps of a Wave").click()
    assert page.url.startswith(f"{served.address}/papers/2611.")
    page.goto(link_in(digest, "u"))
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading", level=1).inner_text() == "You are unsubscribed"
    served.send_digests()
    assert not list((served.home / "mail").iterdir())
    context.close()


def test_a_search_becomes_a_subscription(served: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{served.address}/search")
    page.get_by_role("searchbox").press_sequentially("order theory")
    page.get_by_role("link", name="Subscribe to this search").click()
    assert page.get_by_label("Papers found by “order theory”").is_checked()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    served: Served, browser: Browser, scheme: str, width: int
) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    reader = f"{scheme}{width}@example.org"
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()

    def check() -> None:
        page.evaluate(axe + "; 0")
        found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
        assert not wrong, page.url
        assert found["passes"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        heading = re.sub("[^a-z]+", "-", page.get_by_role("heading", level=1).inner_text().lower())
        keep_picture(page, f"page-{heading}-{scheme}-{width}")

    page.goto(f"{served.address}/subscribe?search=q%3D{'very' * 30}+long")
    check()
    page.get_by_label("E-mail address").fill("nobody")
    page.evaluate("document.querySelector('form.subscribe').noValidate = true")
    page.get_by_role("button", name="Subscribe").click()
    check()
    page.get_by_label("E-mail address").fill(reader)
    page.get_by_label("All papers").check()
    page.get_by_role("button", name="Subscribe").click()
    check()
    page.goto(link_in(served.mail_to(reader), "confirm"))
    check()
    page.get_by_role("button", name="Yes, send them").click()
    check()
    served.send_digests()
    digest = served.mail_to(reader)
    page.goto(link_in(digest, "u"))
    check()
    page.get_by_role("button", name="Unsubscribe").click()
    check()
    open_mail(page, digest)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


# --- mails --------------------------------------------------------------------------------------------------------


def link_in(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(rf"http://\S+/{kind}/\S+", body.get_content())
    assert found, body.get_content()
    return found[0]


def open_mail(page: Page, mail: EmailMessage) -> None:
    """Show a mail's HTML part, as a program that reads mail does."""
    body = mail.get_body(("html",))
    assert body is not None
    page.goto("about:blank")
    page.set_content(body.get_content())


def keep_pictures(browser: Browser, name: str, mail: EmailMessage) -> None:
    """Keep pictures of a mail, if they are wanted."""
    if not os.environ.get("CENOTE_SCREENSHOTS"):
        return
    for scheme in ("light", "dark"):
        for width in (360, 720):
            size = {"width": width, "height": 600}
            page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            open_mail(page, mail)
            keep_picture(page, f"{name}-{scheme}-{width}")
            page.close()


def keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("CENOTE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"mail-{name}.png", full_page=True)
