"""Addresses of the site, whole, as programs and feed readers need them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from cenote.site.settings import SiteSettings


class Links:
    """The addresses under one base."""

    def __init__(self, settings: SiteSettings) -> None:
        self.base = settings.base_url.rstrip("/")

    def to(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return the whole address of a path."""
        return self.base + path + (f"?{urlencode(query)}" if query else "")

    def paper(self, paper_id: str) -> str:
        """Return the address of a paper's page."""
        return self.to(f"/papers/{quote(paper_id)}")

    def claim(self, paper_id: str, claim: str, data: str) -> str:
        """Return the permanent address of a claim on its paper's page."""
        return f"{self.paper(paper_id)}#{quote(f'claim-{claim}-{data}')}"

    def result(self, paper_id: str, run_id: str) -> str:
        """Return the address of a published result with every number of it."""
        return f"{self.paper(paper_id)}/results/{quote(run_id)}.json"

    def tag(self, name: str) -> str:
        """Return a name that stays the same when scheme, port or folder of the site change (RFC 4151)."""
        return f"tag:{urlsplit(self.base).hostname or 'localhost'},2026:{name}"
