"""The ranking: what it prefers, that its sums hold, and that unseen memories do not move it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.index.forms import Trait
from haulout.index.rank import WEIGHTS, Columns, Postings, Question, rank

MINUTE = 60_000_000


def columns(count, **given_):
    base = {
        "length": np.full(count, 12, np.float32),
        "previous": np.full(count, -1),
        "following": np.full(count, -1),
        "speaker": np.full(count, -1),
        "assistant": np.zeros(count, np.bool_),
        "asking": np.zeros(count, np.float32),
        "occurred_at": np.arange(count) * MINUTE,
    }
    return Columns(**(base | {name: np.asarray(value) for name, value in given_.items()}))


def posting(*rows, speakers=()):
    return Postings(np.array(rows, np.int64), np.ones(len(rows)), frozenset(speakers))


def one_session(count):
    previous = np.arange(count) - 1
    following = np.append(np.arange(1, count), -1)
    return {"previous": previous, "following": following}


@st.composite
def searches(draw, most=60):
    """Columns and a question over them, everything at random."""
    count = draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    breaks = random.random(count) < 0.2
    previous = np.where(breaks, -1, np.arange(count) - 1)
    previous[0] = -1
    following = np.full(count, -1)
    following[previous[previous >= 0]] = np.flatnonzero(previous >= 0)
    made = columns(
        count,
        length=random.integers(0, 40, count).astype(np.float32),
        previous=previous,
        following=following,
        speaker=random.integers(-1, 3, count),
        assistant=random.random(count) < 0.3,
        asking=random.random(count).astype(np.float32),
        occurred_at=random.integers(0, 5, count) * MINUTE,
        traits=random.integers(0, 4, count).astype(np.uint8),
    )
    postings = [
        Postings(
            np.flatnonzero(random.random(count) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))),
            np.ones(0),
            frozenset(draw(st.sets(st.integers(0, 2), max_size=1))),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    similarity = None
    if draw(st.booleans()):
        similarity = (random.random(count) * 2 - 1).astype(np.float32)
        similarity[random.random(count) < 0.2] = np.nan
    return made, Question(
        postings=[p._replace(counts=random.integers(1, 4, len(p.rows))) for p in postings],
        about_asker=draw(st.booleans()),
        asks_when=draw(st.booleans()),
        period=draw(st.sampled_from([None, (MINUTE, 3 * MINUTE)])),
        similarity=similarity,
    )


@given(searches(), st.integers(1, 70))
def test_the_addends_of_every_row_sum_to_its_score_exactly(search, k):
    made, question = search
    found = rank(made, question, k)
    for place, score in enumerate(found.scores):
        total = 0.0
        for addend in found.addends.values():
            total += addend[place]
        assert score == total
        assert np.isfinite(score)
        assert np.isclose(score, sum(found.explain(place).values()))


@given(searches(), st.integers(1, 70))
def test_rows_come_once_best_first_and_as_many_as_asked_for(search, k):
    made, question = search
    found = rank(made, question, k)
    assert len(found.rows) == min(k, len(made)) == len(set(found.rows.tolist()))
    order = [
        (-score, -made.occurred_at[row], row)
        for score, row in zip(found.scores, found.rows, strict=True)
    ]
    assert order == sorted(order)


@settings(max_examples=40)
@given(searches(most=40), st.integers(1, 20))
def test_the_first_rows_do_not_depend_on_how_many_are_asked_for(search, k):
    made, question = search
    everything = rank(made, question, len(made))
    assert everything.rows[:k].tolist() == rank(made, question, k).rows.tolist()


@settings(max_examples=40)
@given(searches(most=40))
def test_the_estimate_loses_no_row_that_shares_words_with_a_short_question(search):
    """Asked for few candidates, the best row is still the best row by words alone."""
    made, question = search
    alone = replace(question, similarity=None, period=None, about_asker=False, asks_when=False)
    plain = replace(
        WEIGHTS,
        around=(),
        speaker=0.0,
        question=0.0,
        short=0.0,
        assistant=0.0,
        speaker_words=0.0,
        rule=0.0,
    )
    whole = rank(made, alone, 1, plain)
    few = rank(made, alone, 1, replace(plain, candidates=1))
    if any(len(p.rows) for p in alone.postings) and not any(p.speakers for p in alone.postings):
        assert np.isclose(whole.scores[0], few.scores[0])


@pytest.mark.parametrize("seed", range(3))
def test_of_very_many_rows_the_best_are_those_of_scoring_all(seed, monkeypatch):
    """Above 32,768 rows fewer are looked at; a common term is looked up instead of written down."""
    random, count = np.random.default_rng(seed), 70_000
    made = columns(count, length=random.integers(1, 40, count), linked=np.empty(0, np.int64))
    shares = (0.6, 0.9, 0.02, 0.001)
    rows = [np.flatnonzero(random.random(count) < share) for share in shares]
    question = Question(
        postings=[Postings(r, random.integers(1, 4, len(r))) for r in rows],
        similarity=random.normal(size=count).astype(np.float32) / 10,
    )
    found = rank(made, question, 20)
    monkeypatch.setattr("haulout.index.rank._MANY", count)
    whole = rank(made, question, 20, replace(WEIGHTS, candidates=count))
    assert found.rows.tolist() == whole.rows.tolist()
    assert found.scores.tolist() == whole.scores.tolist()


def test_a_row_with_the_rare_word_beats_one_with_the_common_word():
    question = Question(postings=[posting(0, 1, 2, 3), posting(5)])
    assert rank(columns(10), question, 1).rows[0] == 5


def test_the_same_word_in_a_shorter_text_is_worth_more():
    lengths = np.array([40, 10, 25, 25], np.float32)
    found = rank(columns(4, length=lengths), Question(postings=[posting(0, 1)]), 2)
    assert found.rows.tolist() == [1, 0]


def test_a_turn_beside_the_words_comes_before_one_far_from_them():
    found = rank(columns(9, **one_session(9)), Question(postings=[posting(4)]), 3)
    assert found.rows[0] == 4
    assert {3, 5} == set(found.rows[1:].tolist())


def test_words_around_do_not_cross_into_another_session():
    apart = columns(4, previous=[-1, 0, -1, 2], following=[1, -1, 3, -1])
    found = rank(apart, Question(postings=[posting(1)]), 4)
    around = dict(zip(found.rows.tolist(), found.addends["words around"], strict=True))
    assert around[0] > 0
    assert around[2] == 0


def test_a_long_turn_between_keeps_two_turns_apart():
    near = columns(3, **one_session(3), length=np.array([12, 5, 12], np.float32))
    far = columns(3, **one_session(3), length=np.array([12, 400, 12], np.float32))
    question = Question(postings=[posting(0)])

    def around(made):
        found = rank(made, question, 3)
        return found.addends["words around"][found.rows.tolist().index(2)]

    assert around(near) > 10 * around(far)


def test_the_answer_is_lifted_by_the_words_of_its_question():
    asking = np.zeros(5, np.float32)
    asking[2] = 1
    found = rank(columns(5, **one_session(5), asking=asking), Question(postings=[posting(2)]), 3)
    places = found.rows.tolist()
    assert places.index(3) < places.index(1)


def test_what_the_named_person_said_comes_first():
    made = columns(4, speaker=[0, 1, 0, 1])
    question = Question(postings=[posting(speakers=[1]), posting(0, 1)])
    found = rank(made, question, 1)
    assert found.rows.tolist() == [1]
    assert found.explain(0)["speaker"] > 0


def test_what_the_person_said_comes_before_what_the_assistant_said():
    made = columns(4, assistant=[False, True, False, False])
    found = rank(made, Question(postings=[posting(0, 1)], about_asker=True), 2)
    assert found.rows.tolist() == [0, 1]


def test_of_two_turns_the_one_that_says_when_answers_when():
    made = columns(4, traits=[Trait.TELLS_TIME, 0, 0, 0])
    question = Question(postings=[posting(0, 1)], asks_when=True)
    assert rank(made, question, 2).rows.tolist() == [0, 1]
    assert rank(made, replace(question, asks_when=False), 2).rows.tolist() == [1, 0]


def test_a_short_turn_of_a_conversation_is_chatter_and_a_short_note_is_not():
    lengths = np.array([1, 1, 1, 1], np.float32)
    made = columns(4, length=lengths, previous=[-1, 0, -1, -1], following=[1, -1, -1, -1])
    found = rank(made, Question(postings=[posting(0, 3)]), 4)
    assert found.rows[0] == 3
    assert "short" not in found.explain(0)
    assert found.explain(1)["short"] < 0


def test_a_standing_rule_of_the_person_is_lifted_and_an_assistants_is_not():
    made = columns(3, traits=[Trait.STATES_RULE, Trait.STATES_RULE, 0], assistant=[False, True, 0])
    found = rank(made, Question(postings=[posting(0, 1, 2)]), 3)
    assert found.rows[0] == 0
    assert found.explain(0)["standing rule"] > 0
    assert "standing rule" not in found.explain(2)


def test_a_time_that_is_asked_about_lifts_that_day_and_the_days_after():
    day = 86_400_000_000
    made = columns(4, occurred_at=np.array([1, 2, 5, 30]) * day)
    found = rank(made, Question(postings=[], period=(2 * day, 3 * day)), 4)
    assert found.rows[:2].tolist() == [1, 2]
    assert found.explain(0)["time"] == pytest.approx(WEIGHTS.period)


def test_meaning_alone_finds_what_words_do_not():
    similarity = np.array([0.1, 0.1, 0.8, 0.1], np.float32)
    found = rank(columns(4), Question(postings=[posting()], similarity=similarity), 1)
    assert found.rows.tolist() == [2]


def test_a_memory_without_a_vector_is_neither_lost_nor_lifted():
    similarity = np.array([0.1, 0.5, np.nan, 0.3], np.float32)
    found = rank(columns(4), Question(postings=[], similarity=similarity), 4)
    meaning = dict(zip(found.rows.tolist(), found.addends["meaning"], strict=True))
    assert meaning[2] == 0
    assert meaning[1] > 0 > meaning[0]


@pytest.mark.parametrize("similarity", [None, np.full(5, np.nan), np.full(5, 0.3)])
def test_with_nothing_to_go_by_the_newest_come_first(similarity):
    if similarity is not None:
        similarity = similarity.astype(np.float32)
    made = columns(5, asking=np.array([0, 0, 0, 0, 1], np.float32))
    found = rank(made, Question(postings=[posting()], similarity=similarity), 3)
    assert found.rows.tolist() == [4, 3, 2]
    assert found.scores.tolist() == [0.0, 0.0, 0.0]


def test_ties_go_to_the_newer_then_to_the_lower_row():
    made = columns(4, occurred_at=[5, 9, 9, 1])
    found = rank(made, Question(postings=[posting(0, 1, 2, 3)]), 4)
    assert found.rows.tolist() == [1, 2, 0, 3]


def test_one_memory_is_found():
    found = rank(columns(1), Question(postings=[posting(0)]), 10)
    assert found.rows.tolist() == [0]
    assert found.scores[0] > 0


def test_no_memories_give_no_rows():
    assert len(rank(columns(0), Question(postings=[]), 10).rows) == 0
    assert len(rank(columns(3), Question(postings=[posting(0)]), 0).rows) == 0


@settings(max_examples=40)
@given(searches(most=30), st.randoms(use_true_random=False))
def test_a_score_does_not_depend_on_how_the_visible_rows_are_numbered(search, random):
    """Hidden memories between the visible ones change numbers, and numbers change no score."""
    made, question = search
    count = len(made)
    old = list(range(count))
    random.shuffle(old)
    new = np.argsort(old)
    new_or_none = np.append(new, -1)  # row -1 stays none
    moved = Columns(
        **{
            name: getattr(made, name)[old]
            for name in ("length", "speaker", "assistant", "asking", "occurred_at", "traits")
        },
        previous=new_or_none[made.previous[old]],
        following=new_or_none[made.following[old]],
    )
    asked = replace(
        question,
        postings=[p._replace(rows=new[p.rows]) for p in question.postings],
        similarity=None if question.similarity is None else question.similarity[old],
    )
    expected, found = rank(made, question, count), rank(moved, asked, count)
    score = dict(zip(found.rows.tolist(), found.scores, strict=True))
    moved_scores = [score[int(new[row])] for row in expected.rows]
    assert np.allclose(expected.scores, moved_scores, atol=1e-5)


def test_ten_thousand_memories_are_ranked_like_a_full_scan_would():
    """The estimate's few hundred hold the best ten of the exact scores."""
    random = np.random.default_rng(7)
    count = 10_000
    session = np.arange(count) // 20
    starts, ends = np.arange(count) % 20 == 0, np.arange(count) % 20 == 19
    made = columns(
        count,
        previous=np.where(starts, -1, np.arange(count) - 1),
        following=np.where(ends, -1, np.arange(count) + 1),
        speaker=session % 3,
        length=random.integers(3, 40, count).astype(np.float32),
    )
    postings = [
        Postings(np.flatnonzero(random.random(count) < share), np.ones(0))
        for share in (0.2, 0.05, 0.01, 0.002)
    ]
    question = Question(
        postings=[p._replace(counts=np.ones(len(p.rows))) for p in postings],
        similarity=(random.standard_normal(count) * 0.1).astype(np.float32),
    )
    exact = rank(made, question, 10, replace(WEIGHTS, candidates=count))
    assert len(set(exact.rows.tolist()) & set(rank(made, question, 10).rows.tolist())) >= 9
