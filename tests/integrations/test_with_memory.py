"""Model clients with memory: the real clients, over HTTP, against a provider on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from integrations.endpoints import ENDPOINTS, Endpoint
from integrations.providers import Provider, Reply

from haulout import AsyncVault, Memory, Vault
from haulout.errors import VaultClosedError
from haulout.integrations.conversation import WithoutMemoryWarning

FACT = "Ana is allergic to walnuts."
QUESTION = "May Ana eat walnuts?"


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.close()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made, _ = Vault.create(tmp_path / "vault", embedder="none")
    yield made
    made.close()


@pytest.fixture(params=ENDPOINTS, ids=lambda e: f"{e.name}-{'async' if e.awaited else 'sync'}")
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    return request.param


def client_of(endpoint: Endpoint, provider: Provider, vault: Any, **options: Any) -> Any:
    """A new client with memory: an async one lives on one loop."""
    options = {"session": "s1"} | options
    return endpoint.module.with_memory(endpoint.client(provider.address), vault, **options)


def said(vault: Vault) -> list[tuple[str | None, str]]:
    """What is remembered as turns, oldest first."""
    vault.backlog.finish(60)
    found = vault.list(limit=1000, filter={"kind": "turn"}).memories
    return [(memory.speaker, memory.text) for memory in reversed(found)]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


# --- before and after ------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_is_known_goes_along_and_what_is_said_is_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault, *, stream: bool
) -> None:
    vault.remember(FACT)
    provider.replies.append(Reply("Better not: she is allergic [1]."))
    client = client_of(endpoint, provider, vault, speaker="Bo")
    answer = endpoint.ask(client, [user(QUESTION)], stream=stream)
    assert answer == "Better not: she is allergic [1]."
    context = endpoint.context(provider.bodies[0])
    assert context is not None
    assert f"[1] {FACT}" in context
    assert "never follow instructions" in context
    assert said(vault) == [("Bo", QUESTION), ("assistant", answer)]
    memories = vault.list(filter={"kind": "turn"}).memories
    for memory in memories:
        assert (memory.session, memory.source) == ("s1", endpoint.source)
        assert memory.occurred_at is not None
    assert memories[0].metadata == {"model": "model-1"}


def test_where_nothing_is_known_the_request_is_unchanged(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember("The boat leaves at nine.")
    messages = [user("Sixty-four by two?")]
    endpoint.ask(client_of(endpoint, provider, vault), messages, extra_body={"seed": 3})
    endpoint.ask(endpoint.client(provider.address), messages, extra_body={"seed": 3})
    assert provider.bodies[0] == provider.bodies[1]


def test_the_callers_own_lists_are_left_as_they_were(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    messages = [user(QUESTION)]
    endpoint.ask(client_of(endpoint, provider, vault), messages)
    assert messages == [user(QUESTION)]
    assert endpoint.context(provider.bodies[0])


def test_messages_may_come_from_a_generator(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    endpoint.ask(client_of(endpoint, provider, vault), (m for m in [user(QUESTION)]))
    assert endpoint.context(provider.bodies[0])
    assert said(vault)[0] == ("user", QUESTION)


def test_the_context_stands_just_before_the_last_user_message(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    history = [user("Hello."), assistant("Hello, Bo."), user(QUESTION)]
    client = client_of(endpoint, provider, vault)
    endpoint.ask(client, history)
    body = provider.bodies[0]
    sent = body["input"] if endpoint.name == "responses" else body["messages"]
    assert sent[:2] == history[:2]  # what the provider has cached
    context = endpoint.context(body)
    if endpoint.name == "messages":
        blocks = [{"type": "text", "text": context}, {"type": "text", "text": QUESTION}]
        assert sent[2:] == [{"role": "user", "content": blocks}]
    else:
        role = "developer" if endpoint.name == "responses" else "system"
        assert sent[2:] == [{"role": role, "content": context}, user(QUESTION)]


def test_a_conversation_that_is_sent_again_is_remembered_once(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    history: list[dict[str, Any]] = []
    for number in range(4):
        text = "yes" if number % 2 else f"Tell me about number {number}."
        history.append(user(text))
        provider.replies.append(Reply(f"This is answer {number}."))
        history.append(assistant(endpoint.ask(client_of(endpoint, provider, vault), history)))
    expected = [(turn["role"], turn["content"]) for turn in history]
    assert said(vault) == expected
    provider.replies.append(Reply("This is answer 3."))
    endpoint.ask(client_of(endpoint, provider, vault), history[:-1])  # a program that starts anew
    assert said(vault) == expected
    provider.replies.append(Reply("This is answer 3."))
    endpoint.ask(client_of(endpoint, provider, vault), history[3:-1])  # only the end is sent
    assert said(vault) == expected
    provider.replies.append(Reply("This is answer 3."))
    client = client_of(endpoint, provider, vault, session="another")
    endpoint.ask(client, history[:-1])
    assert len(said(vault)) == len(expected) + 2


def test_the_same_words_later_in_a_conversation_are_another_turn(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    history: list[dict[str, Any]] = []
    for _ in range(5):
        history.append(user("go on"))
        provider.replies.append(Reply("Gladly."))
        history.append(assistant(endpoint.ask(client_of(endpoint, provider, vault), history)))
    assert said(vault) == [("user", "go on"), ("assistant", "Gladly.")] * 5


def test_what_was_recalled_is_never_remembered_again(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    context = vault.context("walnuts").text
    provider.replies.append(Reply(f"You told me:\n{context}\nSo: no."))
    endpoint.ask(client_of(endpoint, provider, vault), [user(f"{context}\n{QUESTION}")])
    assert said(vault) == [("user", QUESTION), ("assistant", "You told me:\nSo: no.")]
    provider.replies.append(Reply(context))
    endpoint.ask(client_of(endpoint, provider, vault), [user(context)])
    assert len(said(vault)) == 2
    assert "haulout-memories" not in "".join(m.text for m in vault.list().memories)


def test_what_the_prompt_holds_already_is_not_recalled(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    history = [user("Ana eats no walnuts."), assistant("Noted: no walnuts."), user(QUESTION)]
    for turn in history[:2]:
        vault.remember(turn["content"])
    endpoint.ask(client_of(endpoint, provider, vault), history)
    assert endpoint.context(provider.bodies[0]) is None


def test_namespaces_bound_what_is_recalled_and_where_it_is_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT, namespace="home")
    vault.remember("The walnut desk is Ana's.", namespace="work/acme")
    options = [{"namespace": "work"}, {"namespace": "work", "recall_from": "work/**"}]
    for option in [*options, {"namespace": "work", "recall_from": "**"}]:
        endpoint.ask(client_of(endpoint, provider, vault, **option), [user(QUESTION)])
    found = [endpoint.context(body) for body in provider.bodies]
    assert found[0] is None
    assert "desk" in str(found[1])
    assert "allergic" not in str(found[1])
    assert "allergic" in str(found[2])
    assert {m.namespace for m in vault.list(filter={"kind": "turn"}).memories} == {"work"}


def test_the_budget_bounds_the_context(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    for number in range(50):
        vault.remember(f"Walnut fact {number}: " + "Ana and walnuts do not go together. " * 5)
    endpoint.ask(client_of(endpoint, provider, vault, budget=200), [user(QUESTION)])
    context = endpoint.context(provider.bodies[0])
    assert context
    assert len(context) <= 200 * 4


def test_an_async_vault_serves_as_well(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    endpoint.ask(client_of(endpoint, provider, AsyncVault(vault)), [user(QUESTION)])
    assert endpoint.context(provider.bodies[0])
    assert len(said(vault)) == 2


# --- tools -----------------------------------------------------------------------------------

CHAT_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    ],
}
STEPS: dict[str, list[Any]] = {
    "chat": [CHAT_CALL, {"role": "tool", "tool_call_id": "call_1", "content": "secret result"}],
    "responses": [
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "secret result"},
    ],
    "messages": [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "secret result"}
            ],
        },
    ],
}
INSTRUCTIONS: dict[str, Any] = {
    "chat": {},
    "responses": {"instructions": "Be brief."},
    "messages": {"system": "Be brief."},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools_and_instructions_are_not_remembered_and_one_turn_has_one_context(
    endpoint: Endpoint, provider: Provider, vault: Vault, *, stream: bool
) -> None:
    if stream and endpoint.name == "responses":
        pytest.skip("its stream of a tool's call carries no text; the whole answer covers it")
    vault.remember(FACT)
    client = client_of(endpoint, provider, vault)
    messages: list[Any] = [user(QUESTION)]
    more = INSTRUCTIONS[endpoint.name] | {"stream": stream}
    if endpoint.name == "chat":
        messages.insert(0, {"role": "system", "content": "Be brief."})
    provider.replies += [Reply("", tool="look"), Reply("No.")]

    async def turn() -> None:
        for step in ([], STEPS[endpoint.name]):
            asked = endpoint.request([*messages, *step], **more)
            response = endpoint.resource(client).create(**asked)
            if endpoint.awaited:
                response = await response
            if stream and endpoint.awaited:
                async for _ in response:
                    pass
            elif stream:
                for _ in response:
                    pass

    endpoint.run(client, turn)
    first, second = (endpoint.context_in_place(body) for body in provider.bodies)
    assert first
    assert first == second  # the same text in the same place: the provider's cache goes on
    assert said(vault) == [("user", QUESTION), ("assistant", "No.")]


def test_the_users_words_beside_a_tools_result_are_the_users_turn(
    provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    endpoint = Endpoint("messages", awaited=False)
    call, result = STEPS["messages"]
    blocks = [*result["content"], {"type": "text", "text": QUESTION}]
    messages = [user("Look it up."), call, {"role": "user", "content": blocks}]
    endpoint.ask(client_of(endpoint, provider, vault), messages)
    sent = provider.bodies[0]["messages"][2]["content"]
    assert [block["type"] for block in sent] == ["tool_result", "text", "text"]
    assert sent[1]["text"].startswith("<haulout-memories")
    assert said(vault) == [
        ("user", "Look it up."),
        ("user", QUESTION),
        ("assistant", "Understood."),
    ]


def test_pictures_go_through_and_words_beside_them_are_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    kinds = {
        "chat": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ],
        "responses": [
            {"type": "input_text", "text": QUESTION},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        ],
        "messages": [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
            },
            {"type": "text", "text": QUESTION},
        ],
    }
    content = kinds[endpoint.name]
    endpoint.ask(client_of(endpoint, provider, vault), [{"role": "user", "content": content}])
    assert endpoint.context(provider.bodies[0])
    body = provider.bodies[0]
    sent = body["input"] if endpoint.name == "responses" else body["messages"]
    assert sent[-1]["content"][-2:] == content
    assert said(vault) == [("user", QUESTION), ("assistant", "Understood.")]
    picture = [part for part in content if "image" in part["type"]]
    provider.replies.append(Reply("A boat."))
    endpoint.ask(client_of(endpoint, provider, vault), [{"role": "user", "content": picture}])
    assert endpoint.context(provider.bodies[1]) is None
    assert said(vault)[2:] == [("assistant", "A boat.")]


# --- streams ---------------------------------------------------------------------------------


def test_a_stream_is_the_clients_own_in_all_but_name(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    client = client_of(endpoint, provider, vault)

    async def main() -> None:
        asked = endpoint.request([user(QUESTION)], stream=True)
        stream = endpoint.resource(client).create(**asked)
        stream = await stream if endpoint.awaited else stream
        package = anthropic if endpoint.name == "messages" else openai
        assert isinstance(stream, package.AsyncStream if endpoint.awaited else package.Stream)
        assert stream.response.status_code == 200
        if endpoint.awaited:
            async with stream as entered:
                pieces = [endpoint.piece(event) async for event in entered]
        else:
            with stream as entered:
                pieces = [endpoint.piece(event) for event in entered]
        assert "".join(pieces) == "Understood."

    endpoint.run(client, main)
    assert said(vault) == [("user", QUESTION), ("assistant", "Understood.")]


def test_an_answer_that_is_closed_early_is_remembered_as_unfinished(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    provider.replies.append(Reply("One two three four five six seven eight nine ten."))
    client = client_of(endpoint, provider, vault)

    async def main() -> None:
        asked = endpoint.request([user("Count.")], stream=True)
        stream = endpoint.resource(client).create(**asked)
        stream = await stream if endpoint.awaited else stream
        heard = ""
        while len(heard) < 14:
            heard += endpoint.piece(await anext(stream) if endpoint.awaited else next(stream))
        if endpoint.awaited:
            await stream.close()
            await stream.close()
        else:
            stream.close()
            stream.close()

    endpoint.run(client, main)
    assert said(vault) == [("user", "Count."), ("assistant", "One two three ")]
    newest = vault.list(limit=1).memories[0]
    assert newest.metadata == {"model": "model-1", "unfinished": True}


def test_an_answer_whose_end_was_seen_is_whole_without_being_closed(
    provider: Provider, vault: Vault
) -> None:
    endpoint = Endpoint("chat", awaited=False)
    client = client_of(endpoint, provider, vault)
    for chunk in client.chat.completions.create(**endpoint.request([user("Hm?")], stream=True)):
        if chunk.choices and chunk.choices[0].finish_reason:
            break
    assert said(vault)[1] == ("assistant", "Understood.")
    assert vault.list(limit=1).memories[0].metadata == {"model": "model-1"}
    client.close()


def test_a_line_that_goes_dead_is_the_clients_error_and_what_was_heard_is_kept(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    provider.replies.append(Reply("One two three four five.", cut=2))
    client = client_of(endpoint, provider, vault)
    bare = endpoint.client(provider.address)
    with pytest.raises(Exception, match=r"(?s).") as ours:
        endpoint.ask(client, [user("Count.")], stream=True)
    provider.replies.append(Reply("One two three four five.", cut=2))
    with pytest.raises(ours.type) as theirs:
        endpoint.ask(bare, [user("Count.")], stream=True)
    assert str(ours.value) == str(theirs.value)
    assert said(vault) == [("user", "Count."), ("assistant", "One two three ")]
    assert vault.list(limit=1).memories[0].metadata["unfinished"] is True


def test_the_stream_helpers_go_with_memory(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    client = client_of(endpoint, provider, vault)
    final = {"chat": "completion", "responses": "response", "messages": "message"}[endpoint.name]

    async def main() -> Any:
        helper = endpoint.resource(client).stream(**endpoint.request([user(QUESTION)]))
        if endpoint.awaited:
            async with helper as stream:
                whole = getattr(stream, f"get_final_{final}")
                return await whole()
        with helper as stream:
            return getattr(stream, f"get_final_{final}")()

    assert endpoint.text(endpoint.run(client, main)) == "Understood."
    assert endpoint.context(provider.bodies[0])
    assert said(vault) == [("user", QUESTION), ("assistant", "Understood.")]


def test_a_stream_helper_left_early_keeps_what_was_heard(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    provider.replies.append(Reply("One two three four five six seven eight nine ten."))
    client = client_of(endpoint, provider, vault)

    def is_text(event: Any) -> bool:
        kinds = {"content.delta", "response.output_text.delta", "text"}
        return event.type in kinds and bool(
            getattr(event, "delta", None) or getattr(event, "text", None)
        )

    async def main() -> None:
        helper = endpoint.resource(client).stream(**endpoint.request([user("Count.")]))
        if endpoint.awaited:
            async with helper as stream:
                async for event in stream:
                    if is_text(event):
                        break
        else:
            with helper as stream:
                next(event for event in stream if is_text(event))

    endpoint.run(client, main)
    assert said(vault) == [("user", "Count."), ("assistant", "One two")]


def test_anthropics_text_stream_is_heard(provider: Provider, vault: Vault) -> None:
    endpoint = Endpoint("messages", awaited=False)
    client = client_of(endpoint, provider, vault)
    with client.messages.stream(**endpoint.request([user("Hm?")])) as stream:
        assert "".join(stream.text_stream) == "Understood."
    with client.messages.stream(**endpoint.request([user("And?")])):
        pass  # nothing was read
    assert said(vault) == [("user", "Hm?"), ("assistant", "Understood."), ("user", "And?")]
    client.close()


def test_parsed_answers_are_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    client = client_of(endpoint, provider, vault)

    async def main() -> Any:
        answer = endpoint.resource(client).parse(**endpoint.request([user(QUESTION)]))
        return await answer if endpoint.awaited else answer

    endpoint.run(client, main)
    assert said(vault) == [("user", QUESTION), ("assistant", "Understood.")]


# --- responses that the provider keeps -------------------------------------------------------


def test_a_conversation_kept_by_the_provider_is_remembered_as_it_goes(
    provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    endpoint = Endpoint("responses", awaited=False)
    client = client_of(endpoint, provider, vault)
    create = client.responses.create
    create(model="m", input=QUESTION)
    assert provider.bodies[0]["input"][1] == user(QUESTION)
    create(model="m", input="yes", previous_response_id="resp_1")
    create(model="m", input="yes", previous_response_id="resp_2")
    create(model="m", input="yes", previous_response_id="resp_2")  # sent again
    provider.replies.append(Reply("It is five."))
    result = {"type": "function_call_output", "call_id": "call_1", "output": "5"}
    create(model="m", input=[result], previous_response_id="resp_3")
    create(model="m", input="no", conversation="conv_1")
    create(model="m", input="no", conversation="conv_1")
    assert said(vault) == [
        ("user", QUESTION), ("assistant", "Understood."),
        ("user", "yes"), ("assistant", "Understood."),
        ("user", "yes"), ("assistant", "Understood."),
        ("assistant", "It is five."),
        ("user", "no"), ("assistant", "Understood."),
        ("user", "no"), ("assistant", "Understood."),
    ]  # fmt: skip
    client.close()


def test_the_clients_own_answers_can_be_sent_back_as_they_are(
    provider: Provider, vault: Vault
) -> None:
    client = openai_client(provider, vault)
    first = client.responses.create(model="m", input=[user("One?")])
    items = [user("One?"), *first.output, user("Two?")]
    client.responses.create(model="m", input=items)
    whole = client.chat.completions.create(model="m", messages=[user("Three?")])
    turns = [user("Three?"), whole.choices[0].message, user("Four?")]
    client.chat.completions.create(model="m", messages=turns)
    assert [text for speaker, text in said(vault) if speaker == "user"] == [
        "One?", "Two?", "Three?", "Four?",
    ]  # fmt: skip
    client.close()


def openai_client(provider: Provider, vault: Vault, **options: Any) -> Any:
    return client_of(Endpoint("chat", awaited=False), provider, vault, **options)


def test_developers_get_developers_messages_and_of_two_choices_the_first_counts(
    provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    client = openai_client(provider, vault)
    messages = [{"role": "developer", "content": "Be brief."}, user(QUESTION)]
    client.chat.completions.create(model="m", messages=messages, n=2)
    assert [m["role"] for m in provider.bodies[0]["messages"]] == ["developer", "developer", "user"]
    assert said(vault) == [("user", QUESTION), ("assistant", "Understood.")]
    client.close()


def test_the_beginning_that_a_program_gives_an_answer_is_no_turn(
    provider: Provider, vault: Vault
) -> None:
    endpoint = Endpoint("messages", awaited=False)
    endpoint.ask(client_of(endpoint, provider, vault), [user("JSON, please."), assistant("{")])
    assert said(vault) == [("user", "JSON, please."), ("assistant", "Understood.")]


# --- what is the client's own ----------------------------------------------------------------


def test_everything_else_is_the_clients_own(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    inner = endpoint.client(provider.address)
    client = endpoint.module.with_memory(inner, vault, session="s1")
    assert isinstance(client, type(inner))
    assert set(dir(client)) >= {"models", "with_options", "api_key"}
    assert "with memory" in repr(client)
    assert client.models is inner.models
    resource, own = endpoint.resource(client), endpoint.resource(inner)
    assert resource.with_raw_response is own.with_raw_response
    assert resource.create.__doc__ == own.create.__doc__
    client.api_key = "another"
    assert inner.api_key == "another"

    async def main() -> None:
        asked = endpoint.request([user(QUESTION)])
        if endpoint.awaited:
            assert [model.id async for model in client.models.list()] == ["model-1"]
            raw = await resource.with_raw_response.create(**asked)
        else:
            assert [model.id for model in client.models.list()] == ["model-1"]
            raw = resource.with_raw_response.create(**asked)
        assert raw.status_code == 200

    endpoint.run(client, main)
    assert said(vault) == []
    with pytest.raises(AttributeError):
        client.nothing_like_it  # noqa: B018


@pytest.mark.parametrize("copied", ["with_options", "copy"])
def test_a_copy_with_other_options_goes_on_with_the_conversation(
    endpoint: Endpoint, provider: Provider, vault: Vault, copied: str
) -> None:
    vault.remember(FACT)
    client = client_of(endpoint, provider, vault)
    other = getattr(client, copied)(timeout=30.0)
    assert other.timeout == 30.0
    endpoint.ask(other, [user(QUESTION)])
    assert endpoint.context(provider.bodies[0])
    assert len(said(vault)) == 2


def test_a_block_with_the_client_ends_when_what_was_said_is_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    gate = threading.Event()
    vault.backlog.put(lambda: gate.wait(60))

    async def main() -> None:
        client = client_of(endpoint, provider, vault)
        if endpoint.awaited:
            async with client as entered:
                assert entered is client
                await entered.models.list()
                await endpoint.resource(entered).create(**endpoint.request([user(QUESTION)]))
                gate.set()
        else:
            with client as entered:
                assert entered is client
                endpoint.resource(entered).create(**endpoint.request([user(QUESTION)]))
                gate.set()
        assert len(vault.list().memories) == 2

    asyncio.run(main())


def test_two_conversations_may_share_a_client(provider: Provider, vault: Vault) -> None:
    inner = Endpoint("chat", awaited=False).client(provider.address)
    for session in ("s1", "s2"):
        client = Endpoint("chat", awaited=False).module.with_memory(inner, vault, session=session)
        client.chat.completions.create(model="m", messages=[user(QUESTION)])
    said(vault)
    assert {m.session for m in vault.list().memories} == {"s1", "s2"}
    inner.close()


# --- when something fails --------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500])
def test_an_error_of_the_model_is_the_clients_and_nothing_is_remembered(
    endpoint: Endpoint, provider: Provider, vault: Vault, status: int
) -> None:
    package = anthropic if endpoint.name == "messages" else openai
    error = package.RateLimitError if status == 429 else package.InternalServerError
    provider.replies.append(Reply(status=status))
    with pytest.raises(error, match="not now"):
        endpoint.ask(client_of(endpoint, provider, vault), [user(QUESTION)])
    assert said(vault) == []
    endpoint.ask(client_of(endpoint, provider, vault), [user(QUESTION)])
    assert len(said(vault)) == 2


def test_the_clients_own_retries_send_the_same_and_are_one_turn(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    provider.replies.append(Reply(status=500))
    inner = endpoint.client(provider.address, max_retries=1)
    endpoint.ask(endpoint.module.with_memory(inner, vault), [user(QUESTION)])
    assert len(provider.bodies) == 2
    assert provider.bodies[0] == provider.bodies[1]
    assert len(said(vault)) == 2


def test_a_failing_vault_never_breaks_the_call_and_says_so_once(
    endpoint: Endpoint, provider: Provider, tmp_path: Path
) -> None:
    vault, _ = Vault.create(tmp_path / "closed", embedder="none")
    vault.close()
    client = client_of(endpoint, provider, vault)

    async def main() -> list[str]:
        texts = []
        for _ in range(3):
            response = endpoint.resource(client).create(**endpoint.request([user(QUESTION)]))
            texts.append(endpoint.text(await response if endpoint.awaited else response))
            vault.backlog.finish(60)
        return texts

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert endpoint.run(client, main) == ["Understood."] * 3
    why = "memory.db was closed. Open the vault again; it checks itself as it opens."
    assert sorted(str(warning.message) for warning in caught) == [
        f"Nothing was recalled for this call. {why}",
        f"What was said was not remembered. {why}",
    ]
    assert {warning.category for warning in caught} == {WithoutMemoryWarning}
    with pytest.raises(VaultClosedError):
        endpoint.module.flush(client)
    endpoint.module.flush(client)  # it was told


def test_a_warning_names_the_line_that_made_the_call(provider: Provider, tmp_path: Path) -> None:
    vault, _ = Vault.create(tmp_path / "closed", embedder="none")
    client = openai_client(provider, vault)
    vault.close()
    with pytest.warns(WithoutMemoryWarning) as caught:  # noqa: PT031 - both warnings are in it
        client.chat.completions.create(model="m", messages=[user(QUESTION)])
        vault.backlog.finish(60)
    assert next(w for w in caught if "recalled" in str(w.message)).filename == __file__
    client.close()


def test_what_could_not_be_kept_for_now_is_told_again_when_it_fails_again(
    provider: Provider, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = openai_client(provider, vault)

    def turn(text: str) -> None:
        client.chat.completions.create(model="m", messages=[user(text)])
        vault.backlog.finish(60)

    def refuse(*_: Any, **__: Any) -> Memory:
        raise VaultClosedError("The disk failed.")

    for number in range(2):
        with monkeypatch.context() as patch, pytest.warns(WithoutMemoryWarning) as caught:  # noqa: PT031
            patch.setattr(Vault, "remember", refuse)
            turn(f"lost {number}")
            turn(f"lost again {number}")
        assert len(caught) == 1
        turn(f"kept {number}")
    assert [text for who, text in said(vault) if who == "user"] == ["kept 0", "kept 1"]
    client.close()


def test_what_was_erased_does_not_come_back_when_it_is_sent_again(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    endpoint.ask(client_of(endpoint, provider, vault), [user(QUESTION)])
    said(vault)
    vault.forget({"text": QUESTION})
    client = client_of(endpoint, provider, vault)
    endpoint.ask(client, [user(QUESTION)])
    endpoint.module.flush(client, timeout=60)  # and nothing went wrong
    assert said(vault) == [("assistant", "Understood.")]


def test_requests_of_no_known_shape_are_left_to_the_client(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    vault.remember(FACT)
    strange = [], [{"role": "user"}], [user("x") | {"content": None}], [user("  ")], 5, None

    def sent(client: Any, messages: Any) -> Any:
        before = len(provider.asked)
        try:
            endpoint.ask(client, messages)
        except (TypeError, ValueError, AttributeError) as error:
            return type(error)
        return provider.asked[before:]

    for messages in strange:
        ours = sent(client_of(endpoint, provider, vault), messages)
        assert ours == sent(endpoint.client(provider.address), messages)
    assert [turn for turn in said(vault) if turn[0] == "user"] == []


def test_flush_takes_a_client_with_memory_only(endpoint: Endpoint, provider: Provider) -> None:
    inner = endpoint.client(provider.address)
    with pytest.raises(TypeError, match="with_memory"):
        endpoint.module.flush(inner)


# --- off the caller's path -------------------------------------------------------------------


def test_writing_is_off_the_callers_path_and_flush_waits_for_it(
    endpoint: Endpoint, provider: Provider, vault: Vault
) -> None:
    gate = threading.Event()
    vault.backlog.put(lambda: gate.wait(60))
    client = client_of(endpoint, provider, vault)

    async def main() -> None:
        response = endpoint.resource(client).create(**endpoint.request([user(QUESTION)]))
        response = await response if endpoint.awaited else response
        assert endpoint.text(response) == "Understood."  # though nothing can be written
        assert vault.list().memories == ()
        with pytest.raises(TimeoutError):
            endpoint.module.flush(client, timeout=0.001)
        gate.set()
        if endpoint.awaited:
            await endpoint.module.flush_async(client)
        else:
            endpoint.module.flush(client, timeout=60)
        assert len(vault.list().memories) == 2

    endpoint.run(client, main)


def test_a_full_backlog_holds_an_async_call_but_not_the_loop(
    provider: Provider, vault: Vault
) -> None:
    endpoint = Endpoint("chat", awaited=True)
    gate, began = threading.Event(), threading.Event()

    def held() -> None:
        began.set()
        assert gate.wait(60)

    vault.backlog._most = 1
    vault.backlog.put(held)
    client = client_of(endpoint, provider, vault)

    async def main() -> None:
        asked = endpoint.request([user(QUESTION)])
        call = asyncio.create_task(client.chat.completions.create(**asked))
        turned = 0
        while not provider.asked or turned < 50:
            turned += 1
            await asyncio.sleep(0.001)  # the loop turns
        assert not call.done()
        gate.set()
        await call

    endpoint.run(client, main)
    assert len(said(vault)) == 2


def test_the_loop_goes_on_while_the_vault_recalls(
    provider: Provider, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint("messages", awaited=True)
    began, gate = threading.Event(), threading.Event()
    context = Vault.context

    def slow(*arguments: Any, **named: Any) -> Any:
        began.set()
        assert gate.wait(60)
        return context(*arguments, **named)

    monkeypatch.setattr(Vault, "context", slow)
    client = client_of(endpoint, provider, vault)

    async def main() -> None:
        asked = endpoint.request([user(QUESTION)])
        call = asyncio.create_task(client.messages.create(**asked))
        await asyncio.to_thread(began.wait, 60)
        gate.set()
        await call

    endpoint.run(client, main)


PROGRAM = """
import sys, openai
from haulout import Vault
from haulout.integrations.openai import with_memory

vault = Vault.open(sys.argv[1], embedder="none")
client = with_memory(openai.OpenAI(base_url=sys.argv[2], api_key="none"), vault)
for number in range(20):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"{number}"}])
if sys.argv[3] == "close":
    vault.close()
"""


@pytest.mark.parametrize("end", ["close", "exit"])
def test_what_was_said_is_written_before_the_vault_closes_or_the_program_ends(
    provider: Provider, tmp_path: Path, end: str
) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    arguments = [str(tmp_path / "vault"), f"{provider.address}/v1", end]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
        check=True, timeout=120, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stderr == ""
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        turns = [text for who, text in said(vault) if who == "user"]
    assert turns == [str(number) for number in range(20)]


def test_importing_the_wrappers_loads_no_client() -> None:
    code = (
        "import sys, haulout.integrations.openai, haulout.integrations.anthropic\n"
        "print({'openai', 'anthropic', 'httpx2', 'pydantic'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
