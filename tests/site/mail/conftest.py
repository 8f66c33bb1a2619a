"""A mail server, and a store whose mail goes to it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.tables import metadata

from .servers import MailServer, mail_server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A store of each kind with its tables, made once."""
    if request.param == "sqlite":
        url = URL.create("sqlite", database=str(tmp_path_factory.mktemp("store") / "store.sqlite3"))
        with Database(url):
            pass
        yield url
        return
    server: URL = request.getfixturevalue("postgresql")
    name = f"cenote_mail_{uuid.uuid4().hex[:8]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    with Database(server.set(database=name)) as database:
        yield database.url
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def store_url(migrated: URL, tmp_path: Path) -> Iterator[URL]:
    """An empty store, without making its tables anew for each of so many tests."""
    if migrated.get_backend_name() == "sqlite":
        yield URL.create("sqlite", database=str(shutil.copy(str(migrated.database), tmp_path / "store.sqlite3")))
        return
    engine = create_engine(migrated)
    with engine.begin() as connection:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    engine.dispose()
    yield migrated


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
    yield from opened(settings.database)


@pytest.fixture
def database(store_url: URL) -> Iterator[Database]:
    """An empty store."""
    yield from opened(store_url)


def opened(url: URL) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


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
