"""all-MiniLM-L6-v2 on onnxruntime: 384 dimensions, offline, without PyTorch.

The weights are read from the model folder's ``model.safetensors`` tensor by tensor and the
network is built by :mod:`haulout.index.onnx_graph`. With ``int8`` the weights are quantised as
they are read. That takes 0.1 s, so no quantised copy is kept on disk: there is no second file
that could be stale.

Texts run one at a time. The int8 activations get their scale from the whole input, so the same
text alone and in a batch would differ (cosine down to 0.982), and batching gains no speed.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from haulout.errors import InputError, ModelError
from haulout.index import onnx_graph

NAME: Final = "all-minilm-l6-v2"
"""Name of the model in identities and of its folder."""
REVISION: Final = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
"""Upstream commit that the pinned digests belong to."""
DIMENSIONS: Final = 384
"""Components per vector."""
MAX_TOKENS: Final = 256
"""Word pieces looked at, both end marks included; the model was trained on no more."""

WEIGHTS_FILE: Final = "model.safetensors"
TOKENIZER_FILE: Final = "tokenizer.json"

Quantisation: TypeAlias = Literal["int8", "fp32"]
"""``int8`` is 2.4 times as fast as ``fp32`` in half its memory; the cosine between them is 0.99."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What a file of the model must be.

    Attributes:
        size: bytes.
        sha256: digest in hexadecimal.
    """

    size: int
    sha256: str


PINS: Final = {
    WEIGHTS_FILE: Pin(
        90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
    TOKENIZER_FILE: Pin(
        466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    ),
}
"""The two files an embedder reads, as they are upstream at :data:`REVISION`."""

_HEADER_SHA256: Final = "a1621c79b67c1aa27f5784108b97e010fa884e26b187ba5c351328d9125e10a7"
_VECTORS_SHA256: Final = "27727c14eb0ddeb448b022af92029d1da1e0b188ff0b591647838d03f32663ad"
_SHAPE: Final = onnx_graph.Shape(layers=6, width=DIMENSIONS, heads=12, inner=1536, epsilon=1e-12)
_IDENTITY: Final = {"int8": "int8.1", "fp32": "fp32"}  # .1: the way of quantising, see _quantise
_MAX_CHARACTERS: Final = 16_384  # 64 per token; a 1 MB text would otherwise be tokenised whole
_MAX_HEADER: Final = 1 << 20  # bytes; the real one has 11 kB
_LEVELS: Final = np.float32(64)
_ROWS: Final = 2_048  # embedding rows quantised at a time: 3 MB of floats instead of 47

_Floats: TypeAlias = NDArray[np.float32]
_Bytes: TypeAlias = NDArray[np.int8]
_Tensor: TypeAlias = _Floats | _Bytes


class MiniLM:
    """The embedder for a folder that holds the model. Loads on the first text.

    Longer texts are cut after :data:`MAX_TOKENS` word pieces. Safe to share between threads.

    Args:
        folder: where ``model.safetensors`` and ``tokenizer.json`` are.
        quantisation: ``int8``, or ``fp32`` for comparisons.
        threads: cores that one text may use. More than one brought no gain for texts of a few
            sentences; several texts can be embedded by several threads instead.
    """

    def __init__(
        self, folder: Path, *, quantisation: Quantisation = "int8", threads: int = 1
    ) -> None:
        if quantisation not in _IDENTITY:
            raise InputError(f"There is no quantisation {quantisation!r}; use int8 or fp32.")
        if threads < 1:
            raise InputError(f"An embedder needs at least one thread, not {threads}.")
        self._folder = folder
        self._quantisation: Quantisation = quantisation
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def model(self) -> str:
        """Identity of the vector space: name, upstream revision and quantisation."""
        return f"{NAME}@{REVISION[:12]}/{_IDENTITY[self._quantisation]}"

    @property
    def dimensions(self) -> int:
        """Components per vector: 384."""
        return DIMENSIONS

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit row per text, float32 [len(texts), 384].

        Raises:
            ModelError: the files are missing or are not this model's, or the packages of the
                ``local`` extra are not installed.
        """
        rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        if texts:
            loaded = self._load()
            for row, text in zip(rows, texts, strict=True):
                row[:] = loaded.run(text)
        return rows

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder, self._quantisation, self._threads)
            return self._loaded


class _Session(Protocol):
    """The one method of ``onnxruntime.InferenceSession`` that is used."""

    def run(self, output_names: None, input_feed: dict[str, _Floats]) -> list[_Floats]: ...


class _Tokenizer(Protocol):
    """The one method of ``tokenizers.Tokenizer`` that is used once it is set up."""

    def encode(self, sequence: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory: tokenizer, embedding table and network."""

    tokenizer: _Tokenizer
    words: _Tensor  # [30522, 384]: levels when quantised
    scales: _Floats | None  # [30522, 1] when quantised
    positions: _Floats  # [256, 384], the segment's embedding included
    session: _Session
    tensors: tuple[_Tensor, ...]  # what the session reads; it does not own them

    def run(self, text: str) -> _Floats:
        """Return the unit vector of one text, float32 [384]."""
        # Lone surrogates come in with broken JSON and cannot be tokenised.
        clean = text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode()
        tokens: list[int] = self.tokenizer.encode(clean).ids
        words = self.words[tokens].astype(np.float32)
        if self.scales is not None:
            words *= self.scales[tokens]
        words += self.positions[: len(tokens)]
        return self.session.run(None, {"tokens": words[np.newaxis]})[0][0]


def _load(folder: Path, quantisation: Quantisation, threads: int) -> _Loaded:
    quantised = quantisation == "int8"
    tokenizer = _load_tokenizer(folder / TOKENIZER_FILE)
    with _weights_file(folder / WEIGHTS_FILE) as file:
        if quantised:
            words, scales = _quantised_words(file)
        else:
            words, scales = file.read("embeddings.word_embeddings.weight"), None
        segment = file.read("embeddings.token_type_embeddings.weight")[0]
        positions = file.read("embeddings.position_embeddings.weight")[:MAX_TOKENS] + segment
        tensors = dict(_network_tensors(file, quantised=quantised))
    model, weights = onnx_graph.build(_SHAPE, quantised=quantised)
    ordered = {weight.name: tensors[weight.name] for weight in weights}
    session = _session(model, ordered, threads)
    return _Loaded(tokenizer, words, scales, positions, session, tuple(ordered.values()))


def _load_tokenizer(path: Path) -> _Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise _not_installed("tokenizers") from error
    try:
        body = path.read_bytes()
    except OSError as error:
        raise _broken(path, error.strerror or "it cannot be read") from error
    # 0.5 ms, so this small file is checked whole on each load, and parsing cannot fail.
    if hashlib.sha256(body).hexdigest() != PINS[TOKENIZER_FILE].sha256:
        raise _broken(path, "its digest is not the model's")
    tokenizer: Any = Tokenizer.from_str(body.decode())
    tokenizer.no_padding()  # the file asks for 128 tokens always
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _session(model: bytes, tensors: dict[str, _Tensor], threads: int) -> _Session:
    try:
        import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - has none
    except ImportError as error:
        raise _not_installed("onnxruntime") from error
    runtime = cast("Any", onnxruntime)
    runtime.disable_telemetry_events()  # on by default in its Windows builds
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they arrive as exceptions as well
    options.enable_mem_pattern = False  # each text has its own length
    values = [runtime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    state = runtime.capi.onnxruntime_pybind11_state
    kinds = ("Fail", "InvalidProtobuf", "InvalidGraph", "InvalidArgument", "NotImplemented")
    refusals = tuple(getattr(state, kind) for kind in kinds)  # they have no base of their own
    try:
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (*refusals, RuntimeError) as error:
        raise ModelError(
            f"onnxruntime {runtime.__version__} cannot run the model: {error}",
            hint="Install a regular build: pip install --upgrade 'haulout[local]'",
        ) from error
    return session


def _quantised_words(file: _WeightsFile) -> tuple[_Bytes, _Floats]:
    """Return the word embeddings as levels with one scale a row, a few rows at a time."""
    name = "embeddings.word_embeddings.weight"
    rows = file.shape(name)[0]
    levels = np.empty(file.shape(name), dtype=np.int8)
    scales = np.empty((rows, 1), dtype=np.float32)
    for start in range(0, rows, _ROWS):
        part = slice(start, min(start + _ROWS, rows))
        levels[part], scales[part] = _quantise(file.read(name, part))
    return levels, scales


def _network_tensors(file: _WeightsFile, *, quantised: bool) -> Iterator[tuple[str, _Tensor]]:
    """Yield the tensors under the names that the graph gives them."""
    yield from _norm(file, "embed", "embeddings")
    for layer in range(_SHAPE.layers):
        here, there = f"layer.{layer}", f"encoder.layer.{layer}"
        heads = [f"{there}.attention.self.{part}" for part in ("query", "key", "value")]
        yield from _linear(file, f"{here}.qkv", heads, quantised=quantised)
        for name, source in (("output", "attention.output"), ("down", "output")):
            dense = [f"{there}.{source}.dense"]
            yield from _linear(file, f"{here}.{name}", dense, quantised=quantised)
            yield from _norm(file, f"{here}.{name}", f"{there}.{source}")
        yield from _linear(file, f"{here}.up", [f"{there}.intermediate.dense"], quantised=quantised)


def _norm(file: _WeightsFile, name: str, source: str) -> Iterator[tuple[str, _Tensor]]:
    for part in ("weight", "bias"):
        yield f"{name}.norm.{part}", file.read(f"{source}.LayerNorm.{part}")


def _linear(
    file: _WeightsFile, name: str, sources: list[str], *, quantised: bool
) -> Iterator[tuple[str, _Tensor]]:
    """Yield one product's tensors; several sources stand side by side as its columns."""
    # PyTorch keeps [out, in], the operators want [in, out].
    rows = np.concatenate([file.read(f"{source}.weight") for source in sources])
    yield f"{name}.bias", np.concatenate([file.read(f"{source}.bias") for source in sources])
    if not quantised:
        yield f"{name}.weight", np.ascontiguousarray(rows.T)
        return
    levels, scales = _quantise(rows)
    yield f"{name}.weight", np.ascontiguousarray(levels.T)
    yield f"{name}.scale", np.ascontiguousarray(scales[:, 0])
    yield f"{name}.zero", np.zeros(len(scales), dtype=np.int8)


def _quantise(rows: _Floats) -> tuple[_Bytes, _Floats]:
    """Return levels from -64 to 64 and one scale per row, [n, 1].

    Half the range of a byte, because without VNNI x86 adds two products of an unsigned and a
    signed byte in 16 bits: 2 * 255 * 64 is the most that fits, beyond it sums are clamped. So
    one text has one vector on every processor. Unsigned weights, or onnxruntime's
    ``session.x64quantprecision``, would be exact as well, but take 1.4 times as long.
    """
    scales = np.maximum(rows.max(axis=1), -rows.min(axis=1))[:, np.newaxis] / _LEVELS
    scales[scales == 0] = 1  # an unused vocabulary row may be all zeros
    return np.rint(rows * (1 / scales)).astype(np.int8), scales


@contextmanager
def _weights_file(path: Path) -> Generator[_WeightsFile]:
    """Open the weights for reading; what the system refuses becomes a ModelError."""
    try:
        with path.open("rb") as file:
            yield _WeightsFile(path, file)
    except OSError as error:
        raise _broken(path, error.strerror or "it cannot be read") from error


class _WeightsFile:
    """Reads tensors of a safetensors file: 8 bytes of header length, JSON header, raw data.

    Plain reads rather than a memory map: a file that shrinks meanwhile is an error here and a
    killed process there, and pages once read would count as ours (45 MB).
    """

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self._path = path
        self._file = file
        self._start, self._header = self._read_header()
        self._check_values()

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._header[name]["shape"])

    def read(self, name: str, part: slice | None = None) -> _Floats:
        """Return a float tensor, or those of its rows that ``part`` selects."""
        shape = self.shape(name)
        offset = self._start + int(self._header[name]["data_offsets"][0])
        if part is not None:
            offset += 4 * part.start * math.prod(shape[1:])
            shape = (part.stop - part.start, *shape[1:])
        count = math.prod(shape)
        self._file.seek(offset)
        values = np.fromfile(self._file, dtype="<f4", count=count)
        if len(values) != count:
            raise _broken(self._path, "it ends too soon")
        return values.astype(np.float32, copy=False).reshape(shape)

    def _read_header(self) -> tuple[int, dict[str, Any]]:
        size = self._file.seek(0, 2)
        if size != PINS[WEIGHTS_FILE].size:
            reason = f"it has {size:,} bytes instead of {PINS[WEIGHTS_FILE].size:,}"
            raise _broken(self._path, reason)
        self._file.seek(0)
        length = int.from_bytes(self._file.read(8), "little")
        if length > _MAX_HEADER:
            raise _broken(self._path, "it is not a safetensors file")
        header = self._file.read(length)
        if hashlib.sha256(header).hexdigest() != _HEADER_SHA256:
            raise _broken(self._path, "its tensors are not this model's")
        return 8 + length, json.loads(header)

    def _check_values(self) -> None:
        """Refuse other weights of the same layout, such as a fine-tuned copy.

        Two thousandths of the file, all its biases and norms, tell models apart in 2 ms.
        Whether each of 91 MB is intact is for `models.status`.
        """
        digest = hashlib.sha256()
        for name in sorted(self._header):
            if name != "__metadata__" and len(self.shape(name)) == 1:
                digest.update(self.read(name).astype("<f4").tobytes())
        if digest.hexdigest() != _VECTORS_SHA256:
            raise _broken(self._path, "its weights are not this model's")


def _broken(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"The model file {path} is unusable: {reason}.",
        hint="Run `haulout model install` to fetch the model again.",
    )


def _not_installed(package: str) -> ModelError:
    return ModelError(
        f"The package {package}, which runs the embedding model, is not installed.",
        hint="Run: pip install 'haulout[local]'",
    )
