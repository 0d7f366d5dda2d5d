from random import Random

from haulout.testing.disks import Call, Mark
from haulout.testing.powercut import SECTOR_BYTES, power_cuts

MADE = [Call("open", "/v/file", creates=True), Call("sync", "/v")]


def states(*events: Call | Mark, count: int = 400) -> list[dict[str, bytes]]:
    """States of cuts after the last event."""
    events = (*MADE, *events)
    return [cut.files for cut in power_cuts(events, Random(1), count, after=len(events))]


def test_what_was_synced_is_in_every_state() -> None:
    found = states(Call("write", "/v/file", 0, b"synced"), Call("sync", "/v/file"))
    assert all(state == {"/v/file": b"synced"} for state in found)


def test_unsynced_writes_are_dropped_reordered_and_torn() -> None:
    one, two = b"1" * 2 * SECTOR_BYTES, b"2" * 2 * SECTOR_BYTES
    found = {
        state["/v/file"]
        for state in states(
            Call("write", "/v/file", 0, one), Call("write", "/v/file", len(one), two)
        )
    }
    assert {b"", one, one + two} <= found
    assert bytes(len(one)) + two in found, "the later write without the earlier one"
    assert one[:SECTOR_BYTES] in found, "half of a write"
    assert bytes(len(one + two)) in found, "the size without the data"


def test_a_write_after_a_sync_may_replace_sectors_and_never_the_rest() -> None:
    old = b"a" * 4 * SECTOR_BYTES
    found = states(
        Call("write", "/v/file", 0, old),
        Call("sync", "/v/file"),
        Call("write", "/v/file", SECTOR_BYTES, b"b" * 2 * SECTOR_BYTES),
    )
    seen = {state["/v/file"][::SECTOR_BYTES] for state in found}
    assert seen == {b"aaaa", b"abba", b"abaa", b"aaba"}


def test_a_name_is_durable_only_after_its_folder_was_synced() -> None:
    new = [
        Call("open", "/v/new", creates=True),
        Call("write", "/v/new", 0, b"data"),
        Call("sync", "/v/new"),
    ]
    found = states(*new)
    assert {"/v/new" in state for state in found} == {True, False}
    assert all(state.get("/v/new", b"data") == b"data" for state in found)
    assert all("/v/new" in state for state in states(*new, Call("sync", "/v")))


def test_a_rename_gives_the_old_content_or_the_new() -> None:
    found = states(
        Call("write", "/v/file", 0, b"old"),
        Call("sync", "/v/file"),
        Call("open", "/v/next", creates=True),
        Call("write", "/v/next", 0, b"new"),
        Call("sync", "/v/next"),
        Call("rename", "/v/next", target="/v/file"),
    )
    assert {state["/v/file"] for state in found} == {b"old", b"new"}


def test_a_delete_is_durable_when_it_says_so() -> None:
    assert {len(state) for state in states(Call("delete", "/v/file"))} == {0, 1}
    assert {len(state) for state in states(Call("delete", "/v/file", durable=True))} == {0}


def test_marks_are_those_before_the_cut_and_a_seed_gives_the_same_states() -> None:
    events = [*MADE, Mark("one"), Call("write", "/v/file", 0, b"data"), Mark("two")]
    cuts = list(power_cuts(events, Random(5), 50))
    assert cuts == list(power_cuts(events, Random(5), 50))
    assert [cut.at for cut in cuts] == sorted(cut.at for cut in cuts)
    for cut in cuts:
        assert cut.marks == ("one", "two")[: (cut.at > 2) + (cut.at > 4)]
