"""Noticing secrets in text: keys, tokens, card numbers and recovery phrases.

People paste secrets into chats, and an import would carry them on. Only shapes that mean a
secret and little else are looked for: prefixes that issuers chose to be recognised by,
blocks that name themselves, numbers and phrases that carry a checksum. A generic
"password: ..." is not looked for; it would cry wolf at every tutorial.

Each pattern can start only where a token starts, so that the search is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from mnemonic import Mnemonic

PRIVATE_KEY_CHARS_MAX = 16 * 1024  # the longest in use, a PGP key with subkeys, is under this


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's kind and where it stands: ``text[span[0]:span[1]]``."""

    kind: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: str
    hints: tuple[str, ...]  # without one of these in the text the pattern is not tried
    pattern: re.Pattern[str]


def _shape(kind: str, hints: str, pattern: str) -> _Shape:
    return _Shape(
        kind,
        tuple(hints.split()),
        re.compile(rf"(?<![A-Za-z0-9_\-]){pattern}(?![A-Za-z0-9])", re.ASCII),
    )


_SHAPES = (
    _shape("Anthropic API key", "sk-ant-", r"sk-ant-(?:api|admin|oat|sid)\d\d-[\w\-]{60,200}"),
    _shape(
        "OpenAI API key",
        "sk-proj- sk-svcacct- sk-admin-",
        r"sk-(?:proj|svcacct|admin)-[\w\-]{40,250}",
    ),
    _shape("OpenAI API key", "T3BlbkFJ", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    _shape("OpenRouter API key", "sk-or-", r"sk-or-v1-[0-9a-f]{64}"),
    _shape("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _shape("GitHub token", "github_pat_", r"github_pat_\w{60,255}"),
    _shape("GitLab token", "glpat-", r"glpat-[\w\-]{20,64}"),
    _shape("AWS access key ID", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    _shape(
        "AWS secret access key",
        "aws_secret_access_key AWS_SECRET_ACCESS_KEY SecretAccessKey",
        r"(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY|SecretAccessKey)"
        r"[\"']?\s{0,8}[=:]\s{0,8}[\"']?(?P<secret>[A-Za-z0-9/+]{40})",
    ),
    _shape("Google API key", "AIza", r"AIza[\w\-]{35}"),
    _shape("Google OAuth secret", "GOCSPX-", r"GOCSPX-[\w\-]{28}"),
    _shape("Slack token", "xox", r"xox[abeoprs]-[A-Za-z0-9\-]{20,250}"),
    _shape("Slack token", "xapp-", r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{40,80}"),
    _shape("Stripe key", "_live_", r"[rs]k_live_[A-Za-z0-9]{20,250}"),
    _shape("Hugging Face token", "hf_", r"hf_[A-Za-z]{34}"),
    _shape("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _shape("PyPI token", "pypi-AgE", r"pypi-AgE[\w\-]{50,1000}"),
    _shape("SendGrid API key", "SG.", r"SG\.[\w\-]{22}\.[\w\-]{43}"),
    _shape("Telegram bot token", ":AA", r"\d{8,10}:AA[\w\-]{33}"),
    _shape("Sui private key", "suiprivkey1", r"suiprivkey1[02-9ac-hj-np-z]{50,80}"),
    _shape(
        "JSON Web Token",
        "eyJ",
        r"eyJ[\w\-]{10,2000}\.eyJ[\w\-]{10,20000}\.[\w\-]{16,2000}",
    ),
    _shape(
        "private key in hexadecimal",
        "rivate PRIVATE",
        r"[Pp](?i:rivate)[ _\-]?(?i:key)\W{1,12}(?P<secret>(?:0x)?[0-9a-fA-F]{64})",
    ),
)
_SHAPES_BY_HINT = tuple((hint, shape) for shape in _SHAPES for hint in shape.hints)
_SHORTEST_CHARS = 13  # a card number; most titles, tags and names are done with here
_KEY_BLOCK = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_CARD = re.compile(r"(?<![\w.,\-+/#])\d(?:[ \-]?\d){12,18}(?![\w\-]|[.,]\d)", re.ASCII)
_CARD_ISSUER = re.compile(
    r"4\d{12}(?:\d{3}){0,2}\Z|5[1-5]\d{14}\Z|2[2-7]\d{14}\Z|3[47]\d{13}\Z|6(?:011|5\d\d)\d{12}\Z"
)
_CARD_GROUPS = (
    re.compile(r"\d{13,19}\Z"),
    re.compile(r"\d{4}([ \-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?\Z"),
    re.compile(r"\d{4}([ \-])\d{6}\1\d{5}\Z"),
)
# Twelve and more words of 3 to 8 letters in a row, as all BIP-39 words are, perhaps numbered.
# Prose has an "I", "of" or "to" sooner, so hardly a text goes past this first sieve.
_WORD = re.compile(r"[A-Za-z]+")
_WORD_RUN = re.compile(
    r"\b[A-Za-z]{3,8}"
    r"(?:[\"']?[\s,;]{1,4}(?:\d{1,2}[.):]?\s{0,2})?[\"']?[A-Za-z]{3,8}\b){11,}"
)
_PHRASE_LENGTHS = (24, 21, 18, 15, 12)
_PHRASE_RUN_WORDS_MAX = 120  # longer, it is the word list itself or filler, and slow to check


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order, none overlapping another."""
    found: list[Secret] = []
    if len(text) < _SHORTEST_CHARS:
        return found
    for search in (_find_shapes, _find_key_blocks, _find_cards, _find_phrases):
        found.extend(search(text))
    found.sort(key=lambda secret: (secret.span[0], -secret.span[1]))
    apart: list[Secret] = []
    for secret in found:
        if not apart or secret.span[0] >= apart[-1].span[1]:
            apart.append(secret)
    return apart


def redact(text: str, secrets: list[Secret]) -> str:
    """The text with ``[secret: kind]`` where each secret stood."""
    kept: list[str] = []
    at = 0
    for secret in secrets:
        start, end = secret.span
        kept += text[at:start], f"[secret: {secret.kind}]"
        at = end
    return "".join((*kept, text[at:]))


def _find_shapes(text: str) -> Iterator[Secret]:
    for hint, shape in _SHAPES_BY_HINT:
        if hint in text:
            group = "secret" if "secret" in shape.pattern.groupindex else 0
            for match in shape.pattern.finditer(text):
                yield Secret(shape.kind, match.span(group))


def _find_key_blocks(text: str) -> Iterator[Secret]:
    at = 0
    while (begin := _KEY_BLOCK.search(text, at)) is not None:
        label = begin.group()[len("-----BEGIN ") :]
        close = "-----END " + label
        end = text.find(close, begin.end(), begin.end() + PRIVATE_KEY_CHARS_MAX)
        if end >= 0:
            at = end + len(close)
        else:  # cut short: what follows up to an empty line, or the limit, still is the key
            blank = text.find("\n\n", begin.end(), begin.end() + PRIVATE_KEY_CHARS_MAX)
            at = blank if blank >= 0 else min(len(text), begin.end() + PRIVATE_KEY_CHARS_MAX)
        yield Secret("private key", (begin.start(), at))


def _find_cards(text: str) -> Iterator[Secret]:
    for match in _CARD.finditer(text):
        written = match.group()
        digits = written.replace(" ", "").replace("-", "")
        if (
            any(group.match(written) for group in _CARD_GROUPS)
            and _CARD_ISSUER.match(digits)
            and len(set(digits)) > 3  # noqa: PLR2004 - 4444 4444 ... is a placeholder
            and _luhn(digits)
        ):
            yield Secret("card number", match.span())


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004
    return total % 10 == 0


@cache
def _phrase_words() -> dict[str, int]:
    return {word: place for place, word in enumerate(Mnemonic("english").wordlist)}


def _find_phrases(text: str) -> Iterator[Secret]:
    """BIP-39 phrases, our own 24-word recovery kit among them, with their checksum right."""
    for candidate in _WORD_RUN.finditer(text):
        words = _phrase_words()
        run: list[re.Match[str]] = []
        for match in _WORD.finditer(text, *candidate.span()):
            if match.group().lower() in words:
                run.append(match)
            else:
                yield from _phrases_in(run, words)
                run = []
        yield from _phrases_in(run, words)


def _phrases_in(run: list[re.Match[str]], words: dict[str, int]) -> Iterator[Secret]:
    at = len(run) if len(run) > _PHRASE_RUN_WORDS_MAX else 0
    while len(run) - at >= _PHRASE_LENGTHS[-1]:
        for length in _PHRASE_LENGTHS:
            part = run[at : at + length]
            if len(part) == length and _checks([words[match.group().lower()] for match in part]):
                yield Secret("recovery phrase", (part[0].start(), part[-1].end()))
                at += length
                break
        else:
            at += 1


def _checks(places: list[int]) -> bool:
    bits = "".join(f"{place:011b}" for place in places)
    size = len(bits) * 32 // 33
    entropy = int(bits[:size], 2).to_bytes(size // 8, "big")
    return f"{sha256(entropy).digest()[0]:08b}".startswith(bits[size:])
