"""Heads over all volumes: one winner, whatever is away, lost, torn or lying."""

from __future__ import annotations

import random
import threading
from itertools import combinations

import pytest
from storage.volumes.parts import PATIENCE_S, layout_of

from haulout.errors import ConflictError, InputError, LimitError, StoreUnavailableError
from haulout.storage.volumes.heads import HeadCopy, promise
from haulout.storage.volumes.headstate import (
    MOST_HEAD_BYTES,
    NO_BALLOT,
    Ballot,
    HeadState,
    decode_state,
    encode_state,
)
from haulout.storage.volumes.quorum import head_quorum


def genuine(data: bytes) -> int | None:
    """The number of a head `genuine:7:...`; None for a forged one."""
    parts = data.split(b":")
    return int(parts[1]) if parts[0] == b"genuine" else None


def kept(rig, name: str) -> dict[str, bytes | None]:
    return {
        volume: None if head is None else decode_state(head.data).data
        for volume, head in rig.heads(name).items()
    }


def write_state(rig, volume: str, name: str, state: HeadState | bytes) -> None:
    data = state if isinstance(state, bytes) else encode_state(state)
    before = rig.stores[volume].read_head(f"heads/{name}")
    rig.stores[volume].swap_head(f"heads/{name}", data, before.version if before else None)


def test_a_head_stands_whole_on_every_volume_and_is_swapped(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    assert volumes.read_heads("memory") == ()
    assert volumes.publish_head("memory", b"one", None) == tuple(rig.stores)
    assert volumes.read_heads("memory") == tuple(HeadCopy(v, b"one") for v in rig.stores)
    volumes.publish_head("memory", b"two", b"one")
    volumes.publish_head("state/bots", b"s", None)
    assert set(kept(rig, "memory").values()) == {b"two"}
    assert volumes.list_heads() == ("memory", "state/bots")
    assert volumes.list_heads("state/") == ("state/bots",)


@pytest.mark.parametrize("believed", [None, b"zero", b"two "])
def test_another_head_than_believed_is_a_conflict_and_stays(rig_of, believed):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"two", None)
    with pytest.raises(ConflictError, match="v0"):
        volumes.publish_head("memory", b"three", believed)
    with pytest.raises(ConflictError, match="keep no head"):
        volumes.publish_head("other", b"one", b"zero")
    assert set(kept(rig, "memory").values()) == {b"two"}


def test_publishing_again_what_stands_is_harmless(rig_of):
    volumes = rig_of(5).open()
    for _ in range(3):
        volumes.publish_head("memory", b"one", None)
    assert {copy.data for copy in volumes.read_heads("memory")} == {b"one"}


@pytest.mark.parametrize("n_volumes", [1, 2, 3, 5, 10])
def test_a_head_is_published_exactly_when_a_quorum_answers(rig_of, n_volumes):
    rig = rig_of(n_volumes)
    names = [volume.id for volume in rig.layout.volumes]
    standing = b"0"
    rig.open().publish_head("memory", standing, None)
    outcomes = set()
    for count in range(n_volumes + 1):
        for away in list(combinations(names, count))[:12]:
            rig.heal()
            for volume in away:
                rig.inject(volume, "unavailable")
            volumes, new = rig.open(), standing + b"+"
            enough = head_quorum(rig.layout, set(names) - set(away))
            outcomes.add(enough)
            if enough:
                assert set(volumes.publish_head("memory", new, standing)) == set(names) - set(away)
                standing = new
            else:
                with pytest.raises(StoreUnavailableError, match=away[0]):
                    volumes.publish_head("memory", new, standing)
            volumes.close()
    assert outcomes == {True, False}
    rig.heal()
    final = rig.open()
    final.publish_head("memory", b"end", standing)
    assert set(kept(rig, "memory").values()) == {b"end"}


def test_every_pair_of_quorums_shares_a_volume_that_does_not_lie():
    for n_shards in (4, 5, 7, 10, 13, 31):
        for n_volumes in range(1, min(n_shards, 7) + 1):
            layout = layout_of(n_volumes, n_shards)
            weights, names = layout.weights(), list(layout.weights())
            sets = [set(c) for k in range(n_volumes + 1) for c in combinations(names, k)]
            quorums = [found for found in sets if head_quorum(layout, found)]
            assert set(names) in quorums
            for one, two in combinations(quorums, 2):
                shared = one & two
                assert sum(weights[v] for v in shared) > (n_shards - 1) // 3


def test_volumes_that_were_away_are_brought_up_by_the_next_publish_and_by_settling(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"1", None)
    rig.inject("v3", "unavailable")
    volumes.publish_head("memory", b"2", b"1")
    rig.heal()
    assert kept(rig, "memory")["v3"] == b"1"
    assert volumes.settle_head("memory") == (("v3",), True)
    assert set(kept(rig, "memory").values()) == {b"2"}
    rig.inject("v4", "unavailable")
    volumes.publish_head("memory", b"3", b"2")
    rig.heal()
    volumes.publish_head("memory", b"4", b"3")
    assert set(kept(rig, "memory").values()) == {b"4"}


def test_a_volume_that_is_brought_up_keeps_what_it_promised(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"1", None)
    rig.inject("v3", "unavailable")
    volumes.publish_head("memory", b"2", b"1")
    rig.heal()
    promised = Ballot(1, 99, b"somebody")
    write_state(rig, "v3", "memory", decode_of(rig, "v3")._replace(promised=promised))
    assert volumes.settle_head("memory") == (("v3",), True)
    assert decode_of(rig, "v3").promised == promised


def test_settling_needs_no_key_and_believes_no_liar(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"genuine", None)
    right = encode_state(decode_of(rig, "v3"))
    high = Ballot(1, 10**9, b"liarliar")
    write_state(rig, "v0", "memory", HeadState(high, high, b"forged"))
    assert volumes.settle_head("memory") == ((), True)  # the forged one claims to be newer
    write_state(rig, "v0", "memory", right)
    write_state(rig, "v1", "memory", b"damaged")
    assert volumes.settle_head("memory") == (("v1",), True)
    assert rig.stores["v1"].read_head("heads/memory").data == right
    write_state(rig, "v0", "memory", HeadState(high, high, b"forged"))
    write_state(rig, "v1", "memory", b"\x07 no head at all")
    rig.stores["v2"].delete("heads/memory")  # two of five volumes are left: no quorum
    assert volumes.settle_head("memory") == (("v0", "v1", "v2"), True)
    assert set(kept(rig, "memory").values()) == {b"genuine"}
    for volume in ("v0", "v1", "v2", "v3"):
        rig.stores[volume].delete("heads/memory")
    assert volumes.settle_head("memory") == ((), False)  # one volume alone may lie
    assert [copy.data for copy in volumes.read_heads("memory")] == [b"genuine"]


def decode_of(rig, volume: str) -> HeadState:
    return decode_state(rig.stores[volume].read_head("heads/memory").data)


def kept_or_none(rig, volume: str) -> bytes | None:
    return decode_of(rig, volume).data


def test_a_lost_answer_is_asked_for_again_and_decided_by_comparing_bytes(rig_of):
    rig = rig_of(5)
    for volume in rig.stores:
        rig.inject(volume, "lost-answer", methods={"swap_head"})
    volumes = rig.open()
    assert volumes.publish_head("memory", b"1", None) == tuple(rig.stores)
    assert volumes.publish_head("memory", b"2", b"1") == tuple(rig.stores)


def test_an_outcome_that_is_not_known_says_so_and_publishing_again_decides(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"1", None)
    for volume in ("v0", "v1"):  # the promise is answered, what follows is not
        rig.inject(volume, "lost-answer", methods={"swap_head"}, after=1)
        rig.inject(volume, "unavailable", methods={"read_head"}, after=2)
    with pytest.raises(StoreUnavailableError, match="not known"):
        volumes.publish_head("memory", b"2", b"1")
    rig.heal()
    assert rig.open().publish_head("memory", b"2", b"1") == tuple(rig.stores)
    assert set(kept(rig, "memory").values()) == {b"2"}


def test_what_a_publisher_left_on_fewer_volumes_than_a_quorum_does_not_stand(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"1", None)
    torn = decode_of(rig, "v0").promised._replace(number=50)
    write_state(rig, "v0", "memory", HeadState(torn, torn, b"torn"))
    assert volumes.publish_head("memory", b"2", b"1") == tuple(rig.stores)
    assert set(kept(rig, "memory").values()) == {b"2"}


def test_what_a_publisher_left_on_a_quorum_stands_though_it_died(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    volumes.publish_head("memory", b"1", None)
    done = decode_of(rig, "v0").promised._replace(number=50)
    for volume in ("v0", "v1", "v2", "v3"):
        write_state(rig, volume, "memory", HeadState(done, done, b"2"))
    for away in rig.stores:
        rig.heal()
        rig.inject(away, "unavailable")
        with pytest.raises(ConflictError):
            rig.open().publish_head("memory", b"other 2", b"1")
    rig.heal()
    assert rig.open().publish_head("memory", b"3", b"2") == tuple(rig.stores)


@pytest.mark.parametrize("kind", ["flip", "truncate", "giant", "equivocate", "stale", "forget"])
@pytest.mark.parametrize("number", [None, genuine])
def test_one_lying_volume_can_neither_turn_nor_hide_a_head(rig_of, kind, number):
    rig = rig_of(5)
    rig.open().publish_head("memory", b"genuine:1:", None)
    rig.open().publish_head("memory", b"genuine:2:", b"genuine:1:")
    rig.inject("v1", kind)
    before, refused = b"genuine:2:", 0
    for turn in range(3, 9):
        volumes, after = rig.open(), b"genuine:%d:" % turn
        try:
            volumes.publish_head("memory", after, before, number=number)
            before = after
        except (ConflictError, StoreUnavailableError):
            refused += 1
        honest = {volume: data for volume, data in kept(rig, "memory").items() if volume != "v1"}
        assert list(honest.values()).count(before) >= 3, (kind, turn, honest)
    assert refused == 0


def test_a_forged_head_under_a_high_ballot_is_not_believed(rig_of):
    for number in (None, genuine):
        rig = rig_of(5)
        rig.open().publish_head("memory", b"genuine:5:", None)
        high = Ballot(1, 10**9, b"liarliar")
        for forged in (b"forged", b"genuine:4:replayed"):
            write_state(rig, "v2", "memory", HeadState(high, high, forged))
            volumes = rig.open()
            copies = {copy.data for copy in volumes.read_heads("memory")}
            assert copies == {b"genuine:5:", forged}
            volumes.publish_head("memory", b"genuine:5:", b"genuine:5:", number=number)
            assert set(kept(rig, "memory").values()) == {b"genuine:5:"}


def test_a_volume_that_counts_to_infinity_is_not_followed(rig_of):
    rig = rig_of(5)
    rig.open().publish_head("memory", b"1", None)
    far = Ballot(1, 2**64 - 1, b"liarliar")
    raw = b"\x01" + b"\x00\x00\x00\x01" + b"\xff" * 8 + b"liarliar" + bytes(20)
    write_state(rig, "v0", "memory", raw)
    assert far.number > 2**63
    assert "v0" not in rig.open().publish_head("memory", b"2", b"1")


def test_copies_that_differ_too_much_are_a_conflict_unless_their_check_tells_them(rig_of):
    rig = rig_of(5)
    for number, volume in enumerate(rig.stores):
        ballot = Ballot(1, number + 1, b"publish%d" % number)
        write_state(rig, volume, "memory", HeadState(ballot, ballot, b"genuine:%d:" % number))
    with pytest.raises(ConflictError, match="differ"):
        rig.open().publish_head("memory", b"genuine:9:", b"genuine:4:")
    rig.open().publish_head("memory", b"genuine:9:", b"genuine:4:", number=genuine)
    assert set(kept(rig, "memory").values()) == {b"genuine:9:"}


def test_of_two_publishers_exactly_one_wins_each_number(rig_of):
    rig = rig_of(5)
    won: dict[int, list[str]] = {}
    standing, problems = b"0:", []
    for turn in range(1, 16):
        barrier = threading.Barrier(3)

        def publish(who: str, turn: int = turn, before: bytes = standing, barrier=barrier) -> None:
            volumes = rig.open(seed=hash((who, turn)) % 2**32)
            mine = b"%d:%s" % (turn, who.encode())
            barrier.wait(PATIENCE_S)
            try:
                volumes.publish_head("memory", mine, None if turn == 1 else before)
                won.setdefault(turn, []).append(who)
            except (ConflictError, StoreUnavailableError) as error:
                problems.append(type(error))
            finally:
                volumes.close()

        threads = [threading.Thread(target=publish, args=(who,)) for who in ("ada", "bob", "cyd")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(won.get(turn, [])) <= 1, won
        if turn not in won:  # each gave way to the others: whoever asks again decides
            volumes = rig.open()
            seen = {copy.data for copy in volumes.read_heads("memory")} | {b"%d:late" % turn}
            for mine in sorted(seen - {standing}):
                try:
                    volumes.publish_head("memory", mine, None if turn == 1 else standing)
                    break
                except ConflictError:
                    continue
        current = rig.open()
        copies = [copy.data for copy in current.read_heads("memory")]
        standing = max(set(copies), key=copies.count)
        assert standing.startswith(b"%d:" % turn)
        if turn in won:
            assert standing == b"%d:%s" % (turn, won[turn][0].encode())
    assert len(won) >= 10, (won, problems)


def test_who_promised_a_ballot_keeps_it_against_every_lower_one(rig_of):
    rig = rig_of(3)
    members = rig.open().members
    ballots = [Ballot(1, 5, b"publish1"), Ballot(1, 5, b"publish2"), Ballot(2, 1, bytes(8))]
    assert ballots == sorted(ballots)
    for number, ballot in enumerate(ballots):
        assert all(vote.granted for vote in promise(members, "memory", ballot).values())
        assert all(vote.granted for vote in promise(members, "memory", ballot).values())
        for lower in ballots[:number]:
            votes = promise(members, "memory", lower)
            assert [vote.granted for vote in votes.values()] == [False] * 3
            assert {vote.state.promised for vote in votes.values()} == {ballot}


def test_of_two_heads_that_many_keep_the_one_of_the_higher_ballot_stands(rig_of):
    rig = rig_of(10)
    low, high = Ballot(1, 1, b"publish1"), Ballot(1, 2, b"publish2")
    for number, volume in enumerate(rig.stores):
        ballot, data = (high, b"new") if number % 2 else (low, b"old")
        write_state(rig, volume, "memory", HeadState(ballot, ballot, data))
    with pytest.raises(ConflictError):
        rig.open().publish_head("memory", b"next", b"old")
    assert rig.open().publish_head("memory", b"next", b"new")


def test_a_newer_layout_fences_off_those_who_know_the_old_one(rig_of):
    rig = rig_of(5)
    old = rig.open()
    old.publish_head("memory", b"1", None)
    newer = Ballot(2, 1, b"rearrang")
    for volume in list(rig.stores)[:3]:
        state = decode_of(rig, volume)
        write_state(rig, volume, "memory", state._replace(promised=newer))
    with pytest.raises(ConflictError, match="newer layout"):
        old.publish_head("memory", b"2", b"1")


def test_reading_heads_needs_enough_volumes_to_hold_whatever_was_acknowledged(rig_of):
    rig = rig_of(5)
    rig.open().publish_head("memory", b"1", None)
    for away in ("v0", "v1", "v2"):
        rig.inject(away, "unavailable")
    assert {copy.volume for copy in rig.open().read_heads("memory")} == {"v3", "v4"}
    rig.inject("v3", "unavailable")
    with pytest.raises(StoreUnavailableError, match="v0, v1, v2, v3"):
        rig.open().read_heads("memory")
    rig.inject("v4", "unavailable")
    with pytest.raises(StoreUnavailableError):
        rig.open().list_heads()


def test_slow_volumes_do_not_keep_a_publisher_once_a_quorum_answered(rig_of):
    rig = rig_of(5)
    volumes = rig.open()
    rig.inject("v2", "slow")
    assert volumes.publish_head("memory", b"1", None) == ("v0", "v1", "v3", "v4")


@pytest.mark.parametrize("name", ["", "UPPER", "a//b", "../x"])
def test_a_name_that_no_place_holds_is_refused_before_anything_is_asked(rig_of, name):
    rig = rig_of(3)
    rig.forget_calls()
    with pytest.raises(InputError):
        rig.open().publish_head(name, b"1", None)
    assert rig.asked("swap_head") == []


def test_a_head_has_a_most_size(rig_of):
    with pytest.raises(LimitError):
        rig_of(3).open().publish_head("memory", bytes(MOST_HEAD_BYTES + 1), None)


def test_a_state_has_one_form():
    draw = random.Random(5)
    for _ in range(200):
        low, high = sorted(
            Ballot(draw.randrange(2**32), draw.randrange(2**63), draw.randbytes(8)) for _ in "ab"
        )
        state = draw.choice([HeadState(), HeadState(high), HeadState(high, low, draw.randbytes(9))])
        assert decode_state(encode_state(state)) == state
        assert (low < high) == (encode_state(HeadState(low)) < encode_state(HeadState(high)))
    assert decode_state(encode_state(HeadState(Ballot(1, 1, bytes(8)), NO_BALLOT))).data is None
