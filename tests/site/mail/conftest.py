"""A mail server, and a store whose mail goes to it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database

from .servers import MailServer, mail_server


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, store_url: URL, server: MailServer) -> SiteSettings:
    return SiteSettings(
        home=tmp_path,
        database_url=store_url.render_as_string(hide_password=False),
        base_url="https://papers.example.org",
        mail_url=server.url(),
        mail_from="Our papers <feed@example.org>",
    )


@pytest.fixture
def store(settings: SiteSettings) -> Iterator[Database]:
    """The store of the settings, open."""
    with Database(settings.database) as opened:
        yield opened


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate made here, and of a client that trusts it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    key, made = folder / "key.pem", folder / "certificate.pem"
    call = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(made)]  # fmt: skip
    subprocess.run(call, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made, key)
    return server, ssl.create_default_context(cafile=str(made))
