"""`haulout import`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.interchange import Report, SecretPolicy
    from haulout.vault import Vault

_NAMED = 5
_PROBLEMS = 10


@click.command(
    "import",
    cls=Verb,
    examples=(
        "haulout import chatgpt-export.zip --dry-run",
        "haulout import chatgpt-export.zip --namespace chats/chatgpt",
        "haulout import ~/.claude/projects --namespace work",
        "haulout import notes/ --secrets redact",
        "pbpaste | haulout import -",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, allow_dash=True))
@click.option("--namespace", "-n", default="default", show_default=True, metavar="NAME")
@click.option(
    "--keep-namespaces",
    is_flag=True,
    help="Lines of Haulout's own export go to the namespaces they name.",
)
@click.option(
    "--secrets",
    type=click.Choice(["keep", "redact", "skip"]),
    default="keep",
    show_default=True,
    help="Texts in which a password, key or card number stands.",
)
@click.option("--dry-run", is_flag=True, help="Read and report; write nothing.")
@click.option("--no-embed", is_flag=True, help="Leave vectors for later.")
@click.pass_obj
def command(
    session: Session,
    file: Path,
    namespace: str,
    keep_namespaces: bool,
    secrets: SecretPolicy,
    dry_run: bool,
    no_embed: bool,
) -> None:
    """Bring in FILE: what other assistants and agents know or have said.

    Read are the exports of ChatGPT, Claude, Gemini (Google Takeout), Grok and Copilot (CSV);
    transcripts and memory of Claude Code and Codex; memory pasted from an assistant; Markdown
    and JSON Lines.

    FILE is a file, a folder or a ZIP, or `-` for standard input; what stands in it decides what
    it is. Importing the same file again adds nothing, and a newer export of the same account
    only what is new. Speakers and times are kept, and everything left out is counted in the
    report.
    """
    from haulout.interchange import import_file

    def bring_in(
        remember_many: Callable[[Sequence[Mapping[str, Any]]], Sequence[object]],
    ) -> Report:
        what = "Reading" if dry_run else "Importing"
        with session.progress(what, unit="memories", keep=True) as report:
            return import_file(
                sys.stdin.buffer if file == Path("-") else file,
                remember_many,
                namespace=namespace,
                dry_run=dry_run,
                secrets=secrets,
                keep_namespaces=keep_namespaces,
                progress=None if report is None else lambda done: report(done, None),
            )

    with nullcontext() if dry_run else session.opened() as vault:
        found = bring_in(_nowhere if vault is None else _into(session, vault))
        embedded = 0
        if vault is not None and not no_embed:
            embedded = _embed(session, vault)
    answer = found.to_builtins() | {"embedded": embedded}
    session.answer(answer, lambda: _tell(found, embedded))


def _nowhere(_items: Sequence[Mapping[str, Any]]) -> Sequence[object]:
    return ()


def _into(
    session: Session, vault: Vault
) -> Callable[[Sequence[Mapping[str, Any]]], Sequence[object]]:
    from haulout.operations import RememberMany

    return lambda items: session.run(vault, RememberMany(items=[dict(one) for one in items]))


def _embed(session: Session, vault: Vault) -> int:
    from haulout.operations import CatchUp

    with session.progress("Learning the meaning", unit="memories", keep=True) as report:
        return session.run(vault, CatchUp(), progress=report)


def _tell(report: Report, embedded: int) -> None:
    new = screen.counted(report.sent if report.dry_run else report.added, "memory")
    of = f" from {screen.counted(report.conversations, 'conversation')}" * bool(
        report.conversations
    )
    head = "Would import" if report.dry_run else "Imported"
    screen.say(f"{head} {new}{of}.", bold=True)
    rows = [
        ("found", report.form),
        ("there already", _number(report.already_there)),
        ("  of them changed since", _number(report.differing)),
        ("time span", _span(report)),
        ("without a time", _number(report.times_missing)),
        ("speakers", _named(report.speakers)),
        ("left out", _named(report.left_out, most=len(report.left_out))),
        ("parts left out", _named(report.parts_dropped)),
        ("not understood", _named(report.not_understood)),
        ("secrets noticed", _named(report.secrets)),
        ("files not used", _number(report.files_unused_count)),
        ("embedded", _number(embedded)),
    ]
    screen.pairs(rows)
    if report.secrets and not report.dry_run:
        screen.note("Texts with secrets are kept as they are unless you say --secrets redact.")
    for problem in report.problems[:_PROBLEMS]:
        place = ", ".join(part for part in (problem.file, problem.position) if part)
        screen.warn(f"{place}: {problem.what}")
    more = report.problem_count - min(_PROBLEMS, len(report.problems))
    if more > 0:
        screen.warn(f"{screen.counted(more, 'more problem')}; --json lists them.")
    if report.dry_run:
        screen.note("Nothing was written. Without --dry-run it is brought in.")


def _number(count: int) -> str:
    return f"{count:,}" if count else ""


def _span(report: Report) -> str:
    if report.first is None or report.last is None:
        return ""
    return f"{screen.day(report.first)} to {screen.day(report.last)}"


def _named(counts: Counter[str], most: int = _NAMED) -> str:
    """`Ana 12, Bo 3 and 4 others`."""
    named = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(most))
    others = len(counts) - most
    return f"{named} and {screen.counted(others, 'other')}" if others > 0 else named
