"""Exports of Gemini, Grok and Copilot, of people who do not exist; one builder for each form."""

from __future__ import annotations

from collections.abc import Sequence

from interchange.fixtures import to_json, to_zip

# --- Gemini -----------------------------------------------------------------------------

ACTIVITY_FOLDER = "Takeout/My Activity/Gemini Apps"


def record(title: str, time: str, *answers: str, **fields: object) -> dict:
    held: dict[str, object] = {
        "header": "Gemini Apps",
        "title": title,
        "time": time,
        "products": ["Gemini Apps"],
        "activityControls": ["Gemini Apps Activity"],
    }
    if answers:
        held["safeHtmlItem"] = [{"html": answer} for answer in answers]
    return held | fields


RYE = "<p>Use a <b>starter</b>:</p><ol><li>Feed it</li><li>Wait &amp; see</li></ol>"


def gemini_records() -> list[dict]:
    """Newest first, as Google writes them. Three prompts with two answers: five turns."""
    return [
        record("Used Gemini Apps", "2026-03-04T09:30:00.000Z"),
        record("Prompted How long?", "2026-03-04T09:00:00.500Z", "<p>A day.</p>"),
        record(
            "Prompted Why is rye\nbread sour?",
            "2026-03-04T08:31:01.250Z",
            RYE,
            subtitles=[{"name": "Attached 1 file."}, {"name": "-  rye.png", "url": "rye.png"}],
        ),
        record("Created Gemini Canvas titled Bread", "2026-03-03T08:00:00.000Z"),
        record("Gave feedback: Good response", "2026-03-03T07:00:00.000Z"),
        record("Prompted Say nothing", "2026-03-02T08:00:00.000Z"),
        record("Watched a video", "2026-03-01T08:00:00Z", header="YouTube", products=["YouTube"]),
    ]


GEMINI_TURNS = [
    ("user", "How long?"),
    ("assistant", "A day."),
    ("user", "Why is rye\nbread sour?"),
    ("assistant", "Use a starter:\n\n1. Feed it\n2. Wait & see"),
    ("user", "Say nothing"),
]
GEMINI_LEFT_OUT = {"not a prompt": 3, "no text": 1, "of another product": 1}


def gemini_older() -> list[dict]:
    """Records with details, whose link tells the conversation."""
    link = "https://gemini.google.com/app/1a2b3c4d5e6f"
    return [
        {
            "header": "Bard",
            "title": "Used Bard",
            "titleUrl": link,
            "time": f"2024-05-06T07:0{minute}:00.000Z",
            "products": ["Bard"],
            "details": [{"name": "Request", "value": ask}, {"name": "Response", "value": answer}],
        }
        for minute, ask, answer in ((9, "And barley?", "Less."), (1, "Is rye hardy?", "Yes, <so>."))
    ]


def cell(
    asked: str, time: str, answer: str = "", *, product: str = "Gemini Apps", link: str = ""
) -> str:
    """One activity of the page."""
    return (
        '<div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid">'
        '<div class="header-cell mdl-cell mdl-cell--12-col">'
        f'<p class="mdl-typography--title">{product}<br></p></div>'
        '<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1">'
        f"{asked}<br>{time}<br>{answer}</div>"
        '<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1 '
        'mdl-typography--text-right"></div>'
        '<div class="content-cell mdl-cell mdl-cell--12-col mdl-typography--caption">'
        f"<b>Products:</b><br>&emsp;{product}<br>{link}</div></div></div>"
    )


def page(*cells: str, title: str = "My Activity") -> bytes:
    style = "<style>.outer-cell{margin:0}</style>" + "<style>.x{}</style>" * 50
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title>{style}</head>"
        f'<body><div class="mdl-grid">{"".join(cells)}</div></body></html>'
    ).encode()


def gemini_page() -> bytes:
    """What ``gemini_records`` says, as the page that is Google's default."""
    files = 'Attached 1 file.<br>-&nbsp;<a href="rye.png">rye.png</a>'
    return page(
        cell("Used&nbsp;Gemini Apps", "Mar 4, 2026, 10:30:00\u202fAM CET"),
        cell("Prompted&nbsp;How long?", "Mar 4, 2026, 10:00:00\u202fAM CET", "<p>A day.</p>"),
        cell(
            f"Prompted&nbsp;Why is rye<br>bread sour?<br>{files}",
            "Mar 4, 2026, 9:31:01\u202fAM CET",
            RYE,
        ),
        cell("Created&nbsp;Gemini Canvas titled Bread", "Mar 3, 2026, 9:00:00 AM CET"),
        cell("Gave feedback: Good response", "Mar 3, 2026, 8:00:00 AM CET"),
        cell("Prompted&nbsp;Say nothing", "Mar 2, 2026, 9:00:00 AM CET"),
        cell("Watched&nbsp;a video", "Mar 1, 2026, 9:00:00 AM CET", product="YouTube"),
    )


def gemini_takeout(*, html: bool) -> bytes:
    name = f"{ACTIVITY_FOLDER}/MyActivity.{'html' if html else 'json'}"
    return to_zip(
        {
            name: gemini_page() if html else gemini_records(),
            "Takeout/My Activity/Search/MyActivity.json": [
                record("Searched for rye", "2026-03-01T08:00:00Z", header="Search", products=[])
            ],
            "Takeout/archive_browser.html": b"<html><body>Gemini</body></html>",
        }
    )


def workspace_conversation() -> dict:
    """Five turns of which three are taken."""
    return {
        "title": "Sourdough",
        "creation_time": "2026-01-02T03:04:05Z",
        "last_modification_time": "2026-01-02T04:00:00Z",
        "conversation_turns": [
            {"user_turn": {"prompt": "Is it ready?", "turn_index": 0,
                           "turn_last_modified": "2026-01-02T03:05:00Z"}},
            {"system_turn": {"text": [{"data": "Poke it."}, {"cards": [{"content": "A card."}]}],
                             "images": ["a"], "model_thoughts": [{"headline": "Dough"}],
                             "turn_index": 1}},
            {"user_turn": {"prompt": "Gone.", "turn_deleted_time": "2026-01-02T05:00:00Z"}},
            {"system_turn": {"text": ["It sprang back."]}},
            {"herald_turn": {}},
        ],
    }  # fmt: skip


WORKSPACE_TURNS = [
    ("user", "Is it ready?"),
    ("assistant", "Poke it.\n\nA card."),
    ("assistant", "It sprang back."),
]
WORKSPACE_LEFT_OUT = {"deleted by the person": 1, "not understood": 1}


def workspace_zip() -> bytes:
    folder = "Takeout/Gemini in Workspace/Conversation History"
    second = workspace_conversation() | {"creation_time": "2026-02-02T03:04:05Z"}
    return to_zip(
        {
            f"{folder}/conversation_1.txt": workspace_conversation(),
            f"{folder}/conversation_2.txt": second,
            f"{folder}/readme.txt": b"Read me.",
        }
    )


# --- Grok -------------------------------------------------------------------------------


def response(number: int, sender: str, message: str, **fields: object) -> dict:
    """Dates as MongoDB writes them, but for odd numbers, which are ISO 8601."""
    milliseconds = 1_770_000_000_000 + number * 1000
    date: object = {"$date": {"$numberLong": str(milliseconds)}}
    if number % 2:
        date = f"2026-02-02T02:40:{number:02}.000000Z"
    return {
        "response": {
            "_id": f"r{number}",
            "conversation_id": "g1",
            "message": message,
            "sender": sender,
            "create_time": date,
            "parent_response_id": f"r{number - 1}" if number else None,
            "model": "grok-5",
        }
        | fields
    }


CARD = '<grok:render card_id="1" type="citation"><argument name="id">2</argument></grok:render>'


def grok_conversations() -> list[dict]:
    """Two conversations: nine responses, five of them taken."""
    tides = {
        "conversation": {
            "id": "g1",
            "title": "Tides",
            "create_time": "2026-02-02T02:39:59.000000Z",
            "modify_time": "2026-02-02T03:00:00.000000Z",
        },
        "responses": [
            response(0, "human", "When is low tide?"),
            response(1, "ASSISTANT", "At noon.", parent_response_id="r0"),
            response(2, "assistant", f"At one.{CARD}", parent_response_id="r0"),
            response(3, "Human", "Thanks.", parent_response_id="r2", file_attachments=["f"]),
            response(4, "assistant", " "),
            response(5, "herald", "Hear."),
        ],
    }
    knots = {
        "conversation": {"id": "g2", "title": "", "create_time": {"$date": 1_770_100_000_000}},
        "responses": [
            response(10, "human", "Which knot?", create_time=None, parent_response_id=None),
            response(11, "Assistant", "A bowline."),
            {"response": None},
        ],
    }
    return [tides, knots]


GROK_TURNS = [
    ("user", "When is low tide?"),
    ("assistant", "At one."),
    ("user", "Thanks."),
    ("user", "Which knot?"),
    ("assistant", "A bowline."),
]
GROK_LEFT_OUT = {"on another branch": 1, "no text": 1, "not understood": 2}


def grok_document(conversations: Sequence[dict] | None = None) -> dict:
    held = grok_conversations() if conversations is None else list(conversations)
    return {
        "projects": [{"conversations": [{"not": "this"}]}],
        "conversations": held,
        "tasks": [{"prompt": 'Every day, {"conversations": ['}],
        "media_posts": [],
    }


def grok_zip() -> bytes:
    folder = "ttl/30d/export_data/5f0e"
    return to_zip(
        {
            f"{folder}/prod-grok-backend.json": grok_document(),
            f"{folder}/prod-mc-auth-mgmt-api.json": {"user": {"email": "maud@example.org"}},
            f"{folder}/prod-mc-asset-server/1/content": b"\x89PNG",
        }
    )


# --- Copilot ----------------------------------------------------------------------------

COPILOT_CSV = (
    "\ufeffConversation,Time,Author,Message\r\n"
    'Poems,2026-04-05T06:07:10,AI,"Roses, red.\n""Violets"" too.\n\nFin"\r\n'
    "Poems,2026-04-05T06:07:09,Human,Write a poem\r\n"
    "Poems,4/5/2026 6:08:00 PM,Human,Shorter\r\n"
    "Poems,,Human,yes\r\n"
    "Poems,,Human,yes\r\n"
    "Soup,someday,AI,Leek.\r\n"
    "Soup,2026-04-06T00:00:00,AI,\r\n"
    "Soup,2026-04-06T00:00:01,Herald,Hear\r\n"
    "\r\n"
)
COPILOT_TURNS = [
    ("assistant", 'Roses, red.\n"Violets" too.\n\nFin'),
    ("user", "Write a poem"),
    ("user", "Shorter"),
    ("user", "yes"),
    ("user", "yes"),
    ("assistant", "Leek."),
]
COPILOT_LEFT_OUT = {"no text": 1, "not understood": 1}

COPILOT_OTHER_CSV = (
    '"CreatedAt","MessageContent","Author","ChatName","Region"\n'
    '"2026-04-05T06:07:09","Write a poem","Human","Poems","EU"\n'
    '"2026-04-05T06:07:10","Roses, red.\n""Violets"" too.\n\nFin","AI","Poems","EU"\n'
)


def gemini_json() -> bytes:
    return to_json(gemini_records())
