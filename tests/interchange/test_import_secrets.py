"""Noticing secrets: what is found, what is not, and that it is never told."""

import time

import pytest
from interchange import fixtures as fx
from interchange.fixtures import chatgpt_conversation, message, save, to_lines
from mnemonic import Mnemonic

from haulout.interchange import find_secrets, import_file
from haulout.interchange.secrets import redact

# Put together here, so that no scanner of this repository takes them for real ones.
GITHUB = "ghp_" + "aB3dE6gH9j" * 3 + "kLmNoP"
PHRASE = Mnemonic("english").to_mnemonic(bytes(range(32)))
SHORT_PHRASE = Mnemonic("english").to_mnemonic(bytes(range(16)))
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAbc=\n-----END RSA PRIVATE KEY-----"

SECRETS = {
    "Anthropic API key": "sk-ant-api03-" + "aB3_" * 20,
    "OpenAI API key": "sk-proj-" + "aB3-" * 20,
    "OpenRouter API key": "sk-or-v1-" + "0a" * 32,
    "GitHub token": GITHUB,
    "GitLab token": "glpat-" + "aB3dE6gH9j" * 2,
    "AWS access key ID": "AKIA" + "ABCDEFGH234567QR",
    "Google API key": "AIza" + "aB3dE6gH9jK" * 3 + "xy",
    "Slack token": "xoxb-" + "123456789012-abcdefGHIJKL",
    "Stripe key": "sk_live_" + "aB3dE6gH9j" * 3,
    "Hugging Face token": "hf_" + "abCdEfGhIj" * 3 + "kLmN",
    "npm token": "npm_" + "aB3dE6gH9j" * 3 + "kLmNoP",
    "SendGrid API key": "SG." + "a" * 22 + "." + "b" * 43,
    "Telegram bot token": "1234567890:AA" + "b" * 33,
    "Sui private key": "suiprivkey1" + "qz02x3c4v5" * 6,
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "s" * 43,
    "private key": PEM,
    "card number": "4539 1488 0343 6467",
    "recovery phrase": PHRASE,
}


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=SECRETS.keys())
@pytest.mark.parametrize(
    "around", ["{}", "key: {}", "It is\n{}\nkeep it.", "“{}”, she said", "({})"]
)
def test_a_secret_is_found_exactly(kind, secret, around):
    text = around.format(secret)
    (found,) = find_secrets(text)
    assert found.kind == kind
    assert text[slice(*found.span)] == secret
    assert redact(text, [found]) == around.format(f"[secret: {kind}]")


@pytest.mark.parametrize(
    ("text", "kind", "secret"),
    [
        ("aws_secret_access_key = " + "aB3/" * 10, "AWS secret access key", "aB3/" * 10),
        ("my private key: 0x" + "0a" * 32, "private key in hexadecimal", "0x" + "0a" * 32),
    ],
)
def test_some_are_secrets_only_by_what_stands_before_them(text, kind, secret):
    (found,) = find_secrets(text)
    assert (found.kind, text[slice(*found.span)]) == (kind, secret)


@pytest.mark.parametrize("phrase", [PHRASE, SHORT_PHRASE])
def test_a_phrase_is_found_numbered_in_commas_and_in_capitals(phrase):
    words = phrase.split()
    numbered = "\n".join(f"{n}. {word}" for n, word in enumerate(words, 1))
    for text in (numbered, ", ".join(words), phrase.upper(), f"it is: {phrase}. Bye"):
        assert [found.kind for found in find_secrets(text)] == ["recovery phrase"]


def test_a_key_block_cut_short_is_found_to_its_end():
    text = f"Here:\n{PEM[:40]}\n\nThat was it."
    (found,) = find_secrets(text)
    assert text[slice(*found.span)] == PEM[:40]


def test_several_are_found_in_order_and_apart():
    text = f"{GITHUB} and {GITHUB} and {SECRETS['card number']}"
    found = find_secrets(text)
    assert [secret.kind for secret in found] == ["GitHub token"] * 2 + ["card number"]


@pytest.mark.parametrize(
    "text",
    [
        "Use sk-... as your key; ghp_ is the prefix, AKIA too.",
        "OPENAI_API_KEY=sk-proj-xxxx",
        "password: hunter2",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "tx 0x" + "ab" * 32,
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "order 4539148803436468",  # the checksum is wrong
        "4444 4444 4444 4444, 4111 1111 1111 1111",  # placeholders
        "ISBN 978-3-16-148410-0, +4539148803436467",
        "1760000000000 1760000000000000",
        "version 4.4539148803436467, 0.4539148803436467",
        "id_4539148803436467x",
        "eyJ is how a token starts. eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----",
        "abandon ability able about above absent absorb abstract absurd abuse access accident",
        "The quick brown fox jumps over the lazy dog while people talk about their garden again.",
        "AKIAIOSFODNN7EXAMPLEX",
    ],
)
def test_what_only_looks_like_a_secret_is_let_be(text):
    assert find_secrets(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 300_000,
        "eyJ" + "a" * 900_000,
        "eyJaaaaaaaaaaaa." * 60_000,
        "sk-ant-api03-" * 70_000,
        "-----BEGIN PRIVATE KEY-----" * 40_000,
        "4" * 1_000_000,
        "4 " * 500_000,
        "abandon " * 120_000,
        "abandon " * 110 + "xyzzy " + "zoo able about, 1. " * 40_000,
        "private key " * 80_000,
        "AKIA" * 250_000,
    ],
    ids=range(11),
)
def test_the_search_takes_time_in_proportion_to_the_text(text):
    started = time.process_time()
    find_secrets(text)
    assert time.process_time() - started < 3


def import_with(tmp_path, shelf, policy):
    way = [
        message("user", f"My token is {GITHUB}, keep it."),
        message("assistant", "I will not."),
    ]
    given = chatgpt_conversation("x", way, title=f"Token {GITHUB}")
    path = save(tmp_path, "x", [given])
    return import_file(path, shelf, secrets=policy)


def test_secrets_are_kept_and_reported_by_kind_and_place_but_never_told(tmp_path, shelf):
    report = import_with(tmp_path, shelf, "keep")
    assert f"My token is {GITHUB}, keep it." in shelf.texts()
    assert dict(report.secrets) == {"GitHub token": 3}  # one in the words, two in titles
    assert report.secret_notices[0].place == "x, element 0, message x-0"
    assert GITHUB not in repr(report)
    assert GITHUB not in str(report.to_builtins())


def test_secrets_are_written_over_wherever_they_stand(tmp_path, shelf):
    import_with(tmp_path, shelf, "redact")
    assert GITHUB not in repr(shelf.items)
    assert "My token is [secret: GitHub token], keep it." in shelf.texts()
    assert shelf.by_text("I will not.")["metadata"] == {"title": "Token [secret: GitHub token]"}


def test_texts_with_secrets_are_skipped_and_counted(tmp_path, shelf):
    report = import_with(tmp_path, shelf, "skip")
    assert GITHUB not in repr(shelf.items)
    assert report.left_out["holds a secret"] == 2


def test_own_export_lines_are_searched_in_every_field(tmp_path, shelf):
    line = {
        "text": "x",
        "tags": [GITHUB],
        "speaker": GITHUB,
        "metadata": {GITHUB: [{"deep": GITHUB}]},
    }
    report = import_file(save(tmp_path, "x", to_lines([line])), shelf, secrets="redact")
    assert GITHUB not in repr(shelf.items)
    assert GITHUB not in repr(report)
    assert report.secrets["GitHub token"] == 4


def test_a_secret_across_the_cut_of_a_long_text_is_still_found(tmp_path, shelf):
    text = "x" * (1024 * 1024 - 20) + " " + GITHUB + " " + "y" * 100
    path = save(tmp_path, "x", to_lines([{"text": text}]))
    assert import_file(path, shelf, secrets="redact").secrets["GitHub token"] == 1
    assert not any("ghp_" in item["text"] for item in shelf.items.values())


def test_broken_json_around_a_secret_does_not_tell_it(tmp_path, shelf):
    content = (
        fx.to_json(fx.chatgpt_conversations())[:-1] + b', {"title": ' + GITHUB.encode() + b"}]"
    )
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.problem_count == 1
    assert GITHUB not in repr(report)
