"""Settings of the site: the ``CENOTE_*`` variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError as NotAnAddress

from cenote.errors import ArgumentError

SHORTEST_SECRET = 32
"""Characters."""


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

    @property
    def database(self) -> URL:
        """Where the store is."""
        if self.database_url is None:
            return URL.create("sqlite", database=str(self.home / "cenote.sqlite3"))
        url = make_url(self.database_url.get_secret_value())
        return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


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
