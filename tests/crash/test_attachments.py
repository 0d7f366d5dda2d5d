import pytest
from crash import attachments


def test_a_call_that_fails_loses_no_attachment_and_leaves_no_half_one() -> None:
    verdict = attachments.failures(71)
    verdict.require()
    assert verdict.trials > 8


def test_a_power_cut_loses_no_attachment_and_leaves_no_half_one() -> None:
    verdict = attachments.cuts(40, seed=3)
    verdict.require()
    assert verdict.told > 60


def test_control_where_syncs_of_chunks_do_nothing_power_cuts_lose_some() -> None:
    assert attachments.cuts(40, seed=3, syncs=False).wrong


@pytest.mark.full
def test_every_call_and_many_cuts() -> None:
    attachments.failures(1).require()
    for seed in range(20):
        attachments.cuts(200, seed=seed).require()
