"""A model provider on this machine: OpenAI's and Anthropic's wire formats over real HTTP.

It answers what it was told to, whole or as server-sent events, and keeps what it was asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Events = Iterator[tuple[str | None, Any]]


@dataclass
class Reply:
    """What the provider says next.

    `pieces` are what a stream's events carry; `tool` makes it a call of a tool as well, with
    `arguments`, in a `namespace` as Codex gives its servers one; `status` another than 200 an
    error; `cut` ends the connection after so many pieces; `gate` holds the answer back until it
    is set.
    """

    text: str = "Understood."
    tool: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    namespace: str | None = None
    status: int = 200
    cut: int | None = None
    gate: threading.Event | None = None
    began: threading.Event = field(default_factory=threading.Event)

    @property
    def pieces(self) -> list[str]:
        return [self.text[n : n + 7] for n in range(0, len(self.text), 7)]

    @property
    def input(self) -> str:
        return json.dumps(self.arguments)


class Cut(Exception):  # noqa: N818 - the line goes dead, nobody erred
    """The connection ends here."""


class Provider:
    """The server. `asked` holds each request: its path and its body.

    It says `replies` one after the other, or what `script` makes of a request's body.
    """

    def __init__(self, script: Callable[[dict[str, Any]], Reply] | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.replies: list[Reply] = []
        self.script = script or (lambda _: self.replies.pop(0) if self.replies else Reply())
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.asked.append((self.path, {}))
                model = {"id": "model-1", "object": "model", "created": 1, "owned_by": "us"}
                listed = {"object": "list", "data": [model], "has_more": False}
                self.whole(200, listed | {"first_id": "model-1", "last_id": "model-1"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                provider.asked.append((self.path, body))
                reply = provider.script(body)
                reply.began.set()
                if reply.gate is not None:
                    assert reply.gate.wait(60)
                if reply.status != 200:
                    error = {"type": "an_error", "message": "not now"}
                    self.whole(reply.status, {"type": "error", "error": error})
                    return
                kind = self.path.rpartition("/v1")[2].partition("?")[0]
                if body.get("stream"):
                    self.events(STREAMS[kind](reply, body))
                else:
                    self.whole(200, WHOLE[kind](reply, body))

            def whole(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def events(self, events: Events) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for name, data in events:
                        text = f"event: {name}\n" if name else ""
                        text += f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
                        self.chunk(text.encode())
                    self.chunk(b"")
                except Cut:
                    self.close_connection = True
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client has heard enough

            def chunk(self, data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self.asked]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def pieces_of(reply: Reply) -> Iterator[str]:
    for number, piece in enumerate(reply.pieces):
        if number == reply.cut:
            raise Cut
        yield piece


# --- chat completions ------------------------------------------------------------------------

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
CHAT = {"id": "chatcmpl-1", "created": 1_750_000_000, "model": "model-1"}


def chat(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool:
        call = {"name": reply.tool, "arguments": reply.input}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    choice = {"index": 0, "message": message, "logprobs": None}
    choice["finish_reason"] = "tool_calls" if reply.tool else "stop"
    other = {"index": 1, "message": message | {"content": "Another."}, "finish_reason": "stop"}
    choices = [other, choice] if body.get("n") == 2 else [choice]
    return CHAT | {"object": "chat.completion", "choices": choices, "usage": USAGE}


def chat_stream(reply: Reply, _body: dict[str, Any]) -> Events:
    def chunk(delta: dict[str, Any], end: str | None = None) -> tuple[None, dict[str, Any]]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
        return None, CHAT | {"object": "chat.completion.chunk", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces_of(reply):
        yield chunk({"content": piece})
    if reply.tool:
        call = {"name": reply.tool, "arguments": reply.input}
        calls = [{"index": 0, "id": "call_1", "type": "function", "function": call}]
        yield chunk({"tool_calls": calls})
    yield chunk({}, "tool_calls" if reply.tool else "stop")
    yield None, CHAT | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    yield None, "[DONE]"


# --- responses -------------------------------------------------------------------------------


def response(reply: Reply, body: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if reply.text and status == "completed":
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        output.append(head | {"content": [part]})
    if reply.tool and status == "completed":
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        call |= {"namespace": reply.namespace} if reply.namespace else {}
        output.append(call | {"name": reply.tool, "arguments": reply.input})
    return {
        "id": "resp_1", "object": "response", "created_at": 1_750_000_000, "status": status,
        "model": "model-1", "output": output, "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "error": None, "incomplete_details": None, "instructions": None,
        "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "previous_response_id": body.get("previous_response_id"),
    }  # fmt: skip


def response_stream(reply: Reply, body: dict[str, Any]) -> Events:
    numbers = iter(range(1000))

    def event(kind: str, **rest: Any) -> tuple[str, dict[str, Any]]:
        return kind, {"type": kind, "sequence_number": next(numbers)} | rest

    begun = response(reply, body, "in_progress")
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress"}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield event("response.output_item.added", output_index=0, item=item | {"content": []})
    part = {"type": "output_text", "text": "", "annotations": []}
    yield event("response.content_part.added", part=part, **place)
    for piece in pieces_of(reply):
        yield event("response.output_text.delta", delta=piece, logprobs=[], **place)
    yield event("response.output_text.done", text=reply.text, logprobs=[], **place)
    whole = response(reply, body)
    for number, done in enumerate(whole["output"]):
        yield event("response.output_item.done", output_index=number, item=done)
    yield event("response.completed", response=whole)


# --- messages --------------------------------------------------------------------------------


def message(reply: Reply, _body: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.text:
        half = len(reply.text) // 2  # as with citations
        content += [{"type": "text", "text": t} for t in (reply.text[:half], reply.text[half:])]
    if reply.tool:
        content.append({"type": "tool_use", "id": "toolu_1", "name": reply.tool})
        content[-1]["input"] = reply.arguments
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "model-1",
        "content": content, "stop_reason": "tool_use" if reply.tool else "end_turn",
        "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip


def message_stream(reply: Reply, body: dict[str, Any]) -> Events:
    begun = message(reply, body) | {"content": [], "stop_reason": None}
    yield "message_start", {"type": "message_start", "message": begun}
    yield "ping", {"type": "ping"}
    start = {"type": "content_block_start", "index": 0}
    yield "content_block_start", start | {"content_block": {"type": "text", "text": ""}}
    for piece in pieces_of(reply):
        delta = {"type": "text_delta", "text": piece}
        event = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield "content_block_delta", event
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    if reply.tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": reply.tool, "input": {}}
        yield "content_block_start", start | {"index": 1, "content_block": block}
        delta = {"type": "input_json_delta", "partial_json": reply.input}
        event = {"type": "content_block_delta", "index": 1, "delta": delta}
        yield "content_block_delta", event
        yield "content_block_stop", {"type": "content_block_stop", "index": 1}
    end = {"stop_reason": "tool_use" if reply.tool else "end_turn", "stop_sequence": None}
    usage = {"output_tokens": 3}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


WHOLE = {"/chat/completions": chat, "/responses": response, "/messages": message}
STREAMS = {
    "/chat/completions": chat_stream,
    "/responses": response_stream,
    "/messages": message_stream,
}
