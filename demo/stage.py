"""What the demo is shown on: chapters, commands with what they print, and claims that hold."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import terminal
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

_WIDEST = 88
_FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


class ClaimError(Exception):
    """Something that the demo says does not hold."""


class Stage:
    """A person's terminal, and beside it, where asked for, a recording of it."""

    def __init__(self, home: Path, *, record: bool) -> None:
        """Make one; ``home`` is the folder in which everything happens."""
        self.home = home
        self.live = Console(highlight=False, emoji=False)
        width = min(self.live.width, _WIDEST) if self.live.is_terminal else _WIDEST
        self.live.width = width
        self._recorder: Console | None = None
        if record:
            self._recorder = Console(
                record=True, file=io.StringIO(), width=width, force_terminal=True,
                color_system="truecolor", highlight=False, emoji=False,
            )  # fmt: skip
        self.width = width
        self.claims = 0
        self._chapter = 0
        self._unrecorded = False

    @property
    def environment(self) -> Mapping[str, str]:
        """For programs of the demo: a home of its own, and no settings from outside."""
        kept = {name: value for name, value in os.environ.items() if "HAULOUT" not in name}
        return kept | {"HOME": str(self.home), "HAULOUT_HOME": str(self.vault)}

    @property
    def vault(self) -> Path:
        """The demo's vault."""
        return self.home / ".haulout"

    def show(self, *what: RenderableType, live: bool = True) -> None:
        """Print something; ``live=False``: only into the recording."""
        if live:
            self.live.print(*what)
        if self._recorder and not self._unrecorded:
            self._recorder.print(*what)

    @contextmanager
    def unrecorded(self) -> Generator[None]:
        """Leave something out of the recording, so that it stays short."""
        self._unrecorded = True
        try:
            yield
        finally:
            self._unrecorded = False

    def chapter(self, title: str, words: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self.show("")
        self.show(Rule(Text(f"{self._chapter}. {title}", "bold"), align="left", style="dim"))
        self.show(Text(words, "italic"))

    def code(self, file: Path) -> None:
        """Show a program."""
        shown = Syntax(file.read_text("utf-8").strip(), "python", theme="ansi_dark",
                       background_color="default", word_wrap=True)  # fmt: skip
        self.show(Padding(shown, (0, 0, 0, 2)))

    def run(self, command: str, *, expect: int = 0) -> str:
        """Run a `haulout` command or a program of the demo; return what it printed, plain."""
        self.show(Text.assemble(("$ ", "green bold"), (command, "bold")))
        program, *arguments = shlex.split(command)
        if program == "haulout":
            whole = [sys.executable, "-m", "haulout.cli", *arguments]
        else:
            own = Path(__file__).with_name(arguments[0])
            whole = [sys.executable, str(own), *arguments[1:]]
        watched = self.live.is_terminal
        code, screen = terminal.run(whole, self.environment, self.width, live=watched)
        text = Text.from_ansi(screen)
        if text.plain:
            self.show(text, live=not watched)
        self.claim(code == expect, f"`{command}` ends with {expect}", quiet=True)
        return text.plain

    def claim(self, holds: object, words: str, *, quiet: bool = False) -> None:
        """State something; stop the demo where it is not so.

        Raises:
            ClaimError: it does not hold.
        """
        if not holds:
            self.show(Text.assemble(("✗ ", "red bold"), words))
            raise ClaimError(words)
        if not quiet:
            self.claims += 1
            self.show(Text.assemble(("✓ ", "green bold"), words))

    def save(self, file: Path) -> None:
        """Write the recording as SVG, without fonts that would be fetched from elsewhere."""
        assert self._recorder, "asked to record"
        svg = self._recorder.export_svg(title="make demo", unique_id="haulout-demo")
        svg = _FONT_FACES.sub("", svg).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
        file.write_text(svg, "utf-8")
