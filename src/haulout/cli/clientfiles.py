"""Clients' configuration files on this machine: where they are, read, put aside and replaced."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from haulout.errors import ConflictError, ReadOnlyError, StorageError
from haulout.integrations.clients.table import Client, Place, Root, Scope, mode
from haulout.storage.durable import replacing, storage_error, sync_folder, write_file

_BACKUP: Final = ".haulout-backup"
_READABLE: Final = 0o222
_PRIVATE_FOLDER: Final = 0o700
_SHARED_FOLDER: Final = 0o755


def _root(name: Root) -> Path:
    """Where the paths of clients begin, as their own variables say."""
    home = Path.home()
    roots: dict[Root, Path] = {
        "home": home,
        "project": Path.cwd(),
        "config": _set("XDG_CONFIG_HOME") or home / ".config",
        "claude": _set("CLAUDE_CONFIG_DIR") or home,
        "claude-settings": _set("CLAUDE_CONFIG_DIR") or home / ".claude",
        "codex": _set("CODEX_HOME") or home / ".codex",
        "gemini": _set("GEMINI_CLI_HOME") or home,
    }
    if sys.platform == "darwin":
        roots["config"] = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        roots["config"] = _set("APPDATA") or home / "AppData" / "Roaming"
    return roots[name]


def _set(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).absolute() if value else None


def _path(place: Place) -> Path:
    if place.older:
        older = _path(place.older)
        if older.is_file() and older.stat().st_size:
            return older
    return _root(place.root) / place.path


def locate(client: Client, scope: Scope) -> Path:
    """The file in which a client looks for its servers."""
    return _path(client.files[scope])


def installed(client: Client) -> bool:
    """Whether there is a trace of a client on this machine."""
    if client.program and shutil.which(client.program):
        return True
    return any(_path(sign).exists() for sign in client.signs)


def program() -> list[str]:
    """The command that starts this Haulout from anywhere: clients with windows have no PATH.

    What was started, if that is `haulout` itself, by the name it was started with: pipx and uv
    keep a link there that outlives an upgrade. Else what stands beside this Python, else this
    Python with `-m haulout`.
    """
    started = Path(sys.argv[0])
    names = ["haulout.exe" if sys.platform == "win32" else "haulout"]
    candidates = [Path(sys.executable).parent / name for name in names]
    if started.stem == "haulout" and started.suffix in {"", ".exe"}:
        found = started if started.parent.name or started.is_file() else shutil.which(started.name)
        candidates.insert(0, Path(found or names[0]))
    for one in candidates:
        path = Path(os.path.abspath(one))  # noqa: PTH100 - a link stays a link
        if path.is_file() and os.access(path, os.X_OK):
            return [str(path)]
    return [sys.executable, "-m", "haulout"]


# --- reading and writing --------------------------------------------------------------------


def read(path: Path) -> bytes | None:
    """A file's bytes, or None where there is none.

    Raises:
        StorageError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read ({error.strerror or error}).", hint=""
        ) from error


def replace(path: Path, before: bytes | None, after: bytes | None, scope: Scope) -> None:
    """Put ``after`` in place of ``before``, whole and durably; None stands for no file.

    A link is followed and stays a link, and a file's permissions stay what they are.

    Raises:
        ConflictError: another program wrote it meanwhile; it is as that program left it.
        ReadOnlyError, DiskFullError, StorageError: it is as it was.
    """
    target = path.resolve()
    with _hinted(path):
        if after is None:
            _require_same(path, before)
            target.unlink()
            sync_folder(target.parent)
            return
        folder = _PRIVATE_FOLDER if scope == "user" else _SHARED_FOLDER
        target.parent.mkdir(mode=folder, parents=True, exist_ok=True)
        permissions = mode(scope)
        if before is not None:
            permissions = stat.S_IMODE(target.stat().st_mode)
            if not permissions & _READABLE:
                raise ReadOnlyError(f"{path} is read-only.")
        with replacing(target) as temporary:
            temporary.touch(mode=permissions, exist_ok=False)
            temporary.write_bytes(after)
            temporary.chmod(permissions)  # whatever the umask is
            _require_same(path, before)


def _require_same(path: Path, before: bytes | None) -> None:
    if read(path) != before:
        message = f"{path} was changed by another program just now."
        raise ConflictError(message, hint="Nothing was written. Run the command again.")


@contextmanager
def _hinted(path: Path) -> Generator[None]:
    """Say in a refusal of the disk what can be done about a file that is not ours."""
    hint = "Make it writable, or paste what `haulout connect CLIENT --print` prints."
    try:
        yield
    except ReadOnlyError as error:
        raise ReadOnlyError(error.message, hint=hint) from error
    except OSError as error:
        told = storage_error(error, path)
        if isinstance(told, ReadOnlyError):
            told = ReadOnlyError(told.message, hint=hint)
        raise told from error


# --- what was there before ------------------------------------------------------------------


def backups(path: Path) -> list[Path]:
    """What was put aside of a file, newest first."""
    return [one for _, one in _numbered(path)]


def _numbered(path: Path) -> list[tuple[int, Path]]:
    name = re.compile(re.escape(path.name + _BACKUP) + r"(?:-(\d+))?")
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    found = ((name.fullmatch(one.name), one) for one in beside)
    return sorted(((int(match[1] or 1), one) for match, one in found if match), reverse=True)


def put_aside(path: Path, content: bytes) -> Path:
    """Keep a file's bytes beside it, for its owner's eyes only; an older backup stays.

    Raises:
        ReadOnlyError, DiskFullError, StorageError: they could not be kept.
    """
    kept = _numbered(path)
    for _, one in kept:
        if read(one) == content:
            return one
    number = f"-{kept[0][0] + 1}" if kept else ""
    made = path.with_name(f"{path.name}{_BACKUP}{number}")
    with _hinted(path):
        write_file(made, content)
    return made
