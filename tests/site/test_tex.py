"""TeX as text: by hand for each construct, for any text, and on the records of arXiv where they are at hand."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.site.tex import plain
from cenote.site.tex_signs import SUPERSCRIPTS

ARXIV = Path(os.environ.get("CENOTE_DATA", "nowhere")) / "arxiv" / "arxiv-metadata.jsonl.zst"


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"A $\tilde{O}(n^2)$ algorithm", "A Õ(n²) algorithm"),
        (r"$\ell_{\infty}$ in $\mathbb R^d$, $\mathcal{O}(n\log n)$", "ℓ_∞ in ℝᵈ, O(n log n)"),
        (r"$n^{1+o(1)}$ and $x_{ij}$, $x_{\max}$, $e^{-x}$", "n¹⁺ᵒ⁽¹⁾ and xᵢⱼ, xₘₐₓ, e⁻ˣ"),
        (r"$a^{1/2}$, $a_{b,c}$, $f^Q$", "a^(1/2), a_(b,c), f^Q"),
        (r"$\frac{1}{2}$ $\frac{a+b}{c}$ $\sqrt{n}$ $\sqrt{n+1}$", "1/2 (a+b)/c √n √(n+1)"),
        (r"$a\leq b$, $x \in X$, $p<0.05$, $n-1$", "a ≤ b, x ∈ X, p<0.05, n−1"),
        (r"$\left(\frac{a}{b}\right)$ \(x^2\) \[y\] $$z$$", "(a/b) x² y z"),
        (r"\emph{one {\bf two}} \textbf{three} {\em four}", "one two three four"),
        (r"Erd\H{o}s, G\"odel and {\L}ukasiewicz", "Erdős, Gödel and Łukasiewicz"),
        (r"$\alpha$-stable, \beta-VAE, 90$^\circ$, 5\% of \$6", "α-stable, β-VAE, 90°, 5% of $6"),
        ("``quoted'' -- pages 1--5 --- so", "“quoted” – pages 1–5 — so"),
        # What stays as it was.
        (r"\cite{x}, \unknown{y} and $\begin{matrix}1\end{matrix}$", None),
        ("between $5 and $6", None),
        ("$one dollar", None),
        ("{BERT} and {braces}", None),
        ("serve --port 80, <!-- this -->, a'' b", None),
        (r"\textbf{never closed", None),
        ("ends in \\", None),
        (r"$x^{never}}$", None),
    ],
)
def test_each_construct(tex: str, text: str | None) -> None:
    assert plain(tex) == (tex if text is None else text)


@given(st.text(st.characters(exclude_characters="\\$`-")))
def test_text_without_tex_stays(text: str) -> None:
    assert plain(text) == text


PIECES = [
    "\\",
    "$",
    "{",
    "}",
    "^",
    "_",
    "\\frac",
    "\\sqrt",
    "[",
    "]",
    "\\emph",
    "\\em",
    "\\(",
    "\\)",
    "``",
    "--",
    "a",
    " ",
    "\\'",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=60).map("".join))
def test_any_text_has_an_answer(text: str) -> None:
    assert isinstance(plain(text), str)


@pytest.mark.parametrize(
    "piece", ["$", "{", "\\(", "\\em", "$x^{", "\\textbf{", "{\\em ", "\\frac{", "$x ", "``", "\\'{"]
)
def test_the_time_grows_with_the_length(piece: str) -> None:
    """Four times the text takes about four times the time: with squares in it, sixteen times."""

    def seconds(length: int) -> float:
        start = time.perf_counter()
        plain.__wrapped__(piece * length)
        return time.perf_counter() - start

    assert min(seconds(16_000) for _ in range(3)) < 9 * min(seconds(4_000) for _ in range(3)) + 0.02


def test_scripts_are_mapped_once() -> None:
    assert len(set(SUPERSCRIPTS)) == len(SUPERSCRIPTS)
    assert plain("$x^{" + "".join("0123456789") + "}$") == "x⁰¹²³⁴⁵⁶⁷⁸⁹"


@pytest.mark.skipif(not ARXIV.is_file(), reason="CENOTE_DATA has no arxiv")
def test_records_of_arxiv() -> None:
    import zstandard

    with ARXIV.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        records = [json.loads(line) for line in itertools.islice(lines, 5_000)]
    texts = [" ".join(record[name].split()) for record in records for name in ("title", "abstract")]
    with_tex = [text for text in texts if "\\" in text]
    left = [text for text in with_tex if "\\" in plain(text)]
    assert len(with_tex) > 500
    assert len(left) < 0.15 * len(with_tex)
    for text in texts:
        if not any(sign in text for sign in ("\\", "$", "--", "``")):
            assert plain(text) == text
