"""Exports of people who do not exist, one builder for each form, and a vault of a few lines."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from haulout.errors import InputError, OperationReusedError


@dataclass
class Result:
    created: bool
    erased: bool = False


@dataclass
class Shelf:
    """``remember_many`` with the rule for operation IDs, all or none, and a memory of calls."""

    items: dict[str, dict] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    batches: list[int] = field(default_factory=list)

    def __call__(self, items: Sequence[Mapping[str, object]]) -> list[Result]:
        pending: dict[str, dict] = {}
        results: list[Result] = []
        for item in items:
            op_id, body = str(item["op_id"]), dict(item)
            check(body)
            if op_id in self.erased:
                results.append(Result(created=False, erased=True))
                continue
            known = self.items.get(op_id) or pending.get(op_id)
            if known is not None and known != body:
                raise OperationReusedError(f"Operation {op_id} had another body.")
            results.append(Result(created=known is None))
            pending[op_id] = body
        self.items.update(pending)
        self.batches.append(len(items))
        return results

    def texts(self) -> list[str]:
        return [item["text"] for item in self.items.values()]

    def by_text(self, text: str) -> dict:
        (found,) = [item for item in self.items.values() if item["text"] == text]
        return found


ITEM_FIELDS = {
    "text", "namespace", "kind", "speaker", "session", "occurred_at", "valid_from",
    "valid_until", "tags", "metadata", "source", "op_id",
}  # fmt: skip


def check(item: dict) -> None:
    """What the vault promises to take; anything else is refused as it would be there."""
    if item["text"] == "refuse me":
        raise InputError("Not this one.")
    assert item.keys() <= ITEM_FIELDS
    assert item["text"].strip()
    assert len(item["text"].encode()) <= 1024 * 1024
    assert item["op_id"].startswith("import:")
    assert len(item["op_id"]) <= 255
    for name in ("occurred_at", "valid_from", "valid_until"):
        assert name not in item or item[name].tzinfo is not None
    assert all(isinstance(tag, str) and tag for tag in item.get("tags", ()))
    assert isinstance(item.get("tags", ()), tuple)
    names = [item[name] for name in ("kind", "speaker", "session", "namespace") if name in item]
    assert all(
        name.strip() and len(name.encode()) <= 255 for name in (*names, *item.get("tags", ()))
    )
    assert len(item.get("source", "").encode()) <= 2048
    assert len(json.dumps(item.get("metadata", {}), allow_nan=False)) <= 400 * 1024


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def to_zip(members: Mapping[str, bytes | str | object]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else to_json(content))
    return held.getvalue()


def save(folder: Path, name: str, content: bytes | str | object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content if isinstance(content, bytes) else to_json(content))
    return path


# --- ChatGPT ----------------------------------------------------------------------------

START = 1_760_000_000.0  # 9 October 2025, 08:53:20 UTC


def message(
    role: str = "user",
    *parts: object,
    content: dict | None = None,
    time: float | None = START,
    recipient: str = "all",
    weight: float = 1.0,
    **metadata: object,
) -> dict:
    return {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": time,
        "content": content or {"content_type": "text", "parts": list(parts)},
        "status": "finished_successfully",
        "weight": weight,
        "recipient": recipient,
        "channel": None,
        "metadata": metadata,
    }


def chatgpt_conversation(
    name: str,
    way: Sequence[dict],
    branches: Mapping[int, Sequence[dict]] | None = None,
    **fields: object,
) -> dict:
    """A conversation whose current way is ``way``; ``branches[n]`` leave it after message n."""
    root = f"{name}-root"
    nodes: dict[str, dict] = {root: {"id": root, "parent": None, "children": [], "message": None}}

    def add(node: str, parent: str, held: dict) -> None:
        nodes[node] = {
            "id": node,
            "parent": parent,
            "children": [],
            "message": {"id": node, **held},
        }
        nodes[parent]["children"].append(node)

    parent = root
    for number, held in enumerate(way):
        add(f"{name}-{number}", parent, held)
        parent = f"{name}-{number}"
    for after, held_list in (branches or {}).items():
        from_node = f"{name}-{after}"
        for number, held in enumerate(held_list):
            add(f"{name}-{after}-branch-{number}", from_node, held)
            from_node = f"{name}-{after}-branch-{number}"
    return {
        "title": f"About {name}",
        "create_time": START - 60,
        "update_time": START + 600,
        "mapping": nodes,
        "current_node": parent,
        "conversation_id": f"conversation-{name}",
        "id": f"conversation-{name}",
        "is_archived": False,
        "is_do_not_remember": False,
        "default_model_slug": "gpt-5",
    } | fields


def chatgpt_conversations() -> list[dict]:
    """Three conversations: 14 messages, of which 5 are speech and 4 lead to saved memories."""
    tea = chatgpt_conversation(
        "tea",
        [
            message("system", "You are helpful.", is_visually_hidden_from_conversation=True),
            message("user", "I only drink white tea.", time=START),
            message("assistant", "User prefers white tea.", time=START + 1, recipient="bio"),
            message("tool", "Model set context updated.", time=START + 2),
            message("assistant", "Noted: white tea.", time=START + 3, model_slug="gpt-5"),
        ],
        branches={1: [message("assistant", "An answer made anew."), message("user", "Odd.")]},
    )
    boat = chatgpt_conversation(
        "boat",
        [
            message(
                content={
                    "content_type": "user_editable_context",
                    "user_profile": "The user said:\n```Ilse builds boats in Vlieland.```",
                    "user_instructions": "The user asked:\n```Answer in short sentences.```",
                },
                is_visually_hidden_from_conversation=True,
            ),
            message("user", "Which glue for oak?", {"content_type": "image_asset_pointer"}, None),
            message("assistant", "search('glue oak')", recipient="browser"),
            message("assistant", "Resorcinol \ue200cite\ue202turn0search1\ue201glue.", time=None),
        ],
    )
    memory = chatgpt_conversation(
        "memory",
        [
            message(
                "assistant",
                content={
                    "content_type": "model_editable_context",
                    "model_set_context": "# Model Set Context\n\n1. [2025-02-03]. Ilse has a dog.\n"
                    "2. [2025-04-05]. Ilse moved\nto Vlieland.",
                },
            ),
            message("user", "What is my dog called?"),
        ],
    )
    return [tea, boat, memory]


CHATGPT_TAKEN = {"turn": 5, "fact": 3, "preference": 2}
CHATGPT_LEFT_OUT = {
    "hidden": 1,
    "by the tool": 1,
    "on another branch": 2,
    "sent to a tool": 1,
}


def chatgpt_zip() -> bytes:
    return to_zip(
        {
            "conversations.json": chatgpt_conversations(),
            "user.json": {"id": "user-x", "email": "ilse@example.org"},
            "shared_conversations.json": [{"id": "s", "mapping": {}}],
            "chat.html": b"<html></html>",
        }
    )


def chatgpt_shards_zip() -> bytes:
    tea, boat, memory = chatgpt_conversations()
    return to_zip({"conversations-000.json": [tea, boat], "conversations-001.json": [memory]})


# --- Claude -----------------------------------------------------------------------------


def claude_message(number: int, sender: str, *blocks: dict, **fields: object) -> dict:
    return {
        "uuid": f"m{number}",
        "sender": sender,
        "text": "",
        "content": list(blocks),
        "created_at": f"2026-03-01T10:0{number}:00.000000Z",
        "attachments": [],
        "files": [],
    } | fields


def said(words: str) -> dict:
    return {"type": "text", "text": words, "citations": []}


def claude_conversation(**fields: object) -> dict:
    """Five messages and two attachments: four turns and one document are taken."""
    return {
        "uuid": "conversation-1",
        "name": "Bees",
        "summary": "",
        "created_at": "2026-03-01T09:59:00.000000Z",
        "updated_at": "2026-03-02T09:59:00.000000Z",
        "account": {"uuid": "account-1"},
        "chat_messages": [
            claude_message(
                0,
                "human",
                {"type": "injected_prompt_block", "text": "Be kind."},
                said("How do I winter a hive?"),
                attachments=[
                    {"file_name": "hive.txt", "extracted_content": "Hive 3 weighs 31 kg."},
                    {"file_name": "hive.png", "extracted_content": ""},
                ],
                files=[{"file_name": "hive.png"}],
            ),
            claude_message(
                1,
                "assistant",
                {"type": "thinking", "thinking": "The person keeps bees."},
                {"type": "tool_use", "name": "search", "input": {"mapping": {}}},
                {"type": "tool_result", "content": []},
                {"type": "token_budget"},
                said("Wrap it."),
                said("Feed it."),
            ),
            claude_message(2, "human", said("Thanks, Odile here.")),
            claude_message(3, "assistant", text="Written before blocks."),
            claude_message(4, "assistant", {"type": "tool_use", "name": "search", "input": {}}),
        ],
    } | fields


CLAUDE_LEFT_OUT = {"an attachment without text": 1, "no text": 1}


def claude_memories(*, files: bool = False) -> dict:
    held: dict[str, object] = {
        "conversations_memory": "**Work**\n\nOdile keeps bees.\n\n**Home**\n\nShe has a loom.",
        "project_memories": {"project-1": "The almanac is due in May."},
        "account_uuid": "account-1",
    }
    if files:
        held["memory_files"] = [
            {
                "path": "/memories/garden.md",
                "content": "# Garden\n- pear trees\n- sandy soil",
                "updated_at": "2026-09-30T08:00:00Z",
            },
            {"path": "../../etc/passwd", "content": "root", "updated_at": None},
            {"path": "memories/garden.md", "content": "again", "updated_at": None},
        ]
    return held


def claude_project(**fields: object) -> dict:
    return {
        "uuid": "project-1",
        "name": "Almanac",
        "description": "A year of bees",
        "prompt_template": "Write plainly.",
        "created_at": "2026-01-02T03:04:05Z",
        "docs": [
            {"uuid": "doc-1", "filename": "may.md", "content": "Swarms in May.", "created_at": ""}
        ],
    } | fields


def claude_2023() -> bytes:
    """Before blocks and before projects: messages of text alone, with their number."""
    said_then = [("human", "Can bees smell smoke?"), ("assistant", "They can."), ("human", "")]
    messages = [
        {
            "uuid": f"old{number}",
            "text": words,
            "sender": sender,
            "index": number,
            "created_at": f"2023-08-09T10:1{number}:00.000000+00:00",
            "updated_at": f"2023-08-09T10:1{number}:00.000000+00:00",
            "edited_at": None,
            "chat_feedback": None,
            "attachments": [],
        }
        for number, (sender, words) in enumerate(said_then)
    ]
    conversation = {
        "uuid": "conversation-0",
        "name": "",
        "created_at": "2023-08-09T10:09:00.000000+00:00",
        "updated_at": "2023-08-09T10:19:00.000000+00:00",
        "chat_messages": messages,
    }
    users = [{"uuid": "account-1", "full_name": "Odile", "email_address": "odile@example.org"}]
    return to_zip({"conversations.json": [conversation], "users.json": users})


def claude_2025() -> bytes:
    """Blocks, an account, projects in one file, and no memories yet."""
    spelled_otherwise = [
        claude_message(5, "Human", content="Written as one string."),
        claude_message(6, "", said("Under another name."), role="assistant"),
    ]
    older = claude_conversation(uuid="conversation-2", chat_messages=spelled_otherwise)
    project = claude_project()
    project["docs"][0] = {"uuid": "doc-1", "file_name": "may.md", "content": "Swarms in May."}
    return to_zip(
        {
            "conversations.json": [claude_conversation(), older],
            "projects.json": [project],
            "users.json": [{"uuid": "account-1", "full_name": "Odile"}],
        }
    )


def claude_september() -> dict[str, bytes]:
    """The several ZIPs of September 2026: memory in one object a person, and no files in it."""
    return claude_archives() | {
        "memories-000.zip": to_zip({"memories/account-1.json": claude_memories()})
    }


def claude_february() -> bytes:
    return to_zip(
        {
            "conversations.json": [claude_conversation()],
            "projects.json": [claude_project(), claude_project(is_starter_project=True)],
            "users.json": [{"uuid": "account-1", "email_address": "odile@example.org"}],
            "memories.json": [claude_memories()],
        }
    )


def claude_may() -> bytes:
    return to_zip(
        {
            "conversations.json": [claude_conversation()],
            "projects/project-1.json": claude_project(),
            "users.json": [{"uuid": "account-1"}],
            "memories.json": [claude_memories()],
        }
    )


def claude_archives() -> dict[str, bytes]:
    """The several ZIPs of September and October 2026."""
    return {
        "conversations-000.zip": to_zip({"conversations.json": [claude_conversation()]}),
        "memories-000.zip": to_zip({"memories/account-1.json": claude_memories(files=True)}),
        "projects-000.zip": to_zip({"projects/project-1.json": claude_project()}),
        "light_metadata-000.zip": to_zip({"users.json": [], "login_history.json": {}}),
    }


def claude_manifest(names: Sequence[str]) -> dict:
    return {
        "created_at": "2026-10-01T00:00:00Z",
        "data_files": [
            {"category": "all", "export_url": f"https://example.org/x/{name}?token=abc"}
            for name in names
        ],
    }


def save_claude(folder: Path, archives: Mapping[str, bytes]) -> Path:
    """The manifest, with its ZIPs beside it."""
    for name, content in archives.items():
        save(folder, name, content)
    return save(folder, "anything-at-all", claude_manifest(list(archives)))


def save_claude_october(folder: Path) -> Path:
    return save_claude(folder, claude_archives())


# --- Markdown, pasted text and JSON Lines ------------------------------------------------

MEMORY_MD = """---
title: "What I know of Tomas"
created: 2026-02-03
tags: [tomas, people]
metadata:
  type: user
---

# Coffee
Dark roast, no sugar.

- Grinds by hand
  - a Comandante
- [2026-04-05] - Bought a scale

```python
# not a heading
- not an item
```

Habits
======
1. Up at six
2. Reads *before* work

<!-- a comment
- hidden
-->
## 2026-05-06
Ran ten kilometres.
"""

PASTED = """Here is everything I remember about you:

```text
## Instructions
[2026-01-02] - Always answer in Dutch.
[unknown] - "Never use tables."

**Personal**
[2026-02-03] - Wim lives in Vlieland
and keeps sheep.
- Wim has two daughters

3. Projects
1. [2026-03-04] — A barn, half built

### Tools & technologies
[2026-04] - Uses a lathe

# Preferences:
[someday] - Dark bread

## Career
[2026-05-06] - Was a pilot

Other
[2026-06-07] - Plays chess
```

That is the complete set.
"""
CHAT_LINES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "yes", "timestamp": "2026-06-07T08:09:10+02:00"},
    {"role": "assistant", "content": [{"type": "text", "text": "Good."}, {"type": "image"}]},
    {"role": "user", "content": "yes"},
    {"role": "user", "content": "yes"},
    {"role": "user", "content": ""},
]

OWN_LINES = [
    {
        "id": "memory-1",
        "namespace": "work/acme",
        "text": "Review on Tuesdays.",
        "kind": "preference",
        "speaker": "user",
        "session": "s1",
        "occurred_at": "2026-01-02T03:04:05.678901Z",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": None,
        "tags": ["work"],
        "metadata": {"depth": {"two": 2}},
        "source": "cli",
    },
    {"text": "No ID."},
    {"text": "  "},
]


def to_lines(values: Sequence[object]) -> bytes:
    return b"".join(to_json(value) + b"\n" for value in values)
