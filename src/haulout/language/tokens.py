"""Words of a text as search terms: the one analyzer shared by the index and by learning.

The steps, in order: NFKC, lower case, accents folded, words cut (scripts written without
spaces as overlapping character pairs), English stop words dropped, irregular English forms
and Snowball stems joined. Numbers are kept. Whatever changes the terms of any text changes
``ANALYZER`` too: rows indexed under another name are indexed again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import Stemmer  # pyright: ignore[reportMissingTypeStubs]

ANALYZER: Final = "haulout-english-cjk-1"

# A word of a person's vocabulary returns soon: 65,536 stems are about 8 MB and keep a warm
# 20-word text under 60 µs, where a cold one costs 2 µs a stem.
_STEMS_KEPT: Final = 65_536
# Longer words are hashes, keys and encoded bytes: nobody asks for them by their ending.
_LONGEST_STEMMED: Final = 40
_LONGEST_TERM: Final = 64

# Scripts written without spaces between words, and Hangul, whose particles stick to words.
_UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # iteration marks, Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af"  # Hangul syllables
)
# Vowel signs of the Indic scripts are marks, not letters, yet part of the word.
_LETTER: Final = rf"(?:[^\W_{_UNSPACED}]|[\u0900-\u0963\u0966-\u0dff])"
_TOKEN: Final = re.compile(
    rf"(?P<number>\d+(?:[.,]\d+)+(?![^\W_]))|(?P<word>{_LETTER}+(?:'{_LETTER}+)*)"
    rf"|(?P<run>[{_UNSPACED}]+)"
)
_ASCII_TOKEN: Final = re.compile(r"\d+(?:[.,]\d+)+(?![a-z0-9])|[a-z0-9]+(?:'[a-z0-9]+)*")
_ORDINAL: Final = re.compile(r"(\d+)(?:st|nd|rd|th)")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")

STOP_WORDS: Final = frozenset(
    """
    a about above after again against all also am an and any are aren't as at be because been
    before being below between both but by can can't cannot could couldn't did didn't do does
    doesn't doing don't down during each few for from further had hadn't has hasn't have haven't
    having he he'd he'll he's her here here's hers herself him himself his how how's i i'd i'll
    i'm i've if in into is isn't it it'd it'll it's its itself just let's me more most mustn't my
    myself no nor not now of off on once only or other ought our ours ourselves out over own
    really s same shan't she she'd she'll she's should shouldn't so some such t than that that'd
    that'll that's the their theirs them themselves then there there's these they they'd they'll
    they're they've this those through to too under until up us very was wasn't we we'd we'll
    we're we've were weren't what what's when when's where where's which while who who's whom
    whose why why's will with won't would wouldn't yes you you'd you'll you're you've your yours
    yourself yourselves d ll m re ve
    """.split()  # noqa: SIM905 - a page of quotes reads worse
)

# A question asks "did she buy", the answer says "bought": stems alone never meet.
_IRREGULAR_FORMS: Final = """
be: been | become: became | begin: began begun | bite: bit bitten | blow: blew blown
break: broke broken | bring: brought | build: built | buy: bought | catch: caught
choose: chose chosen | come: came | deal: dealt | draw: drew drawn | dream: dreamt
drink: drank drunk | drive: drove driven | eat: ate eaten | fall: fell fallen | feed: fed
feel: felt | fight: fought | find: found | fly: flew flown | forget: forgot forgotten
forgive: forgave forgiven | freeze: froze frozen | get: got gotten | give: gave given
go: went gone goes | grow: grew grown | hang: hung | hear: heard | hide: hid hidden
hold: held | keep: kept | know: knew known | lead: led | learn: learnt | leave: left
lend: lent | lose: lost | make: made | mean: meant | meet: met | pay: paid
ride: rode ridden | ring: rang rung | rise: rose risen | run: ran
say: said | see: saw seen | sell: sold | send: sent | shake: shook shaken | shoot: shot
show: shown | sing: sang sung | sink: sank sunk | sit: sat | sleep: slept | speak: spoke spoken
spend: spent | stand: stood | steal: stole stolen | stick: stuck | strike: struck
swear: swore sworn | swim: swam swum | take: took taken | teach: taught | tear: tore torn
tell: told | think: thought | throw: threw thrown | understand: understood
wake: woke woken | wear: wore worn | win: won | write: wrote written
child: children | foot: feet | goose: geese | life: lives | man: men | mouse: mice
person: people | tooth: teeth | wife: wives | woman: women
"""


def _irregulars(table: str) -> dict[str, str]:
    rows = (row.split(":") for row in table.replace("\n", "|").split("|") if row.strip())
    return {form: base.strip() for base, forms in rows for form in forms.split()}


_IRREGULAR: Final = _irregulars(_IRREGULAR_FORMS)
_FOLDED_SPECIALLY: Final = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th",
    "\u0131": "i", "ħ": "h", "\u2019": "'", "\u2018": "'", "\u02bc": "'",  # dotless i, apostrophes
}  # fmt: skip


class _Folding(dict[int, str]):
    """A table for ``str.translate`` that learns each character the first time it is met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = _FOLDED_SPECIALLY.get(character, character)
        # Latin, Greek and Cyrillic only: the marks of other scripts carry the meaning.
        if code < 0x0530 or 0x1E00 <= code < 0x2000:  # noqa: PLR2004 - Unicode block borders
            base = unicodedata.normalize("NFD", character)[0]
            folded = folded if folded != character else base
        if unicodedata.combining(character) and (code < 0x0900 or 0x1AB0 <= code < 0x2100):  # noqa: PLR2004
            folded = ""  # a free accent, or Arabic and Hebrew vowel points, which writers omit
        self[code] = folded
        return folded


_FOLDING: Final = _Folding()


def fold(text: str) -> str:
    """The text in the form in which words are compared: NFKC, lower case, without accents."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).lower().translate(_FOLDING)


@lru_cache(maxsize=_STEMS_KEPT)
def stem(word: str) -> str:
    """The term a folded word is indexed under, or an empty string for a stop word."""
    if word in STOP_WORDS:
        return ""
    if "'" in word:
        word = _without_apostrophe(word)
    if word in STOP_WORDS:
        return ""
    if word[0].isdigit():
        return _number(word)[:_LONGEST_TERM]
    if len(word) > _LONGEST_STEMMED or not word.isascii():
        return word[:_LONGEST_TERM]
    # A stemmer keeps its word as state and is not safe to share; a new one costs 2 us.
    stemmer = Stemmer.Stemmer("english", 0)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] no stubs
    return str(stemmer.stemWord(_IRREGULAR.get(word, word)))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _without_apostrophe(word: str) -> str:
    """Caroline's -> caroline, l'amour -> amour, rock'n'roll -> rocknroll."""
    head, _, tail = word.rpartition("'")
    if len(tail) <= 2 and len(head) > 2:  # noqa: PLR2004 - 's, 'd, 'll against l', d', qu', o'
        return head.replace("'", "")
    head, _, tail = word.partition("'")
    return tail.replace("'", "") if len(head) <= 2 else word.replace("'", "")  # noqa: PLR2004


def _number(word: str) -> str:
    if _THOUSANDS.fullmatch(word):
        return word.replace(",", "")
    ordinal = _ORDINAL.fullmatch(word)
    digits = ordinal[1] if ordinal else word
    return digits.lstrip("0") or "0" if digits.isdecimal() else digits


def _pairs(run: str) -> Iterable[str]:
    return (run[i : i + 2] for i in range(len(run) - 1)) if len(run) > 1 else (run,)


def analyze(text: str) -> list[str]:
    """The search terms of a text, in order, with repetitions."""
    if text.isascii():
        return [term for word in _ASCII_TOKEN.findall(text.lower()) if (term := stem(word))]
    terms: list[str] = []
    for match in _TOKEN.finditer(fold(text)):
        if match.lastgroup == "run":
            terms.extend(_pairs(match[0]))
        elif term := stem(match[0]):
            terms.append(term)
    return terms
