"""Digests as files, to be looked at before anybody gets one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cenote.errors import StorageError
from cenote.site.mail.digest import Content
from cenote.site.mail.messages import Letters
from cenote.site.mail.outbox import Mail, MailKind
from cenote.site.mail.policy import POLICY
from cenote.site.settings import SiteSettings

READER = "reader@example.org"
"""Who the examples are for."""

_NO_TOKEN = "this-is-an-example"


def write_preview(folder: Path, settings: SiteSettings, issues: Iterable[tuple[Content, dt.date]]) -> Iterator[Path]:
    """Write each digest as the mail (``.eml``) and as its two parts (``.txt``, ``.html``); yield the files.

    Its links work, but the one that unsubscribes: it is nobody's.

    Args:
        folder: Made if it is not there.
        settings: The site's address, and who its mail comes from.
        issues: What each tells, and its day.

    Raises:
        StorageError: If the folder cannot be written.
    """
    letters = Letters(settings if settings.mail_from else settings.model_copy(update={"mail_from": READER}))
    now = dt.datetime.now(dt.UTC)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (content, day) in enumerate(issues, start=1):
            mail = Mail(0, MailKind.DIGEST, READER, 0, day, content.as_json(), f"example.{number}", 0, now)
            message = letters.digest(mail, _NO_TOKEN, now)
            text, html = message.get_body(("plain",)), message.get_body(("html",))
            assert text is not None
            assert html is not None
            name = "-".join([f"{number:02}", content.frequency, *re.findall("[a-z0-9]+", content.scope.name.lower())])
            parts = {"txt": text.get_content(), "html": html.get_content()}
            for ending, part in parts.items():
                path = folder / f"{name[:60]}.{ending}"
                path.write_text(part, encoding="utf-8")
                yield path
            path = folder / f"{name[:60]}.eml"
            path.write_bytes(message.as_bytes(policy=POLICY))
            yield path
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from None
