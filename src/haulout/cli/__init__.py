"""The command line: one module per verb, and `main`, where every error ends.

`main` is the one place that catches whatever comes up and turns it into a line on standard
error and an exit code (`exits`). Verbs build a value of `haulout.operations`, pass it to
`execute` and show what comes back; a module is loaded only when its verb is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import takewhile

from haulout.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:  # answered before anything else is loaded
        print(f"haulout {__version__}")  # noqa: T201
        sys.exit(0)
    try:
        sys.exit(_run(given))
    except KeyboardInterrupt:  # before a verb was reached, or while the last of it was told
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    import click

    from haulout.cli import exits, failure
    from haulout.cli.program import program
    from haulout.errors import HauloutError

    words = list(takewhile(lambda word: word != "--", arguments))
    tell = failure.Teller(json="--json" in words)
    try:
        # Verbs return an exit code, or None for 0; click returns that of --help and its like.
        code = program.main(args=arguments, prog_name="haulout", standalone_mode=False)
    except HauloutError as error:
        tell.error(error)
        return exits.exit_code(error)
    except click.UsageError as error:
        tell.usage(error)
        return exits.USAGE
    except click.ClickException as error:
        tell.plain(type(error).__name__, error.format_message())
        return exits.USAGE
    except (click.Abort, KeyboardInterrupt):
        tell.stopped()
        return exits.INTERRUPTED
    except Exception as error:
        if os.environ.get("HAULOUT_TRACEBACK"):
            raise
        tell.bug(error)
        return exits.FAILED
    return code if isinstance(code, int) else exits.OK
