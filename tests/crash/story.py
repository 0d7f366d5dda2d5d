"""Stories: steps a program takes in a vault, and what must stand whatever befalls it.

A teller takes its steps one after the other, each under an operation ID, and is told when one
is done. However the story is cut short, afterwards

- what every told step says stands exactly once;
- the one step that was begun and not told stands whole or not at all, and taking it again
  under its ID makes it stand once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple, Self

from haulout import HauloutError, Vault

WORDS = ("walrus", "clam", "ice", "floe", "tusk", "herd", "north", "shore", "swim", "dive", "rest")


class Step(NamedTuple):
    """One write: its operation ID, what it does, and the step that made the memory it is about."""

    name: str
    kind: str
    about: str
    text: str


def plan(teller: str, count: int) -> list[Step]:
    """A teller's steps: mostly remembers, every fifth an update, every seventh a forget."""
    random, steps, alive = Random(teller), list[Step](), list[str]()
    for number in range(count):
        name = f"{teller}-{number}"
        words = " ".join(random.choices(WORDS, k=random.choice((4, 12, 40, 160))))
        if number % 7 == 6 and alive:
            steps.append(Step(name, "forget", alive.pop(random.randrange(len(alive))), ""))
        elif number % 5 == 4 and alive:
            steps.append(Step(name, "update", random.choice(alive), f"{name} anew {words}"))
        else:
            alive.append(name)
            steps.append(Step(name, "remember", name, f"{name} {words}"))
    return steps


def take(vault: Vault, step: Step, ids: dict[str, str]) -> None:
    """Take one step; what it returns is told when this returns."""
    if step.kind == "remember":
        ids[step.name] = vault.remember(step.text, op_id=step.name).id
    elif step.kind == "update":
        vault.update(ids[step.about], step.text, op_id=step.name)
    else:
        vault.forget(ids[step.about], op_id=step.name)


def standing(steps: Iterable[Step]) -> dict[str, str]:
    """The texts that stand after some steps, by the step that made the memory."""
    texts: dict[str, str] = {}
    for step in steps:
        if step.kind == "forget":
            texts.pop(step.about, None)
        else:
            texts[step.about] = step.text
    return texts


@dataclass
class Teller:
    """One teller: its plan, how many of its steps it was told are done, the memories' IDs."""

    name: str
    steps: list[Step]
    told: int = 0
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, count: int) -> Teller:
        return cls(name, plan(name, count))

    @property
    def rest(self) -> Iterator[tuple[int, Step]]:
        yield from list(enumerate(self.steps))[self.told :]


@dataclass
class Verdict:
    """What was found after a story was cut short; all but `trials` and `told` must be 0."""

    trials: int = 0
    told: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Verdict) -> Self:
        self.trials += other.trials
        self.told += other.told
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong
        return self

    @property
    def kept(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def require(self) -> None:
        assert self.kept, f"{self.lost} lost, {self.doubled} doubled; {self.wrong[:5]}"

    def figures(self) -> dict[str, int]:
        return {
            "trials": self.trials,
            "told": self.told,
            "lost": self.lost,
            "doubled": self.doubled,
            "wrong": len(self.wrong),
        }


def every_text(vault: Vault) -> Counter[str]:
    """Every text that stands in a vault, with how often."""
    texts: Counter[str] = Counter()
    after = None
    while True:
        page = vault.list(limit=1000, after=after)
        texts.update(memory.text for memory in page.memories)
        after = page.next
        if after is None:
            return texts


def judge(folder: Path, tellers: Iterable[Teller], *, repeat: bool = True) -> Verdict:
    """Reopen a vault and compare it with what the tellers were told; take cut-off steps again."""
    tellers = list(tellers)
    verdict = Verdict(trials=1, told=sum(teller.told for teller in tellers))
    try:
        with Vault.open(folder, embedder="none") as vault:
            report = vault.check()
            verdict.wrong += report.problems
            found = every_text(vault)
            for teller in tellers:
                _compare(verdict, teller, found, may_be_begun=True)
            if repeat and verdict.kept:
                for teller in tellers:
                    for _, step in list(teller.rest)[:1]:
                        take(vault, step, teller.ids)
                        teller.told += 1
                found = every_text(vault)
                for teller in tellers:
                    _compare(verdict, teller, found, may_be_begun=False)
    except HauloutError as error:
        verdict.lost += verdict.told
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - what is not ours is a finding of its own
        verdict.lost += verdict.told
        verdict.wrong.append(f"not one of Haulout's errors: {error!r}")
    return verdict


def _compare(verdict: Verdict, teller: Teller, found: Counter[str], *, may_be_begun: bool) -> None:
    mine = Counter({t: n for t, n in found.items() if t.startswith(f"{teller.name}-")})
    told = Counter(standing(teller.steps[: teller.told]).values())
    begun = Counter(standing(teller.steps[: teller.told + 1]).values())
    if mine == told or (may_be_begun and mine == begun):
        return
    verdict.doubled += sum(n - 1 for n in mine.values() if n > 1)
    verdict.lost += sum((told - mine).values())
    extra = [text[:60] for text in mine if text not in told]
    verdict.wrong.append(f"{teller.name} after {teller.told} steps: unexpected {extra}")
