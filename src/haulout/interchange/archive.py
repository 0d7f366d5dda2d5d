"""Reading a file, a folder, a ZIP or a stream that someone else made.

Nothing is ever written to disk, no link is followed, and no name from inside an archive is
used as a path on this machine. What is refused is told as a problem; the rest is still read.
Every byte is streamed and counted against the limits, so a bomb costs its limit and no more.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Protocol, Self

from haulout.errors import ImportFormatError, LimitError
from haulout.interchange.fields import label
from haulout.interchange.records import Problem

MEBIBYTE = 1024 * 1024
CHUNK_BYTES = 256 * 1024
STREAM_NAME = "what was passed in"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one import may cost. The largest exports reported are a few gigabytes of JSON."""

    members_max: int = 100_000
    directory_bytes_max: int = 16 * MEBIBYTE  # a ZIP's list of names: 100,000 of 160 bytes
    member_bytes_max: int = 8 * 1024 * MEBIBYTE
    total_bytes_max: int = 32 * 1024 * MEBIBYTE
    ratio_max: int = 200  # chat JSON deflates 4 to 20 times; a bomb a thousand
    ratio_floor_bytes: int = 16 * MEBIBYTE  # below this any ratio is harmless
    nested_bytes_max: int = 256 * MEBIBYTE  # a ZIP inside a ZIP is held in memory
    stream_bytes_max: int = 256 * MEBIBYTE  # and so is what comes in through a stream
    folder_depth_max: int = 32


LIMITS = Limits()

_ZIP_START = (b"PK\x03\x04", b"PK\x05\x06")
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # content, strong encryption, masked names
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others ask for memory by their header
# What zipfile and zlib raise on bytes that are no ZIP; RuntimeError is its word for passwords.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Member:
    """One readable file of a source, by the name the source gives it."""

    name: str
    size: int
    packed: int


class Stream:
    """Bytes of one member, counted; every fault comes out as an ImportFormatError."""

    def __init__(self, raw: IO[bytes], member: Member, meter: _Meter) -> None:
        self._raw = raw
        self._member = member
        self._meter = meter
        self._count = 0

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._raw.read(size)
        except _ZIP_ERRORS as error:
            raise ImportFormatError(f"Reading stopped: {_told(error)}.") from error
        self._count += len(chunk)
        self._meter.count(len(chunk), self._count, self._member)
        return chunk


class _Meter:
    """Counts one import's bytes, over all its archives."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0

    def count(self, more: int, so_far: int, member: Member) -> None:
        limits = self._limits
        self._total += more
        if so_far > limits.member_bytes_max:
            raise LimitError(f"Reading stopped: over {limits.member_bytes_max} bytes in one file.")
        if self._total > limits.total_bytes_max:
            raise LimitError(f"Reading stopped: over {limits.total_bytes_max} bytes in all.")
        if so_far > limits.ratio_floor_bytes and so_far > member.packed * limits.ratio_max:
            raise LimitError(
                f"Reading stopped: it unpacks to more than {limits.ratio_max} times its size."
            )


class Source(Protocol):
    """A file, a folder or a ZIP, as named members that can be read."""

    @property
    def kind(self) -> Literal["file", "folder", "zip"]: ...
    @property
    def name(self) -> str: ...
    @property
    def members(self) -> tuple[Member, ...]: ...
    @property
    def problems(self) -> tuple[Problem, ...]: ...

    def open(self, member: Member) -> AbstractContextManager[Stream]: ...
    def inside(self, member: Member) -> Source:
        """The ZIP that a member is. Only for forms that say their ZIP holds ZIPs."""
        ...

    def beside(self, wanted: Callable[[str], bool]) -> Source:
        """Files next to a lone file, by name. Only for forms that link to them by name."""
        ...

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def open_source(given: str | os.PathLike[str] | IO[bytes], limits: Limits = LIMITS) -> Source:
    """Open what stands at a path, or what a stream gives; what it is, its first bytes say.

    A stream, such as standard input, is held in memory: it cannot be read twice.

    Raises:
        ImportFormatError: nothing is there, or it cannot be read as what it starts as.
        LimitError: it holds more members than the limits allow, or a stream is too long.
    """
    meter = _Meter(limits)
    if not isinstance(given, (str, os.PathLike)):
        return _open_stream(given, limits, meter)
    path = given
    found = Path(path)
    try:
        mode = found.stat().st_mode
        if stat.S_ISDIR(mode):
            return _Folder(found, limits, meter)
        if stat.S_ISREG(mode):
            return _open_file(found, found.name, limits, meter)
    except (OSError, ValueError) as error:
        raise ImportFormatError(f"{label(str(path))} cannot be read: {_told(error)}.") from error
    raise ImportFormatError(f"{label(str(path))} is neither a file nor a folder.")


def _open_stream(stream: IO[bytes], limits: Limits, meter: _Meter) -> Source:
    held = bytearray()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            held += chunk
            if len(held) > limits.stream_bytes_max:
                raise LimitError(
                    f"More than {limits.stream_bytes_max} bytes came in.",
                    hint="Save it as a file, and import that.",
                )
    except (OSError, ValueError) as error:
        raise ImportFormatError(f"It cannot be read: {_told(error)}.") from error
    content = bytes(held)
    if content.startswith(_ZIP_START):
        return _Zip(io.BytesIO(content), STREAM_NAME, limits, meter)
    return _Held(content, limits, meter)


def read(source: Source, member: Member, bytes_max: int) -> bytes:
    """A whole member.

    Raises:
        LimitError: it is longer than ``bytes_max``.
        ImportFormatError: it is broken.
    """
    content = head(source, member, bytes_max + 1)
    if len(content) > bytes_max:
        raise LimitError(f"Larger than {bytes_max} bytes.")
    return content


def head(source: Source, member: Member, size: int) -> bytes:
    """A member's first bytes."""
    held = bytearray()
    with source.open(member) as stream:
        while len(held) < size:
            chunk = stream.read(min(size - len(held), CHUNK_BYTES))
            if not chunk:
                break
            held += chunk
    return bytes(held)


def is_zip(source: Source, member: Member) -> bool:
    return head(source, member, 4) in _ZIP_START


def unsafe_name(name: str) -> str:
    """Why a path from inside an archive or an export is refused; "" when it is not."""
    if not name or "\x00" in name:
        return "an empty name, or a NUL in it"
    if "\\" in name or _DRIVE.match(name):
        return "a name that is a path elsewhere"
    if name.startswith("/"):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that climbs out"
    return ""


def _told(error: Exception) -> str:
    """An error in words, without a path of this machine in it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return label(str(error)) or type(error).__name__


class _Opened:
    """What the three kinds of source share."""

    def __init__(self, name: str, limits: Limits, meter: _Meter) -> None:
        self._name = label(name)
        self._limits = limits
        self._meter = meter
        self._members: list[Member] = []
        self._problems: list[Problem] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    def _add(self, member: Member) -> None:
        self._members.append(member)
        if len(self._members) > self._limits.members_max:
            raise LimitError(f"{self._name} holds more than {self._limits.members_max} files.")

    def _refuse(self, name: str, why: str) -> None:
        self._problems.append(Problem(label(name), "", f"left out: {why}"))

    def beside(self, wanted: Callable[[str], bool]) -> Source:
        del wanted
        raise ImportFormatError(f"{self._name} stands alone.")

    def close(self) -> None:
        """Nothing to let go of, unless a kind of source says otherwise."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()


class _File(_Opened):
    kind: Literal["file"] = "file"

    def __init__(self, path: Path, limits: Limits, meter: _Meter) -> None:
        super().__init__(path.name, limits, meter)
        self._path = path
        size = path.stat().st_size
        self._add(Member(self._name, size, size))

    @contextmanager
    def open(self, member: Member) -> Generator[Stream, None, None]:
        with _opened(self._path, follow=True) as raw:
            yield Stream(raw, member, self._meter)

    def inside(self, member: Member) -> Source:
        raise ImportFormatError(f"{member.name} is no archive.")

    def beside(self, wanted: Callable[[str], bool]) -> Source:
        return _Folder(self._path.absolute().parent, self._limits, self._meter, wanted)


class _Held(_Opened):
    """What came in through a stream, as a file that stands alone."""

    kind: Literal["file"] = "file"

    def __init__(self, content: bytes, limits: Limits, meter: _Meter) -> None:
        super().__init__(STREAM_NAME, limits, meter)
        self._content = content
        self._add(Member(self._name, len(content), len(content)))

    @contextmanager
    def open(self, member: Member) -> Generator[Stream, None, None]:
        yield Stream(io.BytesIO(self._content), member, self._meter)

    def inside(self, member: Member) -> Source:
        raise ImportFormatError(f"{member.name} is no archive.")


class _Folder(_Opened):
    kind: Literal["folder"] = "folder"

    def __init__(
        self,
        path: Path,
        limits: Limits,
        meter: _Meter,
        wanted: Callable[[str], bool] | None = None,
    ) -> None:
        """List the folder; with ``wanted``, those names alone and no folder below it."""
        super().__init__(path.name or "folder", limits, meter)
        self._wanted = wanted
        self._paths: dict[str, Path] = {}
        self._walk(path, "", limits.folder_depth_max if wanted is None else 0)
        self._members.sort(key=lambda member: member.name)

    def _walk(self, folder: Path, prefix: str, depth_left: int) -> None:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise ImportFormatError(
                    f"{self._name} cannot be listed: {_told(error)}."
                ) from error
            self._refuse(prefix, _told(error))
            return
        for entry in found:
            try:
                self._admit(entry, prefix + entry.name, depth_left)
            except OSError as error:  # gone, or closed to us, since it was listed
                self._refuse(prefix + entry.name, _told(error))

    def _admit(self, entry: os.DirEntry[str], name: str, depth_left: int) -> None:
        """Links and hidden entries (.git and its like) stay out; the folder given is as given."""
        if entry.name.startswith(".") or (self._wanted and not self._wanted(entry.name)):
            return
        if entry.is_symlink():
            self._refuse(name, "a symbolic link")
        elif entry.is_dir(follow_symlinks=False):
            if depth_left:
                self._walk(Path(entry.path), name + "/", depth_left - 1)
            elif self._wanted is None:
                self._refuse(name, f"folders nested deeper than {self._limits.folder_depth_max}")
        elif entry.is_file(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            self._paths[name] = Path(entry.path)
            self._add(Member(name, size, size))

    @contextmanager
    def open(self, member: Member) -> Generator[Stream, None, None]:
        with _opened(self._paths[member.name], follow=False) as raw:
            yield Stream(raw, member, self._meter)

    def inside(self, member: Member) -> Source:
        source = _open_file(self._paths[member.name], member.name, self._limits, self._meter)
        if source.kind != "zip":
            raise ImportFormatError(f"{label(member.name)} is no archive.")
        return source


class _Zip(_Opened):
    kind: Literal["zip"] = "zip"

    def __init__(self, file: IO[bytes], name: str, limits: Limits, meter: _Meter) -> None:
        super().__init__(name, limits, meter)
        self._file = _Guarded(file, limits.directory_bytes_max)
        try:
            self._zip = zipfile.ZipFile(self._file)  # pyright: ignore[reportArgumentType]
        except _ZIP_ERRORS as error:
            raise ImportFormatError(f"{self._name} is a broken ZIP: {_told(error)}.") from error
        self._file.read_max = None
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            self._admit(info)

    def _admit(self, info: zipfile.ZipInfo) -> None:
        name = info.orig_filename  # as written: zipfile's own cuts at NUL and turns backslashes
        unix_mode = info.external_attr >> 16
        why = unsafe_name(name)
        if not why and stat.S_IFMT(unix_mode) == stat.S_IFLNK:
            why = "a symbolic link"
        elif not why and name.endswith("/"):
            return
        elif not why and info.flag_bits & _ENCRYPTED:
            why = "encrypted"
        elif not why and info.compress_type not in _METHODS:
            why = f"compression method {info.compress_type} is not read"
        elif not why and name in self._infos:
            why = "a second file of the same name"
        if why:
            self._refuse(name, why)
        else:
            self._infos[name] = info
            self._add(Member(name, info.file_size, max(info.compress_size, 1)))

    @contextmanager
    def open(self, member: Member) -> Generator[Stream, None, None]:
        try:
            raw = self._zip.open(self._infos[member.name])
        except _ZIP_ERRORS as error:
            raise ImportFormatError(f"It cannot be opened: {_told(error)}.") from error
        with raw:
            yield Stream(raw, member, self._meter)

    def inside(self, member: Member) -> Source:
        content = read(self, member, self._limits.nested_bytes_max)
        if not content.startswith(_ZIP_START):
            raise ImportFormatError(f"{label(member.name)} is no archive.")
        return _Zip(io.BytesIO(content), member.name, self._limits, self._meter)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class _Guarded:
    """A file that refuses one huge read: zipfile reads a ZIP's whole list of names in one."""

    def __init__(self, file: IO[bytes], read_max: int) -> None:
        self._file = file
        self.read_max: int | None = read_max
        self.seekable: Callable[[], bool] = file.seekable
        self.seek: Callable[..., int] = file.seek
        self.tell: Callable[[], int] = file.tell
        self.close: Callable[[], None] = file.close

    def read(self, size: int = -1) -> bytes:
        if self.read_max is None:
            return self._file.read(size)
        content = self._file.read(self.read_max + 1 if size < 0 else min(size, self.read_max + 1))
        if len(content) > self.read_max:
            raise zipfile.BadZipFile(f"its list of files passes {self.read_max} bytes")
        return content


@contextmanager
def _opened(path: Path, *, follow: bool) -> Generator[IO[bytes], None, None]:
    """Open for reading; a link put there since the folder was listed is refused."""
    flags = os.O_RDONLY | (_NO_FOLLOW if not follow else _NO_FOLLOW & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        raw = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise ImportFormatError(f"It cannot be opened: {_told(error)}.") from error
    with raw:
        yield raw


def _open_file(path: Path, name: str, limits: Limits, meter: _Meter) -> Source:
    raw = path.open("rb")
    try:
        if raw.read(4) in _ZIP_START:
            raw.seek(0)
            return _Zip(raw, name, limits, meter)
    except BaseException:
        raw.close()
        raise
    raw.close()
    return _File(path, limits, meter)
