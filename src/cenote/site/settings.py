"""Settings of the site: the ``CENOTE_*`` variables."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError as NotAnAddress

from cenote.errors import ArgumentError

SHORTEST_SECRET = 32
"""Characters."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names by which a browser reaches a server on its own machine; no other machine can take them."""


class SiteSettings(BaseSettings):
    """Read from the environment; empty variables count as unset."""

    model_config = SettingsConfigDict(env_prefix="CENOTE_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default=Path("cenote-data"), description="Folder of the store, the encoder and the secret.")
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://… where several machines serve one site; SQLite in the home by default.",
    )
    base_url: str = Field(default="http://127.0.0.1:8000", description="The site's address, as readers write it.")
    contact: str = Field(default="", description="Address given to arXiv and the hub with every request.")
    secret: SecretStr | None = Field(
        default=None,
        description="What cookies and links are signed with, at least 32 characters; made once and kept in the home "
        "by default.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Names of this site besides that of the base URL, separated by commas.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed, separated by "
        "commas.",
    )
    operators: str = Field(
        default="",
        description="E-mail addresses of readers who may hide comments, block addresses and feature papers, separated "
        "by commas.",
    )
    mail_url: SecretStr | None = Field(
        default=None,
        description="Where mail goes: smtp://user:password@host:587 (STARTTLS), smtps://… (TLS), smtp+plain://… (a "
        "server on this machine), or file:FOLDER, which keeps each mail as a file. Without it nobody can sign in or "
        "subscribe.",
    )
    mail_from: str = Field(default="", description="The address that mail comes from; needed with CENOTE_MAIL_URL.")
    run_minutes: float = Field(default=180, gt=0, description="The longest a run that a reader started may take.")
    run_memory_gib: float = Field(default=8, gt=0, description="The most memory such a run may take.")

    @field_validator("database_url")
    @classmethod
    def _supported(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                kind = make_url(url.get_secret_value()).get_backend_name()
            except NotAnAddress:
                raise ValueError("it must be an address such as postgresql://user:password@host/name") from None
            if kind not in ("sqlite", "postgresql"):
                raise ValueError(f"it must begin with sqlite or postgresql, not {kind}")
            if kind == "sqlite" and make_url(url.get_secret_value()).database in (None, "", ":memory:"):
                raise ValueError("it must name a file, such as sqlite:////var/lib/cenote/cenote.sqlite3")
        return url

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"it must have at least {SHORTEST_SECRET} characters")
        return secret

    @field_validator("operators")
    @classmethod
    def _addresses(cls, operators: str) -> str:
        from cenote.site.readers.addresses import read_address

        for each in _listed(operators):
            read_address(each)
        return operators

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: str) -> str:
        for each in _listed(proxies):
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError:
                raise ValueError(f"{each!r} is no address or network such as 10.0.0.0/8") from None
        return proxies

    @property
    def hosts(self) -> frozenset[str]:
        """Names of this site, without ports: that of the base URL, those allowed besides, and this machine's own."""
        named = (urlsplit(self.base_url).hostname or "", *_listed(self.allowed_hosts))
        return frozenset({*(name.lower() for name in named if name), *LOOPBACK})

    @property
    def secure(self) -> bool:
        """Whether readers reach the site by TLS, so that its cookies may ask for it."""
        return self.base_url.startswith("https://")

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses and networks of trusted proxies."""
        return _listed(self.trusted_proxies)

    @property
    def operator_addresses(self) -> tuple[str, ...]:
        """Addresses of the operators, as they were written."""
        return _listed(self.operators)

    @property
    def database(self) -> URL:
        """Where the store is."""
        if self.database_url is None:
            return URL.create("sqlite", database=str(self.home / "cenote.sqlite3"))
        url = make_url(self.database_url.get_secret_value())
        return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_settings() -> SiteSettings:
    """Read the settings from the environment.

    Raises:
        ArgumentError: If a variable has a value that is not allowed; it is not repeated, since it may be secret.
    """
    try:
        return SiteSettings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise ArgumentError(f"CENOTE_{name}: {first['msg'].removeprefix('Value error, ')}") from None
