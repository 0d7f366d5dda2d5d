"""`as_of` and `valid_at` are exact: held against a plain reading of what the words mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from vault.making import NOON, Clock, moment, world

from haulout import Vault
from haulout.errors import InputError

HOUR = 3_600_000_000


@dataclass
class Version:
    """One version, as a caller would write it down."""

    text: str
    recorded: int
    valid_from: int | None
    valid_until: int | None


@dataclass
class Reference:
    """What was said of each memory, in order, and which memories are hidden."""

    versions: dict[str, list[Version]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def seen(self, as_of: int | None, valid_at: int | None) -> set[str]:
        found: set[str] = set()
        for memory, versions in self.versions.items():
            known = [v for v in versions if as_of is None or v.recorded <= as_of]
            if memory in self.hidden or not known:
                continue
            if valid_at is None:
                found.add(known[-1].text)
            else:
                true = [v for i, v in enumerate(known) if self._true(known, i, valid_at)]
                found |= {true[-1].text} if true else set()
        return found

    @staticmethod
    def _start(known: list[Version], place: int) -> float:
        version = known[place]
        if version.valid_from is not None:
            return version.valid_from
        return version.recorded if place else float("-inf")

    def _true(self, known: list[Version], place: int, at: int) -> bool:
        """True at a time: begun, not ended, and its successor had not begun by then."""
        end = known[place].valid_until
        closed = self._start(known, place + 1) if place + 1 < len(known) else float("inf")
        return self._start(known, place) <= at < min(closed, float("inf") if end is None else end)


times = st.none() | st.integers(-6, 12).map(lambda hours: NOON + hours * HOUR)
steps = st.lists(
    st.tuples(
        st.sampled_from(["remember", "update", "hide", "show", "rebuild"]),
        st.integers(0, 5),
        times,
        times,
    ),
    min_size=1,
    max_size=12,
)


def texts(vault: Vault, **arguments: Any) -> set[str]:
    found = [one.memory.text for one in vault.recall(limit=1000, **arguments)]
    assert len(found) == len(set(found))
    return set(found)


def as_time(value: int | None) -> Any:
    return None if value is None else moment(value)


@settings(deadline=None, max_examples=60)
@given(steps=steps, asked=st.lists(times, min_size=2, max_size=5))
def test_as_of_and_valid_at_mean_what_they_say(steps: list[Any], asked: list[int | None]) -> None:
    clock = Clock(step=HOUR)
    vault, reference = Vault.ephemeral(world=world(clock=clock)), Reference()
    hidings: dict[str, str] = {}
    moments = [None, *asked]
    for number, (step, which, start, end) in enumerate(steps):
        ids = list(reference.versions)
        memory = ids[which % len(ids)] if ids else None
        given_ = {"valid_from": as_time(start), "valid_until": as_time(end)}
        text = f"text {number}"
        try:
            if step == "remember":
                made = vault.remember(text, **given_)
                reference.versions[made.id] = [Version(text, clock.us, start, end)]
            elif step == "update" and memory and memory not in reference.hidden:
                vault.update(memory, text, **given_)
                reference.versions[memory].append(Version(text, clock.us, start, end))
            elif step == "hide" and memory:
                hidings[memory] = vault.forget(memory, level="hidden").op_id
                reference.hidden.add(memory)
            elif step == "show" and memory in hidings:
                vault.undo(hidings[memory])
                reference.hidden.discard(memory)
            elif step == "rebuild":
                vault.rebuild()
        except InputError:
            assert start is not None
            assert end is not None
            assert end <= start
        moments += [clock.us, clock.us - 1]
    for as_of in moments:
        for valid_at in [None, *asked, clock.us]:
            found = texts(vault, as_of=as_time(as_of), valid_at=as_time(valid_at))
            assert found == reference.seen(as_of, valid_at), (as_of, valid_at)
    assert vault.check().sound
    vault.close()


def test_a_corrected_memory_answers_both_ways() -> None:
    clock = Clock(step=HOUR)
    with Vault.ephemeral(world=world(clock=clock)) as vault:
        memory = vault.remember("Ana lives in Oslo")
        before = clock.us
        vault.update(memory.id, "Ana lives in Lisbon", valid_from=moment(NOON + 100 * HOUR))
        assert texts(vault) == {"Ana lives in Lisbon"}
        assert texts(vault, as_of=moment(before)) == {"Ana lives in Oslo"}
        assert texts(vault, as_of=moment(before - 1)) == set()
        assert texts(vault, valid_at=moment(NOON + 99 * HOUR)) == {"Ana lives in Oslo"}
        assert texts(vault, valid_at=moment(NOON + 100 * HOUR)) == {"Ana lives in Lisbon"}


def test_valid_until_is_the_first_moment_at_which_it_is_not_true() -> None:
    with Vault.ephemeral() as vault:
        vault.remember("open", valid_from=moment(NOON), valid_until=moment(NOON + HOUR))
        assert texts(vault, valid_at=moment(NOON - 1)) == set()
        assert texts(vault, valid_at=moment(NOON)) == {"open"}
        assert texts(vault, valid_at=moment(NOON + HOUR - 1)) == {"open"}
        assert texts(vault, valid_at=moment(NOON + HOUR)) == set()


def test_a_truth_that_ended_does_not_bring_the_one_before_it_back() -> None:
    with Vault.ephemeral() as vault:
        memory = vault.remember("Ana lives in Oslo")
        began, ended = moment(NOON), moment(NOON + HOUR)
        vault.update(memory.id, "Ana is in Lisbon", valid_from=began, valid_until=ended)
        assert texts(vault, valid_at=moment(NOON - 1)) == {"Ana lives in Oslo"}
        assert texts(vault, valid_at=began) == {"Ana is in Lisbon"}
        assert texts(vault, valid_at=ended) == set()
