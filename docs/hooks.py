"""What mkdocs asks for while it builds: the pages that are generated from cards and results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import generate
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from cenote.catalog import Shelf, load_cards, published
from cenote.catalog.results import RESULTS

ROOT = Path(__file__).resolve().parent.parent


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the papers into the navigation, by shelf."""
    assert config.nav is not None
    papers: list[object] = ["papers/index.md"]
    for shelf in Shelf:
        pages = [{card.slug: f"papers/{card.slug}.md"} for card in load_cards() if card.shelf == shelf]
        papers.append({generate.shelf_name(shelf): pages})
    config.nav = [entry for entry in config.nav if "Papers" not in entry] + [{"Papers": papers}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every paper, the index of papers, the changelog, and the figures of published results."""
    for path, content in _pages():
        files.append(File.generated(config, path, content=content))
    for path, source in _figures():
        files.append(File.generated(config, path, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the picture of the newest published result onto the start page."""
    if page.file.src_uri != "index.md":
        return markdown
    picture = generate.newest_picture(load_cards())
    return markdown.replace("<!-- picture -->", generate.index_picture(picture) if picture else "")


def _pages() -> Iterator[tuple[str, str]]:
    cards = load_cards()
    yield "changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    yield "papers/index.md", generate.papers_index(cards, generate.newest_results(cards))
    for card in cards:
        results = list(published(card.slug))
        newest = results[0] if results else None
        yield f"papers/{card.slug}.md", generate.paper_page(card, newest, earlier=results[1:])


def _figures() -> Iterator[tuple[str, Path]]:
    for card in load_cards():
        for result in published(card.slug):
            for figure in result.figures:
                source = RESULTS / card.slug / result.run_id / figure.file
                yield f"papers/{generate.figure_link(result, figure)}", source
