"""Lifetimes: what is bought, renewed, written again, and known of where an epoch stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haulout.log import lifetimes
from haulout.log.lifetimes import Now, Seen, Terms
from haulout.log.published import RemoteBlob

DAY = 86_400_000_000
TERMS = Terms()

terms = st.builds(
    lambda days, keep, long: Terms()._replace(epoch_days=days, keep_days=keep, long_epochs=long),
    st.sampled_from([1.0, 14.0]),
    st.floats(0, 40),
    st.integers(1, 30),
)


def blob(size: int, until: int | None, *, lasting: bool = True) -> RemoteBlob:
    return RemoteBlob(b"b" * 32, size, lasting, there=True, until=until)


@given(terms, st.floats(0, 1), st.booleans())
def test_what_is_bought_stays_for_as_long_as_it_is_to_and_no_epoch_longer(
    how: Terms,
    part: float,
    lasting: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    moment = Now(5, part * how.epoch_days)
    count = lifetimes.epochs(moment, how, lasting=lasting)
    assert not lifetimes.is_due(5 + count, moment, how)
    least = 1 if not lasting else how.long_epochs
    if count > least:
        assert lifetimes.is_due(5 + count - 1, moment, how)


@given(terms, st.lists(st.floats(0.01, 20), min_size=1, max_size=20), st.floats(0, 1))
def test_what_is_known_of_an_epoch_is_never_better_than_it_is(
    how: Terms, steps: list[float], offset: float
) -> None:
    length = int(how.epoch_days * DAY)
    begin = int(offset * length)
    at, seen = begin, None
    for step in steps:
        at += int(step * DAY)
        seen = lifetimes.see(seen, at // length, at, how)
        moment = lifetimes.now(seen, at, how)
        truth = (at // length + 1) * length - at
        assert moment.epoch == at // length
        assert moment.left * DAY <= truth + 1
        later = at + int(2.5 * length)
        guessed = lifetimes.now(seen, later, how)
        for until in (at // length + 1, at // length + 4):
            stays = max(0, until * length - later)
            assert lifetimes.remains(until, guessed, how) * DAY <= stays + 1


def test_an_epoch_that_was_seen_to_begin_is_known_to_the_hour() -> None:
    seen = lifetimes.see(None, 3, 0, TERMS)
    seen = lifetimes.see(seen, 3, 10 * DAY, TERMS)
    seen = lifetimes.see(seen, 4, 10 * DAY + DAY // 24, TERMS)
    moment = lifetimes.now(seen, 10 * DAY + DAY // 24, TERMS)
    assert 14 - moment.left < 1 / 12


def test_an_older_epoch_is_not_believed_after_a_newer_one() -> None:
    seen = lifetimes.see(None, 7, 5 * DAY, TERMS)
    assert lifetimes.see(seen, 6, 6 * DAY, TERMS) == seen
    assert lifetimes.see(seen, None, 6 * DAY, TERMS) == seen


def test_nothing_known_counts_as_the_worst() -> None:
    assert lifetimes.now(None, 5 * DAY, TERMS) == Now(0, 0.0)
    fresh = Seen(epoch=3, at=0, began=-14 * DAY)
    assert lifetimes.now(fresh, 0, TERMS) == Now(3, 0.0)
    assert lifetimes.now(fresh, 1, TERMS).epoch == 4


def test_only_full_packs_without_keys_are_renewed_and_the_rest_is_written_again() -> None:
    pack, moment = 10_000_000, Now(5, 3.0)

    def cared(one: RemoteBlob, live: int) -> str:
        care = lifetimes.care([one], {one.blob: live}, moment, TERMS, pack)
        return "renewed" if care.renew else "again" if care.again else "left"

    assert cared(blob(9_000_000, 6), 9_000_000) == "renewed"
    assert cared(blob(9_000_000, 7), 9_000_000) == "left"
    assert cared(blob(9_000_000, 5), 9_000_000) == "again"  # it has ended
    assert cared(blob(9_000_000, 6, lasting=False), 9_000_000) == "again"
    assert cared(blob(9_000_000, 6), 5_000_000) == "again"  # mostly erased
    assert cared(blob(9_000_000, 6), 0) == "again"  # a head names it though all is erased
    assert cared(blob(3_000_000, 6), 3_000_000) == "again"
    assert cared(blob(9_000_000, None), 9_000_000) == "left"


def test_what_has_ended_is_due_however_short_it_was_to_stay() -> None:
    how = TERMS._replace(keep_days=0.0)
    assert lifetimes.is_due(5, Now(5, 14.0), how)
    assert not lifetimes.is_due(6, Now(5, 0.0), how)


def test_a_blob_that_no_head_names_is_left_to_end() -> None:
    care = lifetimes.care([blob(9_000_000, 6)], {}, Now(5, 1.0), TERMS, 10_000_000)
    assert not care.renew
    assert not care.again


def test_a_publication_waits_for_time_or_bytes_and_never_for_nothing() -> None:
    assert not lifetimes.publishes(0, 1000, TERMS)
    assert not lifetimes.publishes(100, 1.9, TERMS)
    assert lifetimes.publishes(100, 2, TERMS)
    assert lifetimes.publishes(TERMS.cadence_bytes, 0, TERMS)


def test_a_day_left_on_an_epoch_is_not_taken_for_more_than_it_is() -> None:
    assert lifetimes.epochs(Now(0, 7.0), TERMS, lasting=False) == 1
    assert lifetimes.epochs(Now(0, 6.9), TERMS, lasting=False) == 2
    assert lifetimes.remains(2, Now(1, 3.0), TERMS) == 3.0
    assert lifetimes.remains(1, Now(1, 3.0), TERMS) == 0.0
