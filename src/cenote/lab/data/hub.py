"""Fetching a data set from the Hugging Face hub, failing soon where there is no network."""

from __future__ import annotations

from typing import Any

from cenote.catalog.settings import EnvironmentSettings
from cenote.errors import DataNotFoundError

_PROBE_SECONDS = 5.0


def fetch(repository: str, configuration: str) -> dict[str, Any]:
    """Return the pyarrow table of each split; the hub's client keeps its own cache of them.

    Args:
        repository: Owner and name.
        configuration: Name of the configuration.

    Raises:
        DataNotFoundError: If the hub is not reachable or does not have it; says why.
    """
    if EnvironmentSettings().offline:
        raise DataNotFoundError("the hub was not asked (CENOTE_OFFLINE is set)")
    import datasets

    # Offline mode answers at once, and from the client's cache if the data set is there.
    if not datasets.config.HF_HUB_OFFLINE:
        _probe(repository)
    try:
        splits = datasets.load_dataset(repository, configuration)
    except Exception as error:  # the client lets through what its transport, cache and builders raise
        raise DataNotFoundError(f"the hub gave no {repository} ({_reason(error)})") from error
    return {name: split.with_format("arrow")[:] for name, split in splits.items()}


def _probe(repository: str) -> None:
    """Knock once: ``load_dataset`` itself would retry for half a minute, and that cannot be set from outside."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(f"{constants.ENDPOINT}/datasets/{repository}", timeout=_PROBE_SECONDS)
    except Exception as error:  # the transport, and so its errors, differ between versions of the client
        raise DataNotFoundError(
            f"the hub cannot be reached ({_reason(error)}; a copy in its cache is read with HF_HUB_OFFLINE=1)"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
