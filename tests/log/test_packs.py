"""Packs: which sections share one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haulout.crypto.section import padded
from haulout.log.packs import Pack, Packs

sizes = st.lists(st.tuples(st.integers(256, 30_000), st.booleans()), max_size=60)


def packed(given_: list[tuple[int, bool]], most: int, *, joined: bool) -> list[Pack]:
    packs = Packs(most)
    full: list[Pack] = []
    for size, lasting in given_:
        full += packs.add(size, lasting=lasting)[1]
    if joined:
        full += packs.join()
        full += packs.make_room(1000)
        full += packs.add(1000, lasting=False)[1]
    return full + packs.finish()


@given(sizes, st.booleans())
def test_each_section_stands_once_in_order_in_a_pack_that_is_no_larger_than_it_may_be(
    given_: list[tuple[int, bool]],
    joined: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    full = packed(given_, 65_536, joined=joined)
    count = len(given_) + joined
    assert sorted(section for pack in full for section in pack.sections) == list(range(count))
    total = [size for size, _ in given_] + [1000]
    for pack in full:
        whole = sum(total[section] for section in pack.sections)
        assert pack.size == (whole if len(pack.sections) == 1 else padded(whole))
        assert pack.size <= 65_536
        assert not pack.lasting or all(given_[section][1] for section in pack.sections)


def test_a_small_publication_is_one_pack_and_the_head_is_its_last_section() -> None:
    (pack,) = packed([(5000, True), (600, False)], 65_536, joined=True)
    assert pack.sections == (0, 1, 2)
    assert not pack.lasting


def test_what_fills_a_pack_without_keys_stands_alone_and_lasts() -> None:
    full = packed([*[(30_000, True)] * 4, (600, False)], 65_536, joined=True)
    assert [pack.lasting for pack in full] == [True, True, False]


def test_what_does_not_fit_beside_the_keys_is_a_pack_all_the_same() -> None:
    full = packed([(30_000, True), (30_000, False), (30_000, False)], 65_536, joined=True)
    assert sorted(pack.sections for pack in full) == [(0,), (1, 2, 3)]


def test_keys_and_what_is_renewed_never_share_a_pack() -> None:
    full = packed([(30_000, True), (30_000, False)] * 20, 65_536, joined=True)
    for pack in full:
        assert not (pack.lasting and any(section % 2 for section in pack.sections))
