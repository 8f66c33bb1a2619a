"""What the environment says: the ``CENOTE_*`` variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvironmentSettings(BaseSettings):
    """Read anew at each call, so that a program may set the variables itself; empty ones count as unset."""

    model_config = SettingsConfigDict(env_prefix="CENOTE_", env_ignore_empty=True, frozen=True)

    data: Path | None = Field(default=None, description="Folder of data sets.")
    runs: Path = Field(default=Path("runs"), description="Folder of runs.")
    offline: bool = Field(default=False, description="Never ask the hub for a data set.")
