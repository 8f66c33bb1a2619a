"""Comments as HTML: what Markdown gives, and that nothing a reader writes becomes more than text and links."""

from __future__ import annotations

import time
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cenote.site.readers.markdown import LINK_REL, render_comment

# What may be in a page, said once more: this list is the independent answer.
ALLOWED = {
    "p": set(), "br": set(), "em": set(), "strong": set(), "s": set(), "code": set(), "pre": set(), "blockquote": set(),
    "ul": set(), "ol": {"start"}, "li": set(), "a": {"href", "rel"},
}  # fmt: skip

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='x' onerror='alert(1)'",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<form action=javascript:alert(1)><button>x",
    "<button formaction=javascript:alert(1)>x",
    "<isindex action=javascript:alert(1)>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<style><!--</style><img src=x onerror=alert(1)>-->",
    "<base href=//evil.example/>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<textarea><script>alert(1)</script></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><script>alert(1)</script></xmp>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><script>alert(1)</script>",
    "</div></article></main><h1>Taken over</h1>",
    "</textarea></form><script>alert(1)</script>",
    "<a href=javascript:alert(1)>x</a>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<p id=main class=button>x</p>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61script&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](javascript&NewLine;:alert(1))",
    "[x](javascript:https://example.org/%0aalert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://example.org/1)",
    "[x](//evil.example)",
    "[x](/sign-out)",
    "[x](\\\\evil.example)",
    "[x](?next=1)",
    "[x](#main)",
    "[x](http:evil)",
    "[x](https://example.org/\"onmouseover=alert(1)//)",
    "[x](https://example.org 'title\" onmouseover=\"alert(1)')",
    "[x](https://exa[mple.org)",
    "[x](https://[::1)",
    "[x\"><img src=x onerror=alert(1)>](https://example.org)",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![<img src=x onerror=alert(1)>](x)",
    "[x]: javascript:alert(1)\n\n[x]",
    "[x]: https://example.org \"><script>alert(1)</script>\"\n\n[x]",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<https://example.org/\"onmouseover=alert(1)>",
    "<a@b.cd\"onmouseover=alert(1)>",
    "# A heading that is none\n\nAnother\n=======",
    "```<script>\nalert(1)\n```",
    "```\"onmouseover=alert(1)\nx\n```",
    "`<script>alert(1)</script>`",
    "99999999999999999999. x",
    "1. <b>x</b>\n   <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "**<script>alert(1)</script>**",
    "\u202e<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<\u0000script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
]  # fmt: skip


def check(html: str) -> Element:
    """Parse as a browser does, and look at everything that came of it."""
    page = html5lib.parseFragment(html, namespaceHTMLElements=False)
    for each in page.iter():
        if each is page:
            continue
        assert isinstance(each.tag, str), "a comment of HTML"
        assert each.tag in ALLOWED, each.tag
        assert set(each.attrib) <= ALLOWED[each.tag], each.attrib
        if each.tag == "a":
            assert each.get("rel") == LINK_REL
            href = each.get("href")  # taken away where it is no address at all
            assert href is None or href.startswith(("https://", "http://", "mailto:")), href
        if each.tag == "ol" and "start" in each.attrib:
            assert each.attrib["start"].isdecimal()
    return page


def test_the_list_is_long_enough() -> None:
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("written", HOSTILE)
def test_nothing_hostile_becomes_more_than_text(written: str) -> None:
    page = check(render_comment(written))
    assert "".join(page.itertext()).strip() or "]:" in written  # it is shown, not swallowed


_SIGNS = list("*_`~[]()<>!#&\"'\\:;/=- \n\t|{}\x00")
_STARTS = [
    "](",
    "](<",
    "```",
    "> ",
    "- ",
    "1. ",
    "javascript:",
    "&#",
    "https://",
    "mailto:",
    "<!--",
    "<a href=",
    "onerror=",
]
_PIECES = st.sampled_from(HOSTILE + _SIGNS + _STARTS)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES | st.text(max_size=8), max_size=40).map("".join))
def test_nothing_made_of_hostile_pieces_does_either(written: str) -> None:
    check(render_comment(written))


@pytest.mark.parametrize(
    ("written", "html"),
    [
        ("*a* **b** ~~c~~ `d<e`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d&lt;e</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("```python\na < b\n```", "<pre><code>a &lt; b\n</code></pre>"),
        ("# a", "<p># a</p>"),
        ("a\n===", "<p>a<br>\n===</p>"),
        ("[a](https://b.example/?c=1&d=2)", f'<p><a href="https://b.example/?c=1&amp;d=2" rel="{LINK_REL}">a</a></p>'),
        ("<mailto:a@b.cd>", f'<p><a href="mailto:a@b.cd" rel="{LINK_REL}">mailto:a@b.cd</a></p>'),
        ("[a](/b)", "<p>[a](/b)</p>"),
    ],
)
def test_what_markdown_gives(written: str, html: str) -> None:
    assert render_comment(written) == html


@pytest.mark.parametrize("depth", [1, 5, 11, 12, 13, 37, 38, 39, 40, 41, 500])
@pytest.mark.parametrize("mark", ["> ", "- ", "1. ", "> - ", "- > 1. ", "*a ", "[", "**"])
def test_nothing_is_lost_however_deep_it_is_nested(mark: str, depth: int) -> None:
    written = f"first\n\n{mark * depth}the needle\n\n<last>"
    shown = "".join(check(render_comment(written)).itertext())
    assert all(word in shown for word in ("first", "the needle", "<last>"))


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "*",
        "_a__b",
        "> ",
        "- ",
        "`",
        "[a](<",
        "**a ",
        "<a@",
        "![",
        "[a](",
        "~~",
        "1. ",
        "\\",
        "&",
        "<!--",
        "\n> - 1. ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    written = (piece * 5_000)[:5_000]
    began = time.perf_counter()
    check(render_comment(written))
    assert time.perf_counter() - began < 3
