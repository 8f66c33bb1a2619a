"""BibTeX of a paper."""

from __future__ import annotations

import re

from cenote.site.papers import Paper

_SPECIAL = re.compile(r"(?<!\\)([&%#])")


def bibtex(paper: Paper) -> str:
    r"""Return the entry of a paper, with no more than is known of it.

    Example:
        >>> print(bibtex(Paper(id="2412.06097", title="Order & Pooling", authors=("Eric Dolores",))), end="")
        @misc{arxiv-2412.06097,
          title = {{Order \& Pooling}},
          author = {Eric Dolores},
          eprint = {2412.06097},
          archiveprefix = {arXiv},
          url = {https://arxiv.org/abs/2412.06097}
        }
    """
    published = paper.published
    fields = {
        "title": f"{{{_tex(paper.title)}}}",
        "author": " and ".join(_name(name) for name in paper.authors or ()),
        "year": f"{published.year}" if published else "",
        "month": f"{published.month}" if published else "",
        "eprint": paper.id,
        "archiveprefix": "arXiv",
        "primaryclass": _tex(paper.categories[0]) if paper.categories and "/" not in paper.id else "",
        "doi": _tex(paper.doi or ""),
        "url": f"https://arxiv.org/abs/{paper.id}",
    }
    lines = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items() if text)
    return f"@misc{{arxiv-{paper.id.replace('/', '-')},\n{lines}\n}}\n"


def _tex(text: str) -> str:
    """Text for a field: titles are TeX already, but may hold signs that end the field or begin a comment."""
    text = " ".join(text.split())
    if not _balanced(text):
        text = text.replace("{", "").replace("}", "")
    text = text.rstrip("\\")  # which would escape the brace behind it
    return _SPECIAL.sub(r"\\\1", text)


def _name(name: str) -> str:
    name = _tex(name)
    return f"{{{name}}}" if " and " in f" {name.casefold()} " else name


def _balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0
