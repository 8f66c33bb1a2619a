"""The command line: verbs only; what they do stands in the catalog and the lab, imported when it is needed."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cenote import __version__
from cenote.errors import CenoteError

Runs = Annotated[Path | None, typer.Option("--runs", help="Folder of runs; CENOTE_RUNS or ./runs by default.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of data sets; CENOTE_DATA by default.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Trials side by side; the number of cores by default.")]
Slug = Annotated[str, typer.Argument(help="The paper's slug or arXiv id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SITE = {
    "import": (
        "Bring papers into the feed, from a file or from what is new on the net.",
        "cenote.site.commands:import_papers",
    ),
    "backup": (
        "Write a copy of the feed's store to a file, also while it is written to.",
        "cenote.site.commands:back_up",
    ),
    "restore": (
        "Put a backup in the place of the feed's store, which is kept beside it.",
        "cenote.site.commands:restore",
    ),
    "digest": (
        "Send the digests that are due: each once, however often this is called.",
        "cenote.site.mail.commands:digest",
    ),
    "bounced": (
        "Read a mail that came back, or one that unsubscribes; for the mail server.",
        "cenote.site.mail.commands:bounced",
    ),
}
"""The site's commands: help, and the function that is the command."""


class _Commands(typer.core.TyperGroup):
    """The verbs, and the commands of the site and those that cards declare, whose code is imported when one is called.

    Any error a user can cause is one sentence and exit code 2.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        from cenote.catalog.commands import declared

        return [*super().list_commands(ctx), *_SITE, *sorted(declared())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from cenote.catalog.commands import Deferred, mounted

        if cmd_name in _SITE:
            help_text, target = _SITE[cmd_name]
            return Deferred(cmd_name, help_text, target, extra="site")
        return super().get_command(ctx, cmd_name) or mounted(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted; the same command goes on with what was under way")
            raise typer.Exit(130) from None
        except CenoteError as error:
            _say(str(error))
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def main() -> None:
    """Run the command line."""
    app()


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"cenote: {sentence}")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cenote {__version__}")
        raise typer.Exit


@app.callback()
def cenote(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Papers about pooling and filtering, to use, to check and to read."""


@app.command()
def papers(
    query: Annotated[list[str] | None, typer.Argument(help="Words to look for; all papers if left out.")] = None,
    shelf: Annotated[str | None, typer.Option(help="Only this shelf.")] = None,
    as_json: AsJson = False,
) -> None:
    """List papers, newest first; with words to look for, those in which all of them occur, best match first."""
    from cenote.catalog.terminal import damage, find_papers, papers_table, shelf_named

    words = " ".join(query or [])
    found = find_papers(words, None if shelf is None else shelf_named(shelf))
    if as_json:
        _print_json([entry.facts() for entry in found])
    else:
        Console().print(papers_table(found, words))
    if sentence := damage(found):
        _say(sentence)


@app.command()
def show(slug: Slug, as_json: AsJson = False) -> None:
    """Show what a paper claims, and what was measured."""
    from cenote.catalog import get_card, latest
    from cenote.catalog.terminal import paper_page

    card = get_card(slug)
    result = latest(card.slug)
    if as_json:
        verdicts = [verdict.model_dump(mode="json") for verdict in result.verdicts] if result else []
        _print_json({**card.model_dump(mode="json"), "result": result and result.run_id, "verdicts": verdicts})
    else:
        Console().print(paper_page(card, result))


@app.command()
def run(
    slug: Slug,
    preset: Annotated[str, typer.Option(help="tiny, smoke, laptop or paper.")] = "smoke",
    data: Annotated[list[str] | None, typer.Option(help="Data set in place of the preset's; may be repeated.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the preset's.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file of settings.")] = None,
    data_root: DataRoot = None,
    runs: Runs = None,
    jobs: Jobs = None,
    fresh: Annotated[bool, typer.Option(help="Start anew though an unfinished run is there.")] = False,
    publish: Annotated[bool, typer.Option(help="Publish the finished run as a result of the package.")] = False,
    progress: Annotated[
        Path | None, typer.Option(help="File to which the progress is appended as JSON lines, for other programs.")
    ] = None,
) -> None:
    """Measure a paper's claims; an interrupted run goes on where it stopped."""
    from cenote.catalog import get_running_card
    from cenote.catalog.shelves import needing

    card = get_running_card(slug)
    with needing(card.shelf):
        from cenote.lab.progress import ProgressFile
        from cenote.lab.terminal import report_missing, report_progress, run_and_show, settings_from

        overrides = settings_from(config, setting or [], data or [])
        file = ProgressFile(progress) if progress else None
        with report_missing(file), report_progress(jobs, file) as on_progress:
            folder = run_and_show(
                card,
                preset,
                overrides=overrides,
                root=runs,
                data_root=data_root,
                jobs=jobs,
                fresh=fresh,
                publishing=publish,
                on_progress=on_progress,
                shows_root=file is None,
            )
        if file:
            file.finish(folder)


@app.command()
def verify(slug: Slug, runs: Runs = None, data_root: DataRoot = None, jobs: Jobs = None) -> None:
    """Run a published result anew and compare; exit code 1 if a verdict is reversed."""
    from cenote.catalog import get_running_card
    from cenote.catalog.shelves import needing

    card = get_running_card(slug)
    with needing(card.shelf):
        from cenote.lab.terminal import report_progress, verify_and_show

        with report_progress(jobs) as on_progress:
            reversed_ = verify_and_show(card, root=runs, data_root=data_root, jobs=jobs, on_progress=on_progress)
    raise typer.Exit(1 if reversed_ else 0)


@app.command()
def new(
    shelf: Annotated[str, typer.Argument(help="The shelf, such as pooling.")],
    slug: Annotated[str, typer.Argument(help="The paper's slug, such as order-theory.")],
    title: Annotated[str, typer.Option(help="The paper's title.")],
    arxiv: Annotated[str, typer.Option(help="Its arXiv id, such as 2412.06097.")],
    published: Annotated[str, typer.Option(help="Day of its first version, YYYY-MM-DD.")],
    authors: Annotated[int, typer.Option(min=1, help="Number of authors.")],
) -> None:
    """Write the skeleton of a paper's room into this checkout."""
    from cenote.catalog.scaffold import write_skeleton

    for path in write_skeleton(shelf, slug, title=title, arxiv=arxiv, published=published, authors=authors):
        typer.echo(path)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    allow_runs: Annotated[
        bool, typer.Option("--allow-runs", help="Let readers start runs on this machine from a paper's page.")
    ] = False,
) -> None:
    """Serve the feed of papers as a web site."""
    from cenote.catalog.shelves import needing

    gc.disable()  # what is loaded here stays, and looking through it for garbage is a tenth of the start
    try:
        with needing("site"):
            from cenote.site import serving

            serving.serve(
                host,
                port,
                allow_runs=allow_runs,
                on_ready=lambda address: _say(f"the feed is at {address}; Ctrl-C ends it"),
            )
    finally:
        gc.enable()


@app.command()
def doctor(data_root: DataRoot = None) -> None:
    """Say what is installed, which data sets are found, and whether cards and results are sound."""
    from cenote.lab.doctor import examine

    table, sound = examine(data_root)
    Console().print(table)
    raise typer.Exit(0 if sound else 1)


@app.command()
def embed(
    limit: Annotated[int | None, typer.Option(min=1, help="Papers at most; all by default.")] = None,
    watch: Annotated[bool, typer.Option(help="Go on with papers that come later, until interrupted.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the encoder.")] = 1,
    export: Annotated[bool, typer.Option(help="Export the encoder anew though it is there.")] = False,
) -> None:
    """Turn search by meaning on: export the encoder once, and give papers their vectors; resumes where it stopped."""
    from cenote.catalog.shelves import needing

    with needing("site"):
        from cenote.site.embedding.terminal import embed as embed_all

        embed_all(limit=limit, watch=watch, threads=threads, export=export)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
