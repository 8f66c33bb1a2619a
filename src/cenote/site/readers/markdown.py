"""Comments as HTML: a little of Markdown, and nothing that could do more than be read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nh3
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

TAGS = frozenset({"p", "br", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"})
"""What a comment may consist of: no pictures, since others would learn who reads, and no headings of its own."""

SCHEMES = frozenset({"http", "https", "mailto"})
"""Where a link may go."""

LINK_REL = "nofollow ugc noopener"
"""What is said of every link: that a reader wrote it, and that it is no recommendation of the site's."""

_DEEPEST = 40
"""Levels of quotations and lists; the parser would leave out what is nested deeper."""


def render_comment(text: str) -> Markup:
    """Return a comment as HTML that may stand in a page.

    Two walls, of which either would do: the parser writes no HTML that a text brings along, and what it writes passes
    a list of what is allowed. Quotations and lists that are nested deeper than anybody reads are shown as they were
    written.

    Example:
        >>> print(render_comment("*Nice*, but <b>why</b>?"))
        <p><em>Nice</em>, but &lt;b&gt;why&lt;/b&gt;?</p>
    """
    html = nh3.clean(
        _html(text),
        tags=set(TAGS),
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},  # without the first, title and lang of all tags
        link_rel=LINK_REL,
        url_schemes=set(SCHEMES),
        url_relative="deny",
    )
    return Markup(html.strip())


def _html(text: str) -> str:
    environment: dict[str, object] = {}
    tokens = _parser().parse(text, environment)
    # What opens on the last level has nothing in it any more.
    if any(each.nesting == 1 and each.level >= _DEEPEST - 1 for each in tokens):
        return f"<p>{escape(text)}</p>".replace("\n", "<br>\n")
    return str(_parser().renderer.render(tokens, _parser().options, environment))


def _leads_somewhere(url: str) -> bool:
    """Whether an address stands for itself; one that begins with a slash would seem to be the site's own."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.path if parts.scheme == "mailto" else parts.netloc)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # its sixty modules are something that the site's start need not wait for

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _DEEPEST})
    parser.validateLink = _leads_somewhere  # type: ignore[method-assign]
    parser.enable("strikethrough")
    parser.disable(["image", "heading", "lheading", "hr", "reference", "html_block", "html_inline"])
    return parser
