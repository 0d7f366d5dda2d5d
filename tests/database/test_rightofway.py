"""What somebody waits for goes first, and what gives way is not starved."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from haulout.database.rightofway import RightOfWay


def giving(way: RightOfWay, done: list[int]) -> threading.Thread:
    """A thread that gives way once, and says then that it went on."""

    def work() -> None:
        way.give()
        done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


class Unhurried(RightOfWay):
    """One that waits for as long as it takes: what is tested is not how long 20 ms are."""

    longest_s = 60.0


def test_a_step_waits_while_something_passes_and_goes_on_at_its_end() -> None:
    way, done = Unhurried(), list[int]()
    with way:
        thread = giving(way, done)
        thread.join(0.05)
        assert not done
    thread.join(60)
    assert done


def test_it_waits_for_all_that_pass() -> None:
    way, done = Unhurried(), list[int]()
    with way:
        with way:
            thread = giving(way, done)
        thread.join(0.05)
        assert not done
    thread.join(60)
    assert done


def test_where_nothing_passes_it_does_not_wait() -> None:
    way = Unhurried()
    with way:
        pass
    way.give()
    assert list(way.along(range(3))) == [0, 1, 2]


def test_what_passes_without_an_end_holds_a_step_up_for_a_moment_only() -> None:
    way, done = RightOfWay(), list[int]()
    with way:
        threads = [giving(way, done) for _ in range(4)]
        for thread in threads:
            thread.join(60)
        assert len(done) == 4


def test_an_error_gives_the_way_back() -> None:
    way = Unhurried()
    try:
        with way:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    way.give()


def test_along_gives_way_before_each_step_and_takes_none_early() -> None:
    way, events = RightOfWay(), list[str]()

    def steps() -> Iterator[int]:
        for number in range(2):
            events.append(f"made {number}")
            yield number

    way.give = lambda: events.append("gave")  # type: ignore[method-assign]
    for number in way.along(steps()):
        events.append(f"done {number}")
    assert events == ["made 0", "gave", "done 0", "made 1", "gave", "done 1"]
