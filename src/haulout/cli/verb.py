"""`Verb`: a click command that knows its examples, its exit codes and the options all share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from haulout.cli import exits
from haulout.cli.session import Session

_EVERY_VERB = (exits.OK, exits.FAILED, exits.USAGE, exits.UNUSABLE, exits.DAMAGED, exits.STORAGE)


def _note_vault(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Session).vault = value


def _note_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Session).json = True


def shared_options() -> list[click.Parameter]:
    """`--vault` and `--json`, which stand before the verb or behind it."""
    return [
        click.Option(
            ["--vault"],
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="The vault.  [default: $HAULOUT_HOME or ~/.haulout]",
            callback=_note_vault,
            expose_value=False,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Answer with one JSON document; errors are JSON on standard error.",
            callback=_note_json,
            expose_value=False,
        ),
    ]


def write_exits(formatter: click.HelpFormatter, codes: Sequence[int]) -> None:
    """The section on exit codes."""
    with formatter.section("Exit codes"):
        formatter.write_dl([(str(code), exits.MEANINGS[code]) for code in codes])


class Verb(click.Command):
    """One verb. Its help ends with examples and with the exit codes it may give."""

    def __init__(
        self, *args: Any, examples: Sequence[str], also: Sequence[int] = (), **settings: Any
    ) -> None:
        """Make one; ``examples`` are command lines, ``also`` exit codes beside the usual."""
        settings["params"] = [*(settings.get("params") or ()), *shared_options()]
        super().__init__(*args, **settings)
        self.examples = examples
        self.exit_codes = sorted({*_EVERY_VERB, exits.INTERRUPTED, *also})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and exit codes."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        write_exits(formatter, self.exit_codes)
