"""A ChatGPT data export of people who do not exist, in the form that ChatGPT writes.

A few conversations are written out, because the demo asks about them later. The others fill
the history, as they do in a real one: the same kind of talk over two years.
"""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

RARE_WORD = "Zephyrquartz"
"""Stands in two messages and nowhere else; the demo erases both."""

_START = 1_704_790_800  # 9 January 2024, 09:00 UTC
_DAY = 86_400
_FILLED = 40

_WRITTEN: list[tuple[str, int, list[str]]] = [
    (
        "Dinner on Friday",
        96,
        [
            "Ana comes for dinner on Friday. She is allergic to walnuts, so no pesto with them.",
            "Then try a pesto of basil and pumpkin seeds; it is nut-free and just as green.",
            "Good. Bo does not eat fish, by the way, and Ana loves anything with lemon.",
            "Lemon risotto with roasted fennel suits all three of you.",
        ],
    ),
    (
        "A name for the boat",
        210,
        [
            "We bought the old ferry in Ribnik and want to live on it. It needs a name.",
            "How about Meadowlark? It is cheerful, and nobody on that river has it.",
            "Meadowlark it is. Jonas keeps the spare key until the paint is dry.",
            "I hope the paint dries quickly. Congratulations on the Meadowlark!",
        ],
    ),
    (
        "The novel",
        301,
        [
            f"My novel has the working title {RARE_WORD}. Nobody may know that yet.",
            f"{RARE_WORD} is a striking title. I can help you with the first chapter.",
            "The first chapter begins in a lighthouse, at low tide.",
            "A lighthouse at low tide gives you silence and a horizon. Begin with a sound.",
        ],
    ),
    (
        "Back pain",
        388,
        [
            "My physiotherapist, Dr. Okonjo, wants me to swim twice a week for my back.",
            "Swimming is kind to the spine. Backstroke first, and warm up the shoulders.",
        ],
    ),
]

_THINGS = [
    ("the garden", "plant the tomatoes", "after the last frost, in the sunniest corner"),
    ("the bicycle", "change the chain", "every three thousand kilometres, with a chain tool"),
    ("sourdough", "feed the starter", "twice a day, flour and water in equal weight"),
    ("the piano", "practise scales", "slowly, hands apart, ten minutes before the pieces"),
    ("the tax return", "keep the receipts", "seven years, sorted by year and then by kind"),
    ("Portuguese", "learn the subjunctive", "by whole sentences; tables alone do not stay"),
    ("the old camera", "meter in snow", "one stop and a half over what the needle says"),
    ("the allotment", "turn the compost", "every fortnight, and keep it as moist as a sponge"),
    ("chess", "answer the Caro-Kann", "with the advance variation, and patience"),
    ("the stove", "season the pan", "with a thin coat of oil, an hour in a hot oven"),
]
_ASKED = ["How do I {do}?", "When should I {do}?", "I never know how to {do}.", "Help me {do}."]
_MORE = [
    "And if it goes wrong the first time?",
    "My neighbour Edda says the opposite.",
    "I tried that on Sunday and it nearly worked.",
    "Is there a quicker way?",
]
_REPLIES = [
    "Then begin again with half as much, and write down what you changed.",
    "Both work; choose one and stay with it for a month.",
    "Nearly is good. Do it once more at the same hour and compare.",
    "Not one that lasts. The slow way is the short one here.",
]


def write(path: Path) -> int:
    """Write the export to ``path``; return how many messages stand in it."""
    conversations = [_conversation(*one) for one in _talks()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(conversations))
        archive.writestr("user.json", json.dumps({"id": "user-mira", "email": "mira@example.org"}))
        archive.writestr("chat.html", "<html></html>")
    return sum(len(one["mapping"]) - 1 for one in conversations)


def _talks() -> list[tuple[str, int, list[str]]]:
    dice = random.Random(7)
    talks = list(_WRITTEN)
    for number in range(_FILLED):
        thing, do, how = _THINGS[number % len(_THINGS)]
        lines = [dice.choice(_ASKED).format(do=do), f"Best {how}."]
        for _ in range(2):
            turn = dice.randrange(len(_MORE))
            lines += [_MORE[turn], _REPLIES[turn]]
        talks.append((f"About {thing}, {number + 1}", 17 * number + 5, lines))
    return sorted(talks, key=lambda talk: talk[1])


def _conversation(title: str, day: int, lines: list[str]) -> dict[str, Any]:
    identity = f"{title.lower().replace(' ', '-')}-{day}"
    began = _START + day * _DAY
    root = f"{identity}-root"
    nodes: dict[str, dict[str, Any]] = {
        root: {"id": root, "parent": None, "children": [], "message": None}
    }
    parent = root
    for number, words in enumerate(lines):
        node = f"{identity}-{number}"
        role = ("user", "assistant")[number % 2]
        nodes[node] = {
            "id": node,
            "parent": parent,
            "children": [],
            "message": {
                "id": node,
                "author": {"role": role, "name": None, "metadata": {}},
                "create_time": began + 40 * number,
                "content": {"content_type": "text", "parts": [words]},
                "status": "finished_successfully",
                "weight": 1.0,
                "recipient": "all",
                "metadata": {},
            },
        }
        nodes[parent]["children"].append(node)
        parent = node
    return {
        "title": title,
        "create_time": began,
        "update_time": began + 40 * len(lines),
        "mapping": nodes,
        "current_node": parent,
        "conversation_id": identity,
        "id": identity,
    }
