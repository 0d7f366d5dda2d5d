"""Synthetic memories for measuring speed: 20 words of a Zipf vocabulary, 384-d vectors.

Words follow 1/rank over 20,000 made-up ones, as words of a language do: the commonest stand in
every second memory, most are rare. The same seed gives the same corpus everywhere.

Vectors are uniformly random, or lie as those of a sentence model do (`Clustered`): in topics of
unequal size, topics in themes, and around each with a few strong directions and many weak ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 20_000
TEXT_WORDS = 20
QUESTION_WORDS = 8
QUESTIONS = 400
DIMENSIONS = 384
_THEMES, _TOPICS = 60, 3_000
_SHARES = {"all": 0.08, "theme": 0.17, "topic": 0.25, "own": 0.5}
"""Of a vector's square length: two of one topic have a cosine near 0.5, any two near 0.1."""
_AT_ONCE = 50_000
_CONSONANTS = tuple("bcdfghklmnprstvw")
_VOWELS = tuple("aeiou")


def vocabulary(rng: np.random.Generator) -> list[str]:
    """Different words of two to four syllables."""
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        syllables = int(rng.integers(2, 5))
        word = "".join(
            str(rng.choice(_CONSONANTS)) + str(rng.choice(_VOWELS)) for _ in range(syllables)
        )
        words[word] = None
    return list(words)


def texts(rng: np.random.Generator, words: list[str], count: int, length: int) -> list[str]:
    """Texts of a length, their words drawn by Zipf's law."""
    share = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(len(words), (count, length), p=share / share.sum())
    return [" ".join(words[place] for place in row) for row in drawn]


class Clustered:
    """Draws unit vectors that lie as a sentence model's do."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        strength = (1 + np.arange(DIMENSIONS)) ** -0.5
        self._strength = (strength / np.linalg.norm(strength)).astype(np.float32)
        self._turn = np.linalg.qr(rng.standard_normal((DIMENSIONS, DIMENSIONS)))[0].astype("f4")
        themes = self._drawn(_THEMES, _SHARES["theme"])
        of_theme = themes[rng.integers(0, _THEMES, _TOPICS)]
        self._topics = self._drawn(1, _SHARES["all"]) + of_theme
        self._topics += self._drawn(_TOPICS, _SHARES["topic"])
        size = 1 / (10 + np.arange(_TOPICS))
        self._sizes = size / size.sum()

    def _drawn(self, count: int, share: float) -> NDArray[np.float32]:
        """Vectors of mean square length `share`, not turned yet."""
        drawn = self._rng.standard_normal((count, DIMENSIONS), np.float32)
        return drawn * self._strength * np.float32(np.sqrt(share))

    def memories(self, count: int) -> NDArray[np.float32]:
        """So many vectors, each of a topic."""
        topics = self._topics[self._rng.choice(_TOPICS, count, p=self._sizes)]
        return _unit((topics + self._drawn(count, _SHARES["own"])) @ self._turn)

    def near(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Questions about these: at a cosine of about 0.8."""
        away = self._drawn(len(vectors), _SHARES["own"]) @ self._turn
        return _unit(vectors + away)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_clustered(folder: Path, count: int, seed: int = 7) -> Path:
    """As `write_corpus`, with clustered vectors, and never all of it in memory."""
    rng = np.random.default_rng(seed)
    words = vocabulary(rng)
    folder.mkdir(parents=True, exist_ok=True)
    drawing = Clustered(rng)
    wanted = np.sort(rng.choice(count, QUESTIONS, replace=False))
    near: list[NDArray[np.float32]] = []
    with (
        (folder / "texts.txt").open("w", encoding="utf-8") as lines,
        (folder / "texts.f32").open("wb") as codes,
    ):
        for start in range(0, count, _AT_ONCE):
            some = min(_AT_ONCE, count - start)
            lines.writelines(f"{line}\n" for line in texts(rng, words, some, TEXT_WORDS))
            vectors = drawing.memories(some)
            codes.write(vectors.astype("<f4").tobytes())
            here = wanted[(wanted >= start) & (wanted < start + some)]
            near.append(vectors[here - start])
    order = rng.permutation(QUESTIONS)
    questions = drawing.near(np.concatenate(near))[order]
    (folder / "questions.f32").write_bytes(questions.astype("<f4").tobytes())
    lines_asked = texts(rng, words, QUESTIONS, QUESTION_WORDS)
    (folder / "questions.txt").write_text("\n".join(lines_asked) + "\n", "utf-8")
    return folder


def write_corpus(folder: Path, count: int, seed: int = 7) -> Path:
    """Write memories, questions and the vectors of both, for runners to read.

    A question's vector lies near one memory's: some answers are better than others.
    """
    rng = np.random.default_rng(seed)
    words = vocabulary(rng)
    folder.mkdir(parents=True, exist_ok=True)
    for name, number, length in (
        ("texts", count, TEXT_WORDS),
        ("questions", QUESTIONS, QUESTION_WORDS),
    ):
        lines = texts(rng, words, number, length)
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    vectors = rng.standard_normal((count, DIMENSIONS), np.float32)
    near = vectors[rng.integers(0, count, QUESTIONS)]
    questions = near + rng.standard_normal((QUESTIONS, DIMENSIONS), np.float32)
    (folder / "texts.f32").write_bytes(vectors.astype("<f4").tobytes())
    (folder / "questions.f32").write_bytes(questions.astype("<f4").tobytes())
    return folder
