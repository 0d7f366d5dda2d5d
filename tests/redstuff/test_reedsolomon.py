"""The code by itself: any originals' worth of symbols gives the originals back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.redstuff import layout
from haulout.redstuff.compiled import CompiledEngine
from haulout.redstuff.engine import Engine
from haulout.redstuff.plain import PlainEngine
from haulout.redstuff.reedsolomon import Code, locator_logs, power_of_two, tiles

PLAIN, COMPILED = PlainEngine(), CompiledEngine()
ENGINES = pytest.mark.parametrize("engine", [PLAIN, COMPILED], ids=lambda engine: engine.name)
COUNTS = st.integers(1, 70)


def words(seed: int, count: int, codewords: int) -> layout.Words:
    return np.random.default_rng(seed).integers(0, 65_536, (count, codewords), np.uint16)


@pytest.mark.parametrize(
    ("originals", "recoveries", "low"),
    [(2, 2, False), (3, 1, False), (4, 6, True), (5, 4, False), (3, 4, False), (4, 3, True),
     (34, 66, True), (67, 33, False), (334, 666, True), (667, 333, False), (17, 32, False)],
)  # fmt: skip
def test_the_form_of_a_code_is_the_networks(originals: int, recoveries: int, low: object) -> None:
    assert Code.of(originals, recoveries).low is low


@ENGINES
@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS, st.integers(0, 2**32), st.data())
def test_any_originals_worth_of_symbols_gives_the_originals_back(
    engine: Engine, originals: int, recoveries: int, seed: int, data: st.DataObject
) -> None:
    code = Code.of(originals, recoveries)
    source = words(seed, originals, 5)
    everything = np.concatenate([source, engine.recoveries(code, source, originals)])
    order = data.draw(st.permutations(range(originals + recoveries)))
    known = order[:originals]
    missing = [index for index in range(originals) if index not in known]
    if missing:
        locator = locator_logs(code, known)
        found = engine.restored(code, known, everything[known], missing, locator)
        assert (found == source[missing]).all()


@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS, st.integers(1, 200), st.integers(0, 2**32), st.data())
def test_both_engines_find_the_same_recoveries(
    originals: int, recoveries: int, codewords: int, seed: int, data: st.DataObject
) -> None:
    code = Code.of(originals, recoveries)
    used = data.draw(st.integers(0, originals))
    source = words(seed, originals, codewords)
    source[used:] = 0
    found = PLAIN.recoveries(code, source, used)
    assert (found == COMPILED.recoveries(code, source, used)).all()
    assert (found == PLAIN.recoveries(code, source, originals)).all()


@pytest.mark.parametrize("codewords", [1, 1023, 1024, 1025, 2500])
def test_a_tiles_edge_changes_nothing(codewords: int) -> None:
    code = Code.of(334, 666)
    source = words(codewords, 334, codewords)
    whole = PLAIN.recoveries(code, source, 334)
    assert (whole == COMPILED.recoveries(code, source, 334)).all()
    last = PLAIN.recoveries(code, source[:, -1:].copy(), 334)
    assert (whole[:, -1:] == last).all()
    assert sum(tile.stop - tile.start for tile in tiles(512, codewords)) == codewords


@ENGINES
@settings(deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**32))
def test_words_of_a_symbol_lie_as_the_network_lays_them(
    engine: Engine, count: int, seed: int
) -> None:
    symbol = np.random.default_rng(seed).integers(0, 256, 2 * count, np.uint8)
    found = engine.words_of(symbol[None])[0]
    expected = []
    for start in range(0, 2 * count, 64):
        block = symbol[start : start + 64].tolist()
        half = len(block) // 2
        expected += [block[i] + 256 * block[half + i] for i in range(half)]
    assert found.tolist() == expected
    assert (engine.symbols_of(found[None])[0] == symbol).all()


def test_powers_of_two_are_not_below_what_was_asked() -> None:
    assert [power_of_two(least) for least in (1, 2, 3, 4, 5, 333, 512)] == [1, 2, 4, 4, 8, 512, 512]
