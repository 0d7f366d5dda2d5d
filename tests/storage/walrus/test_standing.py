"""What nodes say together, with up to a third of the shards lying: pure arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haulout.storage.walrus.standing import agree, faulty, highest_backed
from haulout.storage.walrus.wire import BlobStatus

N = 10
NOTHING = BlobStatus("nonexistent")
CERTIFIED = BlobStatus("deletable", deletable=1, deletable_certified=1, since=1)
PERMANENT = BlobStatus("permanent", 40, permanent_certified=True)


def test_f_shards_prove_nothing_and_one_more_does():
    assert faulty(N) == 3
    assert not agree([(3, CERTIFIED), (7, NOTHING)], N).certified
    assert agree([(4, CERTIFIED), (6, NOTHING)], N).certified
    assert agree([(3, PERMANENT), (7, NOTHING)], N).end_epoch is None
    assert agree([(4, PERMANENT), (6, NOTHING)], N).end_epoch == 40


def test_one_node_that_speaks_of_a_registration_is_heard_and_not_believed():
    found = agree([(1, BlobStatus("deletable", deletable=5)), (9, NOTHING)], N)
    assert (found.registered, found.surely_registered, found.nothing) == (5, 0, False)
    assert agree([(10, NOTHING)], N).nothing


def test_that_nothing_is_registered_takes_two_thirds_of_the_shards():
    assert not agree([(6, NOTHING)], N).nothing
    assert agree([(7, NOTHING)], N).nothing


def test_registered_is_not_certified():
    told = [(10, BlobStatus("permanent", 9)), (0, NOTHING)]
    found = agree(told, N)
    assert (found.certified, found.end_epoch, found.registered) == (False, None, 1)


def test_invalid_takes_more_than_the_liars():
    assert not agree([(3, BlobStatus("invalid")), (7, CERTIFIED)], N).invalid
    assert agree([(4, BlobStatus("invalid")), (6, CERTIFIED)], N).invalid


def test_the_epoch_is_one_that_an_honest_node_says_has_begun():
    assert agree([], N, [(3, 99), (7, 5)]).epoch == 5
    assert agree([], N, [(4, 6), (6, 5)]).epoch == 6
    assert agree([], N, [(3, 5)]).epoch is None


def test_the_highest_backed_number():
    assert highest_backed([(1, 9), (2, 7), (4, 3)], 3) == 7
    assert highest_backed([(1, 9)], 3) == 0


@given(
    truth=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    weights=st.lists(st.integers(1, 4), min_size=3, max_size=8),
    lies=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=8, max_size=8),
    data=st.data(),
)
def test_liars_below_a_third_change_nothing_that_is_believed(truth, weights, lies, data):
    n = sum(weights)
    order = data.draw(st.permutations(range(len(weights))))
    told, lying = [], 0
    for place in order:
        honest = lying + weights[place] > faulty(n)
        lying += 0 if honest else weights[place]
        total, certified = truth if honest else lies[place]
        total = max(total, certified)
        told.append((weights[place], BlobStatus("deletable", deletable=total,
                                                deletable_certified=certified)))  # fmt: skip
    found = agree(told, n)
    assert found.certified == (truth[1] > 0)
    assert found.certified_deletable == truth[1]
    assert found.surely_registered == max(truth)
    assert found.registered >= max(truth)
