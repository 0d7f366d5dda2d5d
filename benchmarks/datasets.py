"""LoCoMo and BEAM as conversations of turns with questions and gold turns, for measuring only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes one memory."""

    id: str
    text: str
    speaker: str
    session: int
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    gold: tuple[str, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Conversation:
    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


LOCOMO_CATEGORIES = {
    1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial",
}  # fmt: skip


def locomo(folder: Path = DATA) -> list[Conversation]:
    """The ten conversations of ``locomo10.json``, or none when the file is absent."""
    path = folder / "locomo" / "locomo10.json"
    if not path.exists():
        return []
    return [_locomo_conversation(sample) for sample in json.loads(path.read_text("utf-8"))]


def _locomo_conversation(sample: dict[str, Any]) -> Conversation:
    conversation = sample["conversation"]
    sessions = sorted(
        int(m[1]) for key in conversation if (m := re.fullmatch(r"session_(\d+)", key))
    )
    turns: list[Turn] = []
    for session in sessions:
        day = conversation[f"session_{session}_date_time"]
        occurred_at = datetime.strptime(day, "%I:%M %p on %d %B, %Y")  # noqa: DTZ007 - no zone told
        for said in conversation[f"session_{session}"]:
            caption = said.get("blip_caption")
            text = said["text"] + (f" [image: {caption}]" if caption else "")
            turns.append(Turn(said["dia_id"], text, said["speaker"], session, occurred_at))
    known = {turn.id for turn in turns}
    questions = tuple(
        Question(q["question"], gold, LOCOMO_CATEGORIES[q["category"]])
        for q in sample["qa"]
        if (gold := _evidence(q.get("evidence", []), known))
    )
    return Conversation(sample["sample_id"], tuple(turns), questions)


def _evidence(ids: list[str], known: set[str]) -> tuple[str, ...]:
    """Dialog IDs mended where they are malformed: joined by ";", "D:11:26", "D30:05"."""
    mended = (f"D{int(s)}:{int(t)}" for i in ids for s, t in re.findall(r"D:?(\d+):(\d+)", i))
    return tuple(dict.fromkeys(i for i in mended if i in known))


def beam(folder: Path = DATA) -> list[Conversation]:
    """The chats of ``beam-100k``, or none when the folder is absent."""
    chats = (folder / "beam-100k").glob("*/chat.json")
    return [_beam_conversation(path) for path in sorted(chats, key=lambda p: int(p.parent.name))]


def _beam_conversation(path: Path) -> Conversation:
    turns: list[Turn] = []
    day: datetime | None = None
    for batch in json.loads(path.read_text("utf-8")):
        for message in (message for turn in batch["turns"] for message in turn):
            if anchor := message.get("time_anchor"):
                day = datetime.strptime(anchor, "%B-%d-%Y")  # noqa: DTZ007 - no zone told
            number, session = str(message["id"]), batch["batch_number"]
            turns.append(Turn(number, message["content"], message["role"], session, day))
    known = {turn.id for turn in turns}
    probing = json.loads((path.parent / "probing_questions.json").read_text("utf-8"))
    questions = tuple(
        Question(q["question"], gold, ability.replace("_", " "))
        for ability, asked in probing.items()
        for q in asked
        if (
            gold := tuple(dict.fromkeys(i for i in _leaves(q.get("source_chat_ids")) if i in known))
        )
    )
    return Conversation(f"beam-{path.parent.name}", tuple(turns), questions)


def _leaves(ids: object) -> Iterator[str]:
    if isinstance(ids, dict):
        ids = list(ids.values())
    if isinstance(ids, list):
        for one in ids:
            yield from _leaves(one)
    elif ids is not None:
        yield str(ids)
