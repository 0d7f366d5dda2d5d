from crash import kills


def test_after_sigkill_at_random_moments_everything_told_stands_once() -> None:
    verdict = kills.random_kills(15)
    verdict.require()
    assert verdict.trials == 15
    assert verdict.told > 15


def test_after_sigkill_at_a_write_call_everything_told_stands_once() -> None:
    verdict = kills.kill_at(list(range(1, 300, 14)))
    verdict.require()
    assert verdict.told > 10
