"""Memory as text to paste, in and out: every rule of docs/spec/import.md and export.md, by name."""

import io
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interchange import fixtures as fx
from interchange.fixtures import Shelf, save

from haulout.interchange import detect, import_file, transfer_text
from haulout.vault.values import Memory

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEMS = [
    ("preference", ("instructions",), "2026-01-02", "Always answer in Dutch."),
    ("preference", ("instructions",), None, '"Never use tables."'),
    ("fact", (), "2026-02-03", "Wim lives in Vlieland\nand keeps sheep."),
    ("fact", (), None, "Wim has two daughters"),
    ("note", ("projects",), "2026-03-04", "A barn, half built"),
    ("note", ("tools",), None, "Uses a lathe"),
    ("preference", (), None, "Dark bread"),
    ("note", (), "2026-05-06", "Was a pilot"),
    ("note", (), "2026-06-07", "Plays chess"),
]


def as_items(shelf: Shelf) -> list[tuple]:
    return [
        (
            item["kind"],
            item.get("tags", ()),
            item["occurred_at"].date().isoformat() if "occurred_at" in item else None,
            item["text"],
        )
        for item in shelf.items.values()
    ]


def memory(text: str, kind: str = "fact", **fields: object) -> Memory:
    given_fields: dict = {"id": f"{crc32(f'{kind} {text}'.encode()):026d}", "namespace": "default"}
    given_fields |= {
        "recorded_at": NOW,
        "updated_at": NOW,
        "occurred_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return Memory(text=text, kind=kind, **(given_fields | fields))


def written(*memories: Memory) -> str:
    return transfer_text(memories, now=NOW)[0]


def read_back(text: str) -> Shelf:
    shelf = Shelf()
    import_file(io.BytesIO(text.encode()), shelf)
    return shelf


# --- reading ----------------------------------------------------------------------------


def test_an_answer_as_assistants_give_it_is_read_item_by_item(tmp_path, shelf):
    path = save(tmp_path, "x.txt", fx.PASTED)
    assert detect(path).name == "transfer"
    report = import_file(path, shelf)
    assert as_items(shelf) == ITEMS
    assert (report.seen, report.taken, dict(report.left_out)) == (9, 9, {})
    assert dict(report.not_understood) == {"group: Career": 1, "date of an item": 2}
    assert dict(report.parts_dropped) == {"line around the block": 2}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.split("```text\n")[1].split("```")[0],
        lambda text: text.replace("```\n\nThat is the complete set.\n", ""),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("```", "~~~"),
        lambda text: text.replace("[20", "- [20").replace("1. - [", "* ["),
    ],
    ids=["no block", "cut short", "carriage returns", "tildes", "bullets"],
)
def test_the_same_items_come_from_every_way_to_write_them(shelf, change):
    import_file(io.BytesIO(change(fx.PASTED).encode()), shelf)
    assert as_items(shelf) == ITEMS


def test_the_same_answer_a_month_later_adds_only_what_is_new(shelf):
    import_file(io.BytesIO(fx.PASTED.encode()), shelf)
    later = fx.PASTED.replace("Other\n", "Other\n[2026-07-08] - Has a new boat\n")
    later = later.replace("## Instructions\n", "## Instructions\n[2026-06-07] - Plays chess\n", 1)
    report = import_file(io.BytesIO(later.encode()), shelf)
    assert (report.added, report.already_there) == (1, 9)  # one item moved to another group
    assert report.left_out == {"repeated in the source": 1}


def test_a_line_that_is_no_item_is_counted(shelf):
    text = fx.PASTED.replace("**Personal**", "These are old:\n\n**Personal**")
    report = import_file(io.BytesIO(text.encode()), shelf)
    assert len(shelf.items) == 9
    assert dict(report.left_out) == {"not understood": 1}


@pytest.mark.parametrize(
    "content",
    [
        "# Coffee\n- Dark roast\n- [2026-04-05] - Bought a scale\n- Grinds by hand\n- Likes it\n",
        "# Log\nProse.\n\n```\n[2026-01-02] - started\n[2026-01-03] - stopped\n```\n"
        + "More prose, and much of it.\n\n" * 9,
        "## Preferences\n- Short answers\n",
    ],
)
def test_notes_that_hold_a_dated_line_or_a_log_stay_markdown(tmp_path, content):
    assert detect(save(tmp_path, "x", content)).name == "markdown"


# --- writing ----------------------------------------------------------------------------


def test_items_stand_in_their_groups_with_their_dates_oldest_first():
    text = written(
        memory("Later.", occurred_at=datetime(2026, 3, 4, tzinfo=UTC)),
        memory("Earlier."),
        memory("In Dutch.", "preference", tags=("instructions",)),
        memory("A barn.", "note", tags=("project",)),
        memory("A lathe.", "note", tags=("tools",)),
        memory("Dark bread.", "preference"),
        memory("Chess.", "habit", occurred_at=None),
    )
    assert text == (
        "```\n"
        "## Instructions\n[2026-01-02] - In Dutch.\n\n"
        "## Personal\n[2026-01-02] - Earlier.\n[2026-03-04] - Later.\n\n"
        "## Projects\n[2026-01-02] - A barn.\n\n"
        "## Tools\n[2026-01-02] - A lathe.\n\n"
        "## Preferences\n[2026-01-02] - Dark bread.\n\n"
        "## Other\n[2026-11-24] - Chess.\n"
        "```\n"
        "This is all of it: 7 memories.\n"
    )


NASTY = [
    "```\ncode\n```",
    "a\n````python\nb\n````\n## Personal\n[2020-01-01] - fake\n- item\n**Bold**",
    "one\n\n\n  three, indented\n\ttabbed\n   \nend",
    "[2020-01-01] - looks like an item",
    "- looks like one too",
    "## Tools",
    "~~~\nx",
    "This is all of it: 0 memories.",
    "line\u2028separator and \u202e turned",
]


def test_a_text_is_data_whatever_stands_in_it():
    memories = [memory(text, kind) for text in NASTY for kind in ("fact", "preference", "note")]
    shelf = read_back(written(*memories))
    assert sorted(set(shelf.texts())) == sorted(NASTY)
    only_facts = read_back(written(*(memory(text) for text in NASTY)))
    assert {item["kind"] for item in only_facts.items.values()} == {"fact"}
    assert len(only_facts.items) == len(NASTY)


words = st.text(
    st.sampled_from("ab `~#*[]-:.01\n\t\u2028") | st.characters(exclude_categories=("Cs", "Cc")),
    max_size=40,
).filter(lambda text: text == text.strip() and bool(text))


@settings(max_examples=200, deadline=None)
@given(
    given_memories=st.lists(
        st.tuples(
            words,
            st.sampled_from(["fact", "preference", "note"]),
            st.dates(date(1980, 1, 1), date(2026, 1, 1)),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[0],
    )
)
def test_what_is_written_is_read_back_with_texts_kinds_and_dates(given_memories):
    memories = [
        memory(text, kind, occurred_at=datetime(day.year, day.month, day.day, tzinfo=UTC))
        for text, kind, day in given_memories
    ]
    text, loss = transfer_text(memories, now=NOW)
    assert not loss.not_told
    found = {
        (item["text"], item["kind"], item["occurred_at"]) for item in read_back(text).items.values()
    }
    assert found == {(one.text, one.kind, one.occurred_at) for one in memories}


def test_only_what_is_true_now_and_was_learned_is_written():
    text, loss = transfer_text(
        [
            memory("true"),
            memory("was", valid_until=NOW),
            memory("will be", valid_from=NOW + timedelta(seconds=1)),
            memory("said", "turn"),
            memory("filed", "document"),
            memory("\x00\x01", "note"),
        ],
        now=NOW,
    )
    assert text.count("] - ") == loss.memories == 1
    assert loss.left_out == {
        "no longer true": 1,
        "not true yet": 1,
        "of the kind turn": 1,
        "of the kind document": 1,
        "no text": 1,
    }


def test_the_loss_names_every_field_the_text_has_no_place_for():
    _, loss = transfer_text(
        [
            memory("plain"),
            memory(
                " full\x07 ",
                "habit",
                namespace="work",
                speaker="Wim",
                session="s",
                occurred_at=NOW,
                valid_from=NOW,
                tags=("x",),
                metadata={"a": 1},
                source="y",
                version=2,
            ),
            memory("undated", occurred_at=None),
        ],
        now=NOW,
    )
    names = (
        "kind tags|time of day|speaker|session|metadata|source|validity|earlier versions|namespace"
        "|control characters, or space around the text|that it has no time"
    )
    assert dict(loss.not_told) == dict.fromkeys(names.replace("kind ", "kind|").split("|"), 1)


def test_no_control_character_reaches_the_text():
    text = written(memory("a\x1b[31m red\x00 \x9b bell\x07\r\nnext"))
    assert not any(character in text for character in "\x1b\x00\x9b\x07\r")


def test_secrets_are_counted_by_kind_and_never_repeated_in_the_report():
    secret = "ghp_" + "a1B2" * 9
    _, loss = transfer_text([memory(f"key {secret}")], now=NOW)
    assert dict(loss.secrets) == {"GitHub token": 1}
    assert secret not in str(loss.to_builtins())


def test_nothing_to_write_is_an_empty_block_that_says_so():
    assert written() == "```\n\n```\nThis is all of it: 0 memories.\n"
