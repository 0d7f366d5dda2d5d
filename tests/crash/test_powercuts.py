from crash import powercuts


def test_after_a_power_cut_everything_told_stands_once() -> None:
    verdict, failed = powercuts.examine(150, seed=1)
    verdict.require()
    assert failed == 0
    assert verdict.told > 1000


def test_control_where_syncs_do_nothing_most_power_cuts_lose_something() -> None:
    _, failed = powercuts.examine(40, seed=1, syncs=False)
    assert failed > 25  # of 40; a cut before the first acknowledgement can lose nothing
