"""What a question asks for is read from its wording."""

import pytest

from haulout.language.mentions import about_asker, asks_when, name_terms, states_rule, subject_terms


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("When does my sprint end?", True),
        ("Have I worked with Flask?", True),
        ("What\u2019ve we decided?", True),
        ("What did you recommend for my sprint?", False),
        ("When did Caroline go?", False),
        ("Is the iPhone new?", False),
    ],
)
def test_a_question_about_the_asker_says_i_and_not_you(question, about):
    assert about == about_asker(question)


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("When did they meet?", True),
        ("In which month did she move?", True),
        ("How long has he lived there?", True),
        ("Who did they meet?", False),
        ("How many dogs are there?", False),
    ],
)
def test_a_question_for_a_time_is_told_from_others(question, asks):
    assert asks == asks_when(question)


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("Always answer in Celsius when I ask about the weather.", True),
        ("Thanks. Never use emojis, please.", True),
        ("From now on call me Sam", True),
        ("I\u2019d really prefer trains over planes", True),
        ("I want you to check twice", True),
        ("Always running around, those two", False),
        ("Never been there!", False),
        ("I have always loved it", False),
        ("I want to check twice", False),
    ],
)
def test_a_standing_wish_is_told_from_a_story(text, states):
    assert states == states_rule(text)


def test_words_about_the_conversation_are_not_the_subject():
    assert subject_terms("Remind me what we discussed about the garden") == ["garden"]


def test_a_question_made_of_such_words_keeps_them():
    assert subject_terms("our conversation") == ["convers"]


def test_each_subject_term_comes_once():
    assert subject_terms("dogs and a dog") == ["dog"]


def test_a_name_of_two_words_is_known_by_either():
    terms = name_terms(["Ann Lee", "Bruce Lee"])
    assert {"ann": {0}, "lee": {0, 1}, "bruce": {1}} == terms
