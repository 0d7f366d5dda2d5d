"""Files are written in one module. What writes elsewhere stands here, with its reason.

The rule looks for calls by which Python makes or writes a file. Its control plants each of them.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import architecture
import pytest
from architecture import Module, Tree, dotted_name

SOURCE = Path(architecture.__file__).parent.parent / "src" / "haulout"

WRITES_FOR_A_REASON = {
    "storage.durable": "the one module that writes",
    "storage.filelock": "makes an empty lock file in place: a rename would make two locks of it",
    "database.lock": "a lock file, whose number may be older after a power cut, never newer",
    "vault.backup": "streams into the temporary file of `replacing`, and a new vault's database",
    "cli.clientfiles": "writes the temporary file of `replacing`",
    "interchange.freqtrade": "makes the empty file that SQLite then fills, never over another",
    "testing.venue.ledger": "appends and syncs line by line, as a ledger does",
    "index.models": "unpacks a model beside its place, syncs it and renames the folder",
    "testing.powercut": "lays out the disk that a power cut leaves",
    "testing.disks": "stands in for `open` and `os.write` and passes them on",
}


WRITING_FLAGS = {"O_CREAT", "O_WRONLY", "O_TRUNC", "O_APPEND"}
WRITING_CALLS = re.compile(
    r"""(\w*\.)*(write_bytes|write_text)
    | (\w*\.)+touch(?<!lexical\.touch)  # a term of the index is touched, too
    | os\.(p?writev?|f?truncate|mkfifo|mknod)
    | shutil\.(copy2?|copyfile|copytree|move)  # copyfileobj writes to what is open already
    | tempfile\.(mk\w+|\w*Temporary\w+)""",
    re.VERBOSE,
)
OPENING_CALLS = re.compile(r"(?![A-Z]|os\.open$)(\w*\.)*(open|fdopen|FileIO)")
WRITING_MODE = re.compile(r"(?=[a-z+]*[wxa+])[rwxabt+]{1,3}")


def file_writes(module: Module) -> list[str]:
    """The calls by which a module makes or writes a file, one a line."""
    lines: dict[int, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS:
            lines[node.lineno] = f"os.{node.attr}"
        elif isinstance(node, ast.Call):
            name = dotted_name(node.func)
            if WRITING_CALLS.fullmatch(name) or _opens_to_write(name, node):
                lines[node.lineno] = name
    return [module.at(line, f"writes a file by `{name}`") for line, name in sorted(lines.items())]


def _opens_to_write(name: str, call: ast.Call) -> bool:
    if not OPENING_CALLS.fullmatch(name):
        return False
    place = 1 if name in {"open", "io.open", "os.fdopen", "io.FileIO", "FileIO"} else 0
    modes = [*call.args[place : place + 1], *(k.value for k in call.keywords if k.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant) and bool(WRITING_MODE.fullmatch(str(mode.value)))
        for mode in modes
    )


def test_only_one_module_writes_files() -> None:
    tree = Tree.read(SOURCE)
    found = [line for m in tree if m.name not in WRITES_FOR_A_REASON for line in file_writes(m)]
    assert not found, "\n" + "\n".join(found)


def test_each_exception_is_one() -> None:
    tree = Tree.read(SOURCE)
    idle = [name for name in WRITES_FOR_A_REASON if not list(file_writes(tree.modules[name]))]
    assert idle == []


@pytest.mark.parametrize(
    "text",
    [
        "open('x', 'w')",
        "open('x', mode='xb')",
        "io.open('x', 'ab')",
        "path.open('r+b')",
        "Path('x').write_bytes(data)",
        "(folder / 'x').write_text('y')",
        "path.touch()",
        "os.open('x', os.O_WRONLY | os.O_CREAT)",
        "os.write(handle, b'x')",
        "os.truncate('x', 0)",
        "shutil.copyfile('a', 'b')",
        "tempfile.NamedTemporaryFile()",
        "def late():\n    with open('x', 'w') as f: pass",
    ],
)
def test_control_a_write_elsewhere_is_reported(text: str) -> None:
    [module] = Tree.of({"log/journal.py": text})
    assert len(list(file_writes(module))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "shutil.copyfileobj(a, b)",
        "open('x')",
        "path.open('rb')",
        "os.open('x', os.O_RDONLY)",
        "os.fsync(1)",
        "Vault.open('a')",
    ],
)
def test_control_a_reading_is_not(text: str) -> None:
    [module] = Tree.of({"log/journal.py": text})
    assert list(file_writes(module)) == []
