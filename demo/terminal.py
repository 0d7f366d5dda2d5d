"""Runs a command in a terminal of its own, and keeps what stands on its screen at the end."""

from __future__ import annotations

import codecs
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

_TOKENS: Final = re.compile(
    r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|([^\x1b])"
)


class Screen:
    """Lines of characters with their styles; as much of a terminal as progress bars need."""

    def __init__(self) -> None:
        self._lines: list[list[tuple[str, str]]] = [[]]
        self._row = self._column = 0
        self._style = ""

    def feed(self, text: str) -> None:
        """Take in what a program wrote."""
        for match in _TOKENS.finditer(text):
            if match[3] is not None:
                self._put(match[3])
            elif match[2] == "m":
                self._style = "" if match[1] in {"", "0"} else f"{self._style}\x1b[{match[1]}m"
            elif match[2] == "A":
                self._row = max(0, self._row - int(match[1] or 1))
            elif match[2] == "K":
                start = 0 if match[1] == "2" else self._column
                del self._lines[self._row][start:]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row, self._column = self._row + 1, 0
            while len(self._lines) <= self._row:
                self._lines.append([])
        else:
            line = self._lines[self._row]
            line += [(" ", "")] * (self._column - len(line))
            line[self._column : self._column + 1] = [(character, self._style)]
            self._column += 1

    def ansi(self) -> str:
        """What stands there, with styles as escape sequences."""
        written: list[str] = []
        for line in self._lines:
            style = ""
            for character, own in line:
                if own != style:
                    written.append(f"\x1b[0m{own}")
                    style = own
                written.append(character)
            written.append("\x1b[0m\n" if style else "\n")
        return "".join(written).rstrip("\n")


def run(
    command: Sequence[str], environment: Mapping[str, str], width: int, *, live: bool
) -> tuple[int, str]:
    """Run a command; return its exit code and the screen it leaves, as ANSI text.

    Args:
        command, environment: what to run and with what.
        width: columns of its terminal.
        live: show everything on this program's terminal as it comes.
    """
    if sys.platform == "win32":  # no pseudo-terminals there: the plain lines of a pipe
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, check=False
        )
        print(done.stdout + done.stderr, end="") if live else None
        return done.returncode, (done.stdout + done.stderr).rstrip("\n")
    return _run_in_pty(command, environment, width, live=live)


def _run_in_pty(
    command: Sequence[str], environment: Mapping[str, str], width: int, *, live: bool
) -> tuple[int, str]:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    variables = {**environment, "COLUMNS": str(width), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    screen, decoder = Screen(), codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the other side has closed
            break
        if not data:
            break
        screen.feed(decoder.decode(data))
        if live:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    os.close(ours)
    return process.wait(), screen.ansi()
