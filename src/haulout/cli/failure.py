"""Errors as a person or a program reads them, on standard error."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import click

from haulout.cli.screen import coloured, visible, wrapped
from haulout.errors import HauloutError

_INDENT = len("Error: ")


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells what went wrong: a message and what to do next, or one JSON document."""

    json: bool

    def error(self, error: HauloutError) -> None:
        """One of the library's own errors."""
        self.plain(type(error).__name__, error.message, error.hint, retry=error.retry)

    def usage(self, error: click.UsageError) -> None:
        """A command line that cannot be understood."""
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return
        path = error.ctx.command_path if error.ctx else "haulout"
        self.plain("UsageError", error.format_message(), f"See `{path} --help`.")

    def stopped(self) -> None:
        """Ctrl-C, or the end of what was to be typed."""
        if self.json:
            self.plain("Interrupted", "Stopped.")
        else:
            click.echo("Stopped.", err=True)

    def bug(self, error: Exception) -> None:
        """Something that Haulout did not foresee."""
        self.plain(
            type(error).__name__,
            f"This should not have happened ({type(error).__name__}: {error}).",
            "It is a mistake in Haulout. HAULOUT_TRACEBACK=1 shows where, for a report.",
        )

    def plain(self, name: str, message: str, hint: str = "", *, retry: bool = False) -> None:
        """A message with its hint."""
        if self.json:
            told = {"error": name, "message": message, "hint": hint, "retry": retry}
            click.echo(json.dumps(told, ensure_ascii=False).encode(), err=True)
            return
        colour = coloured(sys.stderr)
        head = click.style("Error:", fg="red", bold=True) if colour else "Error:"
        said = wrapped(visible(message), _INDENT, sys.stderr)
        click.echo(f"{head} {said}", err=True, color=colour)
        if hint:
            advice = wrapped(visible(hint), _INDENT, sys.stderr)
            click.echo(f"{'':{_INDENT}}{advice}", err=True)
