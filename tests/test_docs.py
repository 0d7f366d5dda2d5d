"""What the pages say is there: files, headings, errors, verbs, and the tree that is drawn."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haulout import errors

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "haulout"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TO_COME = "to come"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)")
ERRORS = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, Exception)]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as a link names them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def broken_links(page: Path) -> Iterator[str]:
    for name, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target = page.parent / name if name else page
        if not target.exists():
            yield f"{page.relative_to(ROOT)}: {name} is not there"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{page.relative_to(ROOT)}: {name}#{anchor} is no heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_control_broken_links_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](gone.md) [b](#a-title) [c](page.md#no) [d](https://x.y/z)\n")
    assert list(broken_links(page)) == [
        "page.md: gone.md is not there",
        "page.md: page.md#no is no heading",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(page: Path) -> None:
    missing = []
    for name, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", page.read_text("utf-8")):
        path = ROOT / name
        if not path.exists() or (test and f"def {test}(" not in path.read_text("utf-8")):
            missing.append(f"{name}::{test}")
    assert missing == []


def test_pages_that_the_source_names_exist() -> None:
    named = {
        (str(path.relative_to(ROOT)), name.rstrip("."))
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"\bdocs/[\w./-]+", path.read_text("utf-8"))
    }
    missing = [pair for pair in named if not (ROOT / pair[1]).exists() and not decision(pair[1])]
    assert sorted(missing) == []


def decision(name: str) -> bool:
    """`docs/adr/0003` names a decision by its number."""
    return bool(re.fullmatch(r"docs/adr/\d{4}", name) and list(ROOT.glob(f"{name}-*.md")))


# --- the tree and the tables of the architecture page --------------------------------------


def drawn_tree() -> list[tuple[str, bool]]:
    """Each entry under src/haulout/ with whether it is still to come."""
    blocks = [text for _, text in FENCE.findall(ARCHITECTURE.read_text("utf-8"))]
    tree = next(text for text in blocks if text.startswith("src/haulout/"))
    entries = re.findall(r"^  ([\w./]+) +(.*)$", tree, re.MULTILINE)
    return [(name, words.endswith(TO_COME)) for name, words in entries]


ABOUT_TO_BE_WRITTEN = {"operations.py", "cli/"}
"""Drawn as present, written last; one that is missing is skipped."""


@pytest.mark.parametrize(("name", "to_come"), drawn_tree(), ids=str)
def test_the_drawn_tree_is_the_tree(name: str, to_come: bool) -> None:  # noqa: FBT001
    there = (SOURCE / name).exists()
    if not there and name in ABOUT_TO_BE_WRITTEN:
        pytest.skip(f"{name} is not there yet")
    assert there != to_come, f"{name}: draw it as it is in docs/architecture.md"


def test_everything_in_the_package_is_drawn() -> None:
    drawn = {name.rstrip("/") for name, _ in drawn_tree()}
    present = {
        p.name for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert present - drawn - {"version.py", "__main__.py"} == set()


def test_files_named_on_the_architecture_page_exist() -> None:
    names = set(re.findall(r"\b[a-z_]+/[a-z_]+\.py\b", ARCHITECTURE.read_text("utf-8")))
    units = {name for name in names if (SOURCE / name.partition("/")[0]).is_dir()}
    assert {name for name in units if not (SOURCE / name).exists()} == set()


# --- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_described_and_named_as_one(error: type[Exception]) -> None:
    assert vars(error).get("__doc__")
    assert error.__name__.endswith("Error")


def test_the_drawn_tree_of_errors_is_the_tree_of_classes() -> None:
    def drawn() -> Iterator[tuple[str, str]]:
        above: list[tuple[int, str]] = []
        for line in inspect.getdoc(errors).splitlines():
            if found := re.match(r"( *[│├└─ ]*)(\w+Error)\b", line):
                indent, name = len(found[1]), found[2]
                while above and above[-1][0] >= indent:
                    above.pop()
                if above:
                    yield name, above[-1][1]
                above.append((indent, name))

    bases = {(e.__name__, e.__base__.__name__) for e in ERRORS if e is not errors.HauloutError}
    assert set(drawn()) == bases


# --- the command line ----------------------------------------------------------------------


def shown_commands() -> set[str]:
    """`recall` or `model install`: each command that a console block or an error shows."""
    blocks = [text for page in PAGES for kind, text in FENCE.findall(page.read_text("utf-8"))
              if kind == "console"]  # fmt: skip
    lines = re.findall(r"^\$ haulout ([a-z][a-z -]*)", "\n".join(blocks), re.MULTILINE)
    lines += re.findall(r"`haulout ([a-z]+(?: [a-z]+)*)", (SOURCE / "errors.py").read_text("utf-8"))
    return {line.partition(" -")[0].strip() for line in lines}


def help_of(command: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import haulout.cli as c; c.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *command.split(), "--help"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("command", sorted(shown_commands()))
def test_commands_that_are_shown_exist(command: str) -> None:
    if not (SOURCE / "cli" / "__init__.py").exists():
        pytest.skip("there is no command line yet")
    words = command.split()
    verb = " ".join(words[: 2 if words[0] == "model" else 1])
    assert help_of(verb).returncode == 0, f"`haulout {command}` is shown, but there is no such verb"


def test_control_a_verb_that_does_not_exist_is_reported() -> None:
    if not (SOURCE / "cli" / "__init__.py").exists():
        pytest.skip("there is no command line yet")
    assert help_of("frobnicate").returncode != 0
