"""The text of a piece of HTML: paragraphs, list items, cells and code, and nothing that acts.

Tags are matched by one pattern that looks at each character a bounded number of times, so that
no input is slow; what does not match as a tag is text. Nothing is fetched, and no attribute is
read.
"""

from __future__ import annotations

import html
import re

_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})(?![a-zA-Z0-9])[^<>]*>|[^<]+|<", re.DOTALL
)
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_BLOCKS = frozenset(
    (
        "address", "article", "blockquote", "dd", "div", "dl", "dt", "figure", "h1", "h2", "h3",
        "h4", "h5", "h6", "hr", "ol", "p", "pre", "section", "table", "ul",
    )
)  # fmt: skip
_LINES = frozenset(("br", "li", "tr", "caption"))
_CELLS = frozenset(("td", "th"))
_UNSEEN = frozenset(("head", "script", "style", "template", "title"))
_DEPTH_MAX = 20  # of lists, in what is shown


def plain_text(source: str) -> str:
    """What a person sees of it, in lines."""
    if "<" not in source and "&" not in source:
        return _SPACES.sub(" ", source).strip()
    return _Text().read(source)


class _Text:
    """One pass over the tokens."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0  # line ends that wait for the next word
        self._space = False  # a space that waits for it
        self._lists: list[int] = []  # per open list: 0, or the number of the next item
        self._code = 0

    def read(self, source: str) -> str:
        at = 0
        while token := _TOKEN.match(source, at):
            at = token.end()
            name = (token.group(2) or "").lower()
            if name in _UNSEEN and not token.group(1):
                closing = re.compile(f"</{name}", re.IGNORECASE).search(source, at)
                at = closing.start() if closing else len(source)
            elif name:
                self._tag(name, opens=not token.group(1))
            elif not token.group().startswith("<!--"):
                self._say(html.unescape(token.group()))
        return "".join(self._parts).strip()

    def _tag(self, name: str, *, opens: bool) -> None:
        if name == "pre":
            self._fence(opens=opens)
        elif name in ("ul", "ol"):
            self._list(name, opens=opens)
        elif name == "li" and opens:
            self._item()
        elif name in _BLOCKS:
            self._break(2)
        elif name in _LINES:
            self._break(1, more=name == "br")
        elif name in _CELLS and opens and self._parts and not self._breaks:
            self._say(" | ")

    def _list(self, name: str, *, opens: bool) -> None:
        if opens:
            self._lists.append(1 if name == "ol" else 0)
        elif self._lists:
            self._lists.pop()
        self._break(1 if self._lists else 2)

    def _item(self) -> None:
        self._break(1)
        depth = min(len(self._lists), _DEPTH_MAX)
        mark = "- "
        if self._lists and self._lists[-1]:
            mark = f"{self._lists[-1]}. "
            self._lists[-1] += 1
        self._word("  " * max(0, depth - 1) + mark)
        self._space = False

    def _fence(self, *, opens: bool) -> None:
        if opens:
            self._break(2)
            self._word("```\n")
            self._code += 1
        elif self._code:
            self._code -= 1
            if not self._parts[-1].endswith("\n"):
                self._parts.append("\n")
            self._word("```")
            self._break(2)

    def _break(self, count: int, *, more: bool = False) -> None:
        if self._code:
            self._parts.append("\n")
        elif self._parts:
            self._breaks = min(self._breaks + count, 2) if more else max(self._breaks, count)
        self._space = False

    def _say(self, words: str) -> None:
        if self._code:
            self._word(words)
            return
        words = _SPACES.sub(" ", words)
        bare = words.strip(" ")
        if not bare:
            self._space = self._space or bool(words)
            return
        if (self._space or words[0] == " ") and self._parts and not self._breaks:
            bare = bare if self._parts[-1].endswith((" ", "\n")) else f" {bare}"
        self._word(bare)
        self._space = words[-1] == " "

    def _word(self, words: str) -> None:
        if self._breaks:
            self._parts.append("\n" * self._breaks)
            self._breaks = 0
        self._parts.append(words)
