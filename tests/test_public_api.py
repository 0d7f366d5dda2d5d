"""The public names are a list that is kept, and the verbs are called as their contract says."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import haulout
from haulout import Vault, errors

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = [
    "Actor",
    "AsyncVault",
    "Attachment",
    "BackedUp",
    "CheckReport",
    "Citation",
    "Context",
    "CostReport",
    "DocumentReport",
    "Event",
    "Exported",
    "HauloutError",
    "Intent",
    "IntentReport",
    "Memory",
    "NotRemoteWarning",
    "Page",
    "Passage",
    "Recalled",
    "Receipt",
    "Recovery",
    "RecoveryKit",
    "RecoveryReport",
    "Refreshed",
    "ReservedIntent",
    "Restored",
    "State",
    "StateEvent",
    "StateReport",
    "StatesChanged",
    "Stats",
    "StoreOptions",
    "StoreSynced",
    "Synced",
    "Vault",
    "VolumeReport",
    "VolumesRebalanced",
    "VolumesRepaired",
    "VolumesReport",
    "WalrusReport",
    "__version__",
]
EMPTY = inspect.Parameter.empty


def documented() -> list[str]:
    """The names in the table of docs/architecture.md."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = page.partition("## The public names")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [line.split("`")[1] for line in lines]


def test_the_public_names_are_the_list_and_the_documented_ones() -> None:
    assert haulout.__all__ == PUBLIC == documented()
    assert sorted(haulout.__all__) == haulout.__all__
    assert dir(haulout) == haulout.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_resolves_and_is_described(name: str) -> None:
    found = getattr(haulout, name)
    assert found is getattr(haulout, name)
    assert isinstance(found, str) or (found.__doc__ or "").strip()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        haulout.nothing_like_it  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, haulout; print(sorted({'numpy', 'apsw', 'cryptography'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# --- the verbs -----------------------------------------------------------------------------

POSITIONAL, NAMED = "positional", "named"
KINDS = {
    inspect.Parameter.POSITIONAL_OR_KEYWORD: POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY: NAMED,
    inspect.Parameter.VAR_KEYWORD: "others",
}


def named(**defaults: Any) -> list[tuple[str, str, Any]]:
    return [(name, NAMED, default) for name, default in defaults.items()]


VERBS: dict[str, list[tuple[str, str, Any]]] = {
    "remember": [
        ("text", POSITIONAL, EMPTY),
        *named(
            namespace="default",
            kind=None,
            speaker=None,
            session=None,
            occurred_at=None,
            valid_from=None,
            valid_until=None,
            tags=(),
            metadata=None,
            source=None,
            vector=None,
            attach=None,
            attach_name=None,
            op_id=None,
            wait="local",
            progress=None,
        ),
    ],
    "remember_many": [("items", POSITIONAL, EMPTY), *named(wait="local", progress=None)],
    "recall": [
        ("query", POSITIONAL, None),
        *named(
            vector=None,
            namespace=None,
            limit=10,
            as_of=None,
            valid_at=None,
            since=None,
            until=None,
            tags=(),
            filter=None,
            explain=False,
        ),
    ],
    "context": [("query", POSITIONAL, EMPTY), *named(namespace=None, budget=1000, without=())],
    "get": [("id", POSITIONAL, EMPTY)],
    "resolve": [("prefix", POSITIONAL, EMPTY), *named(of="memory")],
    "list": named(namespace=None, limit=50, after=None, tags=(), filter=None),
    "forget": [
        ("target", POSITIONAL, EMPTY),
        *named(level="destroyed", namespace=None, op_id=None),
    ],
    "undo": [("op_id", POSITIONAL, EMPTY)],
    "history": [("id", POSITIONAL, EMPTY)],
    "namespaces": [],
    "stats": [],
    "export": [("file", POSITIONAL, EMPTY)],
    "backup": [("file", POSITIONAL, EMPTY)],
    "check": named(remote=False, progress=None),
    "rebuild": named(vectors=False, progress=None),
    "catch_up": named(progress=None),
    "attachment": [("id", POSITIONAL, EMPTY)],
    "append": [
        ("id", POSITIONAL, EMPTY),
        ("data", POSITIONAL, EMPTY),
        *named(op_id=None, every=5.0, progress=None),
    ],
    "sync": named(progress=None),
    "stores": [],
    "locator": [],
    "volumes": named(ask=False),
    "add_volumes": [("urls", POSITIONAL, EMPTY), *named(shards=None, progress=None)],
    "remove_volume": [("volume", POSITIONAL, EMPTY), *named(give_up=False, progress=None)],
    "detach_volumes": [],
    "keep_synced": named(every=5.0, told=None),
    "refresh": [("source", POSITIONAL, None), *named(anew=False, progress=None)],
    "keep_fresh": named(every=60.0, told=None),
    "rebalance": named(progress=None),
    "repair": named(deep=False, adopt=(), progress=None),
    "close": [],
    "walrus": [],
    "set_walrus": named(
        publishers=None,
        aggregators=None,
        relays=None,
        nodes=None,
        n_shards=None,
        epoch_days=None,
        keep_days=None,
        cadence_days=None,
        pack_bytes=None,
        vectors=None,
        send_object_to=None,
    ),
    "remove_walrus": [],
    "cost": named(memories=None, size=None, daily=None, s3_gb_month=None),
    "state": [("name", POSITIONAL, EMPTY), *named(now=None, patience=None)],
    "states": [],
    "show_state": [("state", POSITIONAL, EMPTY)],
    "state_events": [("state", POSITIONAL, EMPTY), *named(after=0, limit=1000)],
    "reserve": [
        ("action", POSITIONAL, EMPTY),
        ("payload", POSITIONAL, None),
        *named(
            state="default",
            key=None,
            role="entry",
            target="",
            cost=None,
            holds=(),
            closes=(),
            by="",
        ),
    ],
    "settle": [
        ("intent", POSITIONAL, EMPTY),
        ("status", POSITIONAL, EMPTY),
        *named(state="default", ref=None, filled=None, spent=None, result=None, why="", by=""),
    ],
    "recover": [("state", POSITIONAL, "default"), *named(max_age=None)],
    "get_document": [("name", POSITIONAL, EMPTY), *named(state="default")],
    "set_document": [
        ("name", POSITIONAL, EMPTY),
        ("value", POSITIONAL, EMPTY),
        *named(state="default", expected=None, by=""),
    ],
    "pause_states": [("states", POSITIONAL, EMPTY), *named(why="")],
    "flatten_states": [("states", POSITIONAL, EMPTY), *named(why="")],
    "resume_states": [("states", POSITIONAL, EMPTY), *named(why="")],
    "limit_states": [
        ("states", POSITIONAL, EMPTY),
        ("limit", POSITIONAL, EMPTY),
        ("most", POSITIONAL, EMPTY),
        *named(create=False),
    ],
}


def parameters(function: Any) -> list[tuple[str, str, Any]]:
    found = list(inspect.signature(function).parameters.values())
    return [(p.name, KINDS[p.kind], p.default) for p in found if p.name not in {"self", "cls"}]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_called_as_its_contract_says(verb: str) -> None:
    assert parameters(getattr(Vault, verb)) == VERBS[verb]


def test_update_takes_an_id_a_text_and_any_other_field_by_name() -> None:
    (first, text, *rest) = parameters(Vault.update)
    assert first == ("id", POSITIONAL, EMPTY)
    assert text[:2] == ("text", POSITIONAL)
    assert text[2] is not EMPTY
    assert rest == [*named(op_id=None, wait="local"), ("changes", "others", EMPTY)]


def test_a_vault_is_made_opened_or_restored() -> None:
    common = named(
        passphrase=None, embedder="auto", credentials=None, store_options=None, world=None
    )
    path = ("path", POSITIONAL, None)
    assert parameters(Vault.create) == [path, *common]
    assert parameters(Vault.open) == [path, *common]
    assert parameters(Vault.ephemeral) == named(embedder="none", world=None)
    assert parameters(Vault.restore) == [
        ("source", POSITIONAL, EMPTY),
        path,
        ("kit", NAMED, EMPTY),
        *common,
        ("progress", NAMED, None),
    ]
    first, where, kit, *rest = parameters(Vault.replicate)
    assert [first, where, kit] == parameters(Vault.restore)[:3]
    assert rest == [*named(most_bytes=256_000_000), *common, ("progress", NAMED, None)]


def test_a_vault_has_no_other_public_methods() -> None:
    public = {name for name in dir(Vault) if not name.startswith("_")}
    makers = {"create", "open", "ephemeral", "restore", "replicate"}
    assert public == {*VERBS, *makers, "update", "path", "id", "is_replica"}


# --- errors --------------------------------------------------------------------------------

ERRORS = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, Exception)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_tells_what_happened_and_what_to_do(error: type[haulout.HauloutError]) -> None:
    raised = error("It happened.", hint="Do this.")
    assert (raised.message, raised.hint, str(raised)) == (
        "It happened.",
        "Do this.",
        "It happened. Do this.",
    )
    assert error("It happened.").hint == error.default_hint
    assert str(error("It happened.", hint="")) == "It happened."
    assert isinstance(error.retry, bool)


def test_only_what_the_disk_refused_for_now_is_worth_trying_again() -> None:
    expected = {"StorageError", "DiskFullError", "StoreUnavailableError"}
    assert {e.__name__ for e in ERRORS if e.retry} == expected
