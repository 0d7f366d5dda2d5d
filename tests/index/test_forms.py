"""What of a memory is indexed: its own words, its date and speaker, and nothing else."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.index.forms import (
    PASSAGES_KEPT,
    Trait,
    asking,
    is_assistant,
    passages,
    traits,
    word_form,
)
from haulout.language.tokens import analyze

DAY = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)


def test_a_short_memory_is_one_passage_with_its_date_and_speaker():
    assert passages("I paint.", "Caroline", DAY) == ["[8 May 2023] Caroline: I paint."]
    assert passages("I paint.") == ["I paint."]


def test_a_memory_is_found_by_the_words_of_its_date():
    terms = analyze(word_form("I paint.", DAY))
    assert {"paint", "8", "may", "2023"} == set(terms)
    assert word_form("I paint.", None) == "I paint."


def test_a_long_memory_is_cut_at_sentence_ends_and_nothing_is_lost():
    sentences = [f"Sentence number {i} tells one more thing about the garden." for i in range(60)]
    parts = passages(" ".join(sentences), "Ann", DAY)
    assert len(parts) > 1
    assert all(part.startswith("[8 May 2023] Ann: Sentence") for part in parts)
    assert all(part.endswith(".") for part in parts)
    assert sentences == [
        sentence
        for part in parts
        for sentence in part.removeprefix("[8 May 2023] Ann: ").replace(". S", ".|S").split("|")
    ]


def test_a_text_without_sentences_or_spaces_is_cut_all_the_same():
    assert all(len(part) <= 180 for part in passages("北" * 1_000))
    assert len(passages("x" * 10_000)) > 1


@given(st.text(max_size=400), st.integers(1, 30))
def test_any_text_has_at_least_one_passage_and_never_more_than_are_kept(text, times):
    parts = passages(text * times)
    assert 1 <= len(parts) <= PASSAGES_KEPT


def test_a_turn_that_only_asks_is_told_from_one_that_tells():
    assert asking("How was the trip?") == 1.0
    assert asking("It rained. How was the trip?") > 0.5
    assert asking("It rained.") == 0.0
    assert asking("") == 0.0
    assert asking("旅行はどうでしたか\uff1f") == 1.0


def test_a_question_that_tells_of_its_asker_is_worth_keeping():
    assert asking("I'm moving to Oslo in May, could you help me?") == 0.0


def test_a_picture_beside_a_question_is_not_part_of_what_was_said():
    assert asking("Nice, where? [image: a dog]") == asking("Nice, where?")


def test_the_kind_of_a_statement_is_kept_as_a_number():
    assert traits("I went there yesterday.") == Trait.TELLS_TIME == 1
    assert traits("Always cite the source.") == Trait.STATES_RULE == 2
    assert traits("From now on, tell me in June.") == 3
    assert traits("I love hiking with you.") == 0


@pytest.mark.parametrize("unit", ["[", "? ", "I ", "1,000,", "a'", "x", "\u5317", "always "])
def test_a_megabyte_of_anything_is_read_in_a_blink(unit):
    text = unit * (1_048_576 // len(unit))
    start = time.process_time()
    passages(text), asking(text), traits(text)
    assert time.process_time() - start < 1


def test_an_ai_is_known_by_its_role():
    assert is_assistant("assistant")
    assert is_assistant(" Assistant ")
    assert not is_assistant("user")
    assert not is_assistant("Caroline")
    assert not is_assistant(None)
