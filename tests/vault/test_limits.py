"""Every stated limit of the verbs, at it and beyond it; hostile names and values reach no SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haulout import Vault
from haulout.errors import (
    FilterError,
    HauloutError,
    InputError,
    LimitError,
    NotFoundError,
)
from haulout.log import memory as limits

NAIVE = datetime(2025, 6, 15)  # noqa: DTZ001
UNKNOWN = "0" * 26


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with Vault.ephemeral() as found:
        yield found


@pytest.fixture
def kept(vault: Vault) -> str:
    return vault.remember("walnut").id


def calls(vault: Vault) -> dict[str, Callable[[], Any]]:
    """Calls that are wrong, each under the claim that it is refused."""
    big = "x" * (limits.TEXT_BYTES + 1)
    return {
        "an empty text": lambda: vault.remember(""),
        "a text of spaces": lambda: vault.remember(" \n"),
        "more than 1 MiB of text": lambda: vault.remember(big),
        "half of a surrogate pair": lambda: vault.remember("\ud800"),
        "a namespace of 256 bytes": lambda: vault.remember("x", namespace="n" * 256),
        "an empty namespace": lambda: vault.remember("x", namespace=""),
        "a namespace with an empty part": lambda: vault.remember("x", namespace="a//b"),
        "a namespace with a line end": lambda: vault.remember("x", namespace="a\nb"),
        "a namespace that is a pattern": lambda: vault.remember("x", namespace="work/**"),
        "no namespace at all": lambda: vault.remember("x", namespace=None),  # type: ignore[arg-type]
        "more than 64 KiB of metadata": lambda: vault.remember("x", metadata={"a": "x" * 65536}),
        "metadata that is no object": lambda: vault.remember("x", metadata=[1]),  # type: ignore[arg-type]
        "a time without a zone": lambda: vault.remember("x", occurred_at=NAIVE),
        "a time that is a number": lambda: vault.remember("x", valid_from=1e9),  # type: ignore[arg-type]
        "a validity that ends before it begins": lambda: vault.remember(
            "x", valid_from="2025-01-02T00:00:00Z", valid_until="2025-01-01T00:00:00Z"
        ),
        "65 tags": lambda: vault.remember("x", tags=[str(n) for n in range(65)]),
        "an empty operation ID": lambda: vault.remember("x", op_id=""),
        "an operation ID of 256 bytes": lambda: vault.remember("x", op_id="x" * 256),
        "an item that is no mapping": lambda: vault.remember_many(["text"]),  # type: ignore[list-item]
        "an item with an unknown field": lambda: vault.remember_many([{"text": "x", "colour": 1}]),
        "an item without a text": lambda: vault.remember_many([{"kind": "x"}]),
        "an item with an empty text": lambda: vault.remember_many([{"text": "x"}, {"text": ""}]),
        "a recall of none": lambda: vault.recall("x", limit=0),
        "a recall of 1,001": lambda: vault.recall("x", limit=1001),
        "a recall of two and a half": lambda: vault.recall("x", limit=2.5),  # type: ignore[arg-type]
        "a recall of true": lambda: vault.recall("x", limit=True),
        "a question that is no text": lambda: vault.recall(5),  # type: ignore[arg-type]
        "a recall as of a naive time": lambda: vault.recall("x", as_of=NAIVE),
        "a recall valid at a naive time": lambda: vault.recall("x", valid_at=NAIVE),
        "a recall since a naive time": lambda: vault.recall("x", since=NAIVE),
        "a recall until a naive time": lambda: vault.recall("x", until=NAIVE),
        "a recall of one text as tags": lambda: vault.recall("x", tags="health"),
        "a recall of a number as tags": lambda: vault.recall("x", tags=5),  # type: ignore[arg-type]
        "a recall in half a pattern": lambda: vault.recall("x", namespace="wo*k"),
        "a recall under nothing": lambda: vault.recall("x", namespace="/**"),
        "a recall with an empty vector": lambda: vault.recall(vector=[]),
        "a recall with an unknown field": lambda: vault.recall("x", filter={"colour": "red"}),
        "a list of none": lambda: vault.list(limit=0),
        "a list of 1,001": lambda: vault.list(limit=1001),
        "a page after no page": lambda: vault.list(after=UNKNOWN),
        "a page after nonsense": lambda: vault.list(after="x"),
        "a list with a wrong filter": lambda: vault.list(filter={"kind": {"like": "%"}}),
        "a context of no tokens": lambda: vault.context("x", budget=0),
        "a context of a million and one": lambda: vault.context("x", budget=1_000_001),
        "an ID in upper case": lambda: vault.get("A" * 26),
        "an ID that is none": lambda: vault.get("x"),
        "an ID of bytes": lambda: vault.get(b"0" * 26),  # type: ignore[arg-type]
        "an update of nothing": lambda: vault.update(UNKNOWN),
        "an update of an unknown field": lambda: vault.update(UNKNOWN, colour="red"),
        "an update of the namespace": lambda: vault.update(UNKNOWN, namespace="elsewhere"),
        "an update to an empty text": lambda: vault.update(UNKNOWN, ""),
        "an update to no text": lambda: vault.update(UNKNOWN, None),  # type: ignore[arg-type]
        "a level that is none": lambda: vault.forget(UNKNOWN, level="deleted"),  # type: ignore[arg-type]
        "a level of a show": lambda: vault.forget(UNKNOWN, level="shown"),  # type: ignore[arg-type]
        "a forget of nothing": lambda: vault.forget([]),
        "a forget of None": lambda: vault.forget(None),  # type: ignore[arg-type]
        "a forget of an empty filter": lambda: vault.forget({}),
        "a forget of null": lambda: vault.forget({"speaker": None}),
        "a forget of numbers": lambda: vault.forget([1, 2]),  # type: ignore[list-item]
        "a forget with an empty operation ID": lambda: vault.forget(UNKNOWN, op_id=""),
        "an undo of an empty ID": lambda: vault.undo(""),
        "an undo of None": lambda: vault.undo(None),  # type: ignore[arg-type]
    }  # fmt: skip


LIMITS = {
    "more than 1 MiB of text",
    "a namespace of 256 bytes",
    "more than 64 KiB of metadata",
    "65 tags",
    "an operation ID of 256 bytes",
    "a recall of none",
    "a recall of 1,001",
    "a recall with an empty vector",
    "a list of none",
    "a list of 1,001",
    "a context of no tokens",
    "a context of a million and one",
}


@pytest.mark.parametrize("claim", list(calls(None)))  # type: ignore[arg-type]
def test_is_refused_before_anything_is_written(vault: Vault, claim: str) -> None:
    before = vault.stats().records
    with pytest.raises(InputError) as raised:
        calls(vault)[claim]()
    assert isinstance(raised.value, LimitError) == (claim in LIMITS)
    assert isinstance(raised.value, FilterError) == ("filter" in raised.value.message[:7])
    assert raised.value.hint
    assert vault.stats().records == before


@pytest.mark.parametrize(
    "call",
    [
        lambda vault: vault.get(UNKNOWN),
        lambda vault: vault.update(UNKNOWN, "x"),
        lambda vault: vault.forget(UNKNOWN),
        lambda vault: vault.forget(UNKNOWN, level="hidden"),
        lambda vault: vault.history(UNKNOWN),
        lambda vault: vault.undo("never used"),
        lambda vault: vault.undo(UNKNOWN),
        lambda vault: vault.undo("z" * 26),
    ],
)
def test_what_there_never_was_is_not_found(vault: Vault, call: Callable[[Vault], Any]) -> None:
    before = vault.stats().records
    with pytest.raises(NotFoundError):
        call(vault)
    assert vault.stats().records == before


def test_these_stand_at_their_limits(vault: Vault) -> None:
    text = "x" * limits.TEXT_BYTES
    assert vault.remember(text, namespace="n" * 255, op_id="o" * 255).text == text
    assert len(vault.recall(limit=1000)) == vault.stats().memories
    assert len(vault.recall(limit=1)) == 1
    assert vault.list(limit=1000).next is None
    assert vault.context("x", budget=1_000_000).tokens <= 1_000_000
    assert vault.context("x", budget=1).text == ""


def test_a_message_names_the_item_of_a_batch(vault: Vault) -> None:
    items: list[Any] = [{"text": "x"}] * 3 + [{"text": "x", "tags": 5}]
    with pytest.raises(InputError, match=r"^Item 3: tags"):
        vault.remember_many(items)


def test_a_batch_with_a_wrong_item_keeps_whole_batches_before_it_and_no_part_of_its_own() -> None:
    with Vault.ephemeral() as vault:
        items = [{"text": f"item {n}"} for n in range(700)] + [{"text": ""}]
        with pytest.raises(InputError, match="Item 700"):
            vault.remember_many(items)
        assert vault.stats().memories == 500


# --- hostile values ------------------------------------------------------------------------

HOSTILE = [
    "'; DROP TABLE version; --",
    '" OR 1=1 --',
    "%",
    "_",
    "*",
    "\\",
    "\0",
    "?1",
    ":name",
    "$.a",
    "a\x1b[31m",
    "\u202egnp.exe",
    "x" * 255,
    "{}",
    "[1]",
    "null",
    "NaN",
    "NEAR(a b)",
    "version MATCH 'x'",
    "\U0010ffff",
    "e\u0301",
]
hostile = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
).filter(lambda text: bool(text.strip()))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_kept_as_it_is_in_every_field(vault: Vault, value: str) -> None:
    memory = vault.remember(
        value, kind=value, speaker=value, session=value, source=value, tags=[value],
        metadata={value: value}, op_id=f"hostile {value}"[:255],
    )  # fmt: skip
    found = vault.get(memory.id)
    assert (found.text, found.kind, found.speaker, found.session) == (value,) * 4
    assert (found.source, found.tags, found.metadata) == (value, (value,), {value: value})
    for condition in ({"text": value}, {"speaker": value}, {"tags": {"contains": value}}):
        listed = vault.list(filter={"AND": [condition, {"id": memory.id}]})  # type: ignore[dict-item]
        assert [one.id for one in listed.memories] == [memory.id]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=hostile, other=hostile)
def test_no_call_with_hostile_values_gives_rows_of_elsewhere_or_errors_of_sql(
    vault: Vault, value: str, other: str
) -> None:
    vault.remember("in another namespace", namespace="elsewhere", tags=["elsewhere"])
    for call in (
        lambda: vault.recall(value, tags=[other]),
        lambda: vault.recall(value, filter={"speaker": other}),
        lambda: vault.recall(value, namespace="default", filter={f"metadata.{other}": value}),
        lambda: list(vault.list(tags=[value, other], namespace="default").memories),
        lambda: vault.recall(value, namespace=other),
    ):
        try:
            found = call()
        except InputError:
            continue
        except HauloutError as error:
            pytest.fail(f"{value!r}, {other!r}: {error!r}")
        for one in found:
            memory = getattr(one, "memory", one)
            assert memory.namespace != "elsewhere" or other == "elsewhere"


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.text(max_size=12))
def test_a_namespace_is_taken_as_a_name_or_refused(vault: Vault, name: str) -> None:
    try:
        memory = vault.remember("text", namespace=name)
    except InputError:
        return
    assert memory.namespace == name
    found = vault.recall(namespace=name, limit=1000)
    assert {one.memory.namespace for one in found} == {name}
    assert name in vault.namespaces()
