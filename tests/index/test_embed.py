"""Vectors as they are kept, and what importing the port costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from haulout.errors import InputError
from haulout.index.embed import dequantise, quantise, unit_rows


def _directions(count: int, dimensions: int = 384) -> np.ndarray:
    rows = np.random.default_rng(7).normal(size=(count, dimensions)).astype(np.float32)
    return unit_rows(rows)


def test_a_kept_vector_has_one_byte_a_component_and_its_direction():
    cosines = []
    for row in _directions(200):
        kept = quantise(row)
        assert len(kept) == 384
        back = dequantise(kept)
        assert back.dtype == np.float32
        assert abs(float(np.linalg.norm(back)) - 1) < 1e-6
        cosines.append(float(row @ back))
    assert min(cosines) > 0.9999


def test_keeping_drops_the_length_and_mirrors_exactly():
    row = _directions(1)[0]
    assert quantise(row * 17) == quantise(row)
    assert (dequantise(quantise(-row)) == -dequantise(quantise(row))).all()


def test_keeping_again_changes_nothing():
    kept = quantise(_directions(1)[0])
    assert quantise(dequantise(kept)) == kept


def test_one_component_alone_is_a_direction():
    assert quantise(np.array([0.0, -1e-30, 0.0], dtype=np.float32)) == b"\x00\x81\x00"


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_what_has_no_direction_is_refused(value: float):
    broken = np.full(4, value, dtype=np.float32)
    with pytest.raises(InputError):
        quantise(broken)
    with pytest.raises(InputError):
        unit_rows(broken[np.newaxis])


@pytest.mark.parametrize("component", [np.nan, np.inf])
def test_one_broken_component_is_enough(component: float):
    broken = np.array([1.0, component, 0.5], dtype=np.float32)
    with pytest.raises(InputError):
        quantise(broken)
    with pytest.raises(InputError):
        unit_rows(broken[np.newaxis])


@pytest.mark.parametrize("kept", [b"", b"\x00\x00"])
def test_bytes_that_no_vector_was_kept_as_are_refused(kept: bytes):
    with pytest.raises(InputError):
        dequantise(kept)
    with pytest.raises(InputError):
        quantise(np.frombuffer(kept, dtype=np.int8).astype(np.float32))


def test_the_port_and_the_choice_of_a_model_load_no_runtime():
    script = (
        "import sys, haulout.index.embed, haulout.index.models\n"
        "heavy = {'onnxruntime', 'tokenizers', 'safetensors', 'huggingface_hub', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == [b"[]"]
