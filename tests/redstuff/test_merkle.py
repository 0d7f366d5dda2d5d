"""Trees against their definition, written once more with recursion and hashlib."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import WrongBytesError
from haulout.redstuff import bcs, merkle
from haulout.redstuff.compiled import CompiledEngine
from haulout.redstuff.engine import Engine, digests, root
from haulout.redstuff.plain import PlainEngine

ENGINES = pytest.mark.parametrize(
    "engine", [PlainEngine(), CompiledEngine()], ids=lambda engine: engine.name
)


def hashed(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def defined_root(symbols: list[bytes]) -> bytes:
    level = [hashed(b"\0" + symbol) for symbol in symbols]
    while len(level) > 1:
        level += [bytes(32)] * (len(level) % 2)
        level = [hashed(b"\1" + a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0] if level else bytes(32)


def pieces(seed: int, count: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size), np.uint8)


@ENGINES
@pytest.mark.parametrize("size", [2, 4, 6, 8, 62, 64, 66, 126, 128, 130, 254, 256, 258, 1000])
def test_a_root_is_that_of_the_definition(engine: Engine, size: int) -> None:
    for count in (1, 2, 3, 5, 10, 63, 64, 65, 100):
        symbols = pieces(size, count, size)
        expected = defined_root([row.tobytes() for row in symbols])
        assert root(engine, symbols) == expected
        assert merkle.root(merkle.leaves(symbols.tobytes(), size)) == expected


def test_no_leaves_have_the_root_of_zeros() -> None:
    assert merkle.root(b"") == bytes(32)


@ENGINES
@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 6), st.integers(0, 2**32))
def test_trees_of_bands_fold_as_one_tree_does(
    engine: Engine, trees: int, count: int, up: int, seed: int
) -> None:
    nodes = pieces(seed, trees * count, 32).reshape(trees, count, 32)
    found = engine.folded(nodes, up)
    for tree, row in enumerate(nodes):
        level = [node.tobytes() for node in row]
        for _ in range(up):
            level += [bytes(32)] * (len(level) % 2)
            level = [hashed(b"\1" + a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
        assert digests(found[tree]) == level
    turned = engine.folded(np.ascontiguousarray(nodes.swapaxes(0, 1)).swapaxes(0, 1), up)
    assert (turned == found).all()


@ENGINES
def test_leaves_of_two_bytes_are_the_same_by_table_and_by_hash(engine: Engine) -> None:
    many = np.random.default_rng(3).integers(0, 256, (45_000, 2), np.uint8)
    found = engine.leaves(many)
    assert found[:9].tobytes() == merkle.leaves(many[:9].tobytes(), 2)
    assert found[-9:].tobytes() == merkle.leaves(many[-9:].tobytes(), 2)


@settings(deadline=None)
@given(st.integers(1, 40), st.data())
def test_a_path_proves_its_leaf_and_no_other(count: int, data: st.DataObject) -> None:
    symbols = pieces(count, count, 6)
    index = data.draw(st.integers(0, count - 1))
    tree = merkle.levels(merkle.leaves(symbols.tobytes(), 6))
    path = merkle.path(tree, index)
    assert len(path) == merkle.path_length(count)
    symbol = symbols[index].tobytes()
    assert merkle.path_root(symbol, index, path) == tree[-1]
    assert merkle.path_root(symbol, index + (1 << len(path)), path) is None
    assert merkle.path_root(symbol, -1, path) is None
    if count > 1:
        assert merkle.path_root(symbol, index ^ 1, path) != tree[-1]
        assert merkle.path_root(symbol[::-1] + b"\0", index, path) != tree[-1]


def test_a_node_of_zeros_is_written_as_nothing_and_read_in_no_other_way() -> None:
    assert merkle.node_to_bcs(bytes(32)) == b"\0"
    assert merkle.node_to_bcs(b"\7" * 32) == b"\1" + b"\7" * 32
    for digest in (bytes(32), b"\7" * 32):
        reader = bcs.Reader(merkle.node_to_bcs(digest), "The node")
        assert merkle.node_from_bcs(reader) == digest
        reader.finish()
    for written in (b"\1" + bytes(32), b"\2", b"\1" + b"\7" * 31, b""):
        with pytest.raises(WrongBytesError):
            merkle.node_from_bcs(bcs.Reader(written, "The node"))
