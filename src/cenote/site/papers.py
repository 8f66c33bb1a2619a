"""A paper as the feed keeps it, whatever source it came from, and its identifier."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from cenote.errors import ArgumentError

_NEW = r"\d{4}\.\d{4,5}"
_OLD = r"[a-z]{1,10}(?:-[a-z]{1,10})?(?:\.[A-Z]{2})?/\d{7}"
_IDENTIFIER = re.compile(rf"({_NEW}|{_OLD})(v\d+)?", re.ASCII)
_AROUND = re.compile(r"^(?:https?://(?:www\.|export\.)?arxiv\.org/(?:abs|pdf)/|(?:oai:)?arxiv(?:\.org)?:)|\.pdf$", re.I)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_PRINTABLE = bytes(range(0x20, 0x7F))


def paper_id(text: str) -> str:
    """Return the arXiv identifier in a text, without its version.

    Reads ``2412.06097``, ``2412.06097v2``, ``arXiv:2412.06097``, ``oai:arXiv.org:2412.06097``, ``hep-th/9901001v1`` and
    addresses of abstract pages and PDFs.

    Raises:
        ArgumentError: If the text is not an identifier of one of these forms.
    """
    match = _IDENTIFIER.fullmatch(_AROUND.sub("", text.strip()))
    if match is None:
        raise ArgumentError(
            f"paper id must be an arXiv identifier such as 2412.06097 or hep-th/9901001, got {text!r:.80}"
        )
    return match[1]


def one_line(text: str) -> str:
    """Return the text on one line: white space collapsed, control characters (and lone surrogates) left out."""
    # Almost every text needs no more than this, and millions of records pass here: no pattern is matched against them.
    text = text.replace("\n", " ").strip()
    if "  " not in text and _is_printable(text):
        return text
    text = " ".join(text.split())
    return text if _is_printable(text) else " ".join(_CONTROL.sub("", text).split())


def _is_printable(text: str) -> bool:
    """Whether the text has no white space but spaces, and nothing that ``one_line`` leaves out."""
    # Four times as fast as str.isprintable, which looks every character up.
    return not text.encode().translate(None, _PRINTABLE) if text.isascii() else text.isprintable()


def _utc(moment: dt.datetime) -> dt.datetime:
    """A moment in UTC; one without a zone is taken to be in UTC already."""
    try:
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except OverflowError:
        raise ArgumentError(f"a moment must be between the years 1 and 9999 in UTC, got {moment}") from None


Line = Annotated[str, AfterValidator(one_line)]
Lines = Annotated[tuple[Annotated[Line, Field(max_length=1_000)], ...], Field(max_length=5_000)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
"""As large as both databases' integers."""
Moment = Annotated[dt.datetime, AfterValidator(_utc)]
Web = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\"'<>\\]+$", max_length=2_000)]
"""An address that may stand in a link: nothing but http(s), and nothing that ends an attribute."""


class Paper(BaseModel):
    """What a source says of one paper; None (or nothing) where it does not say, so that another source's word stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, AfterValidator(paper_id)] = Field(description="arXiv identifier without version.")
    title: Annotated[Line, Field(min_length=1, max_length=1_000)]
    summary: Annotated[Line, Field(max_length=20_000)] | None = Field(default=None, description="The abstract.")
    authors: Lines | None = Field(default=None, description="Names in the paper's order; None if they are not given.")
    author_count: Count | None = Field(default=None, description="Number of authors where names are not given.")
    published: Moment | None = Field(default=None, description="First version.")
    updated: Moment | None = Field(default=None, description="Latest version, or latest change of the record.")
    featured: dt.date | None = Field(default=None, description="Day on which a feed featured it.")
    categories: Lines = Field(default=(), description="arXiv categories, the primary one first.")
    keywords: Lines = ()
    organization: Annotated[Line, Field(max_length=300)] | None = None
    comment: Line | None = None
    journal_reference: Line | None = None
    doi: Line | None = None
    license: Line | None = None
    code_url: Web | None = None
    code_stars: Count | None = None
    project_url: Web | None = None
    upvotes: Count | None = Field(default=None, description="Votes at the source.")
    comments: Count | None = Field(default=None, description="Comments at the source.")
    submitted_by: Line | None = None

    @property
    def day(self) -> dt.date | None:
        """The day under which the feed shows it: when it was featured, else when it was submitted."""
        return self.featured or (self.published.date() if self.published else None)
