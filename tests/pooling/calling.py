"""Calls a paper's command as a person would, through the command line."""

from __future__ import annotations

from dataclasses import dataclass

from typer.testing import CliRunner, Result

from cenote.cli import app


@dataclass(frozen=True)
class Verb:
    """One command of ``cenote``."""

    name: str
    columns: int = 100
    """Width of the terminal."""

    def invoke(self, *arguments: str, given: str | None = None) -> Result:
        """Call it, with what is given on standard input."""
        return CliRunner(env={"COLUMNS": str(self.columns)}).invoke(app, [self.name, *arguments], input=given)

    def call(self, *arguments: str) -> str:
        """Return what is printed by a call that must succeed."""
        outcome = self.invoke(*arguments)
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    def refused(self, *arguments: str) -> str:
        """Return the one sentence that a call is refused with, whatever the width of the terminal."""
        outcome = self.invoke(*arguments)
        assert outcome.exit_code == 2, outcome.output
        return " ".join(outcome.stderr.split())
