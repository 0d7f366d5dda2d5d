"""What a question asks for: whose words, which words of it, and whether it asks for a time.

The turns of phrase are English. A question in another language is ranked by its words and its
meaning alone, as are English questions that none of these apply to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from haulout.language.tokens import analyze

_FIRST_PERSON: Final = re.compile(
    r"\b(?:i|me|my|mine|myself|we|us|our|ours|i['\u2019]\w+|we['\u2019]\w+)\b", re.IGNORECASE
)
_SECOND_PERSON: Final = re.compile(r"\b(?:you|your|yours|you['\u2019]\w+)\b", re.IGNORECASE)
_ASKS_WHEN: Final = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:date|day|week|month|year|time)\b"
    r"|\bhow (?:long|many (?:days|weeks|months|years))\b",
    re.IGNORECASE,
)
# "Always cite the source": at the start of a sentence and followed by what is to be done, not
# "always running" or "never been there".
_RULE: Final = re.compile(
    r"(?:^|[.!?;:]\s+)(?:(?:please|and|so|but),? )?(?:always|never) "
    r"(?!\w+(?:ing|ed|s)\b|(?:an?|the|in|on|at|by|up|to|my|so|been|had|has|have|was|is|did|do"
    r"|knew|thought|heard|felt|here|there|mind|give|quit|fun|good|great|too)\b)[a-z]"
    r"|\bfrom now on\b|\bwhen(?:ever)? I ask\b"
    r"|\bI(?:['\u2019]d| would)? (?:\w+ly |also |still )?prefer\b"
    r"|\bI(?:['\u2019]d like| would like| want| need| expect) you to\b"
    r"|\bI(?:['\u2019]d| would) rather you\b|\bmy preferences? (?:is|are|for)\b",
    re.IGNORECASE | re.MULTILINE,
)
_RULE_HINTS: Final = ("always", "never", "from now on", "i ask", "prefer", "you to", "rather you")
"""One of these stands in whatever the pattern of a rule matches."""
# Words with which people speak of the conversation itself: rare in what was said, so that by
# their rarity alone they would outweigh the subject of the question.
_REQUEST: Final = frozenset(
    analyze(
        "mention conversation chat discuss discussion tell talk list summary summarize summarise"
        " remind throughout across aspect describe explain different"
    )
)


def about_asker(question: str) -> bool:
    """Whether the asker asks about themselves and not about what they were told.

    "When does my sprint end?" is answered by what the asker said; "What did you suggest for my
    sprint?" by what was said to them.
    """
    return bool(_FIRST_PERSON.search(question)) and not _SECOND_PERSON.search(question)


def asks_when(question: str) -> bool:
    """Whether the answer is a time or a span of it."""
    return _ASKS_WHEN.search(question) is not None


def states_rule(text: str) -> bool:
    """Whether the text says how its writer wants things from now on, or prefers them."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _RULE_HINTS):
        return False  # 1 us instead of 25, for nearly every text
    return _RULE.search(text) is not None


def subject_terms(question: str) -> list[str]:
    """The different terms of a question that say what it is about, in order."""
    terms = list(dict.fromkeys(analyze(question)))
    return [term for term in terms if term not in _REQUEST] or terms


def name_terms(names: Sequence[str]) -> dict[str, frozenset[int]]:
    """The terms of people's names, each with the numbers of those who bear it."""
    bearers: dict[str, set[int]] = {}
    for number, name in enumerate(names):
        for term in analyze(name):
            bearers.setdefault(term, set()).add(number)
    return {term: frozenset(numbers) for term, numbers in bearers.items()}
