"""Synthetic memories for measuring speed: 20 words of a Zipf vocabulary, 384-d vectors.

Words follow 1/rank over 20,000 made-up ones, as words of a language do: the commonest stand in
every second memory, most are rare. The same seed gives the same corpus everywhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

VOCABULARY = 20_000
TEXT_WORDS = 20
QUESTION_WORDS = 8
QUESTIONS = 400
DIMENSIONS = 384
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
