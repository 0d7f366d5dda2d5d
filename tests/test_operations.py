"""Operations: one typed value for each verb, and one door for owner and apps."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from haulout import Vault, operations
from haulout.errors import ActionRefusedError, InputError, NotAllowedError, NotFoundError
from haulout.operations import OWNER, AnyOperation, Principal, app, execute

TYPES = typing.get_args(AnyOperation)
WITHOUT_OPERATION = {
    "close", "create", "open", "ephemeral", "restore", "replicate", "path", "id", "is_replica",
    "keep_synced", "keep_fresh", "state",
}  # fmt: skip
NOT_CARRIED = {"progress"}


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault.ephemeral() as found:
        yield found


def tag(operation: Any) -> str:
    return str(operation.__struct_config__.tag)


def test_each_verb_has_one_operation() -> None:
    verbs = {name for name in dir(Vault) if not name.startswith("_")} - WITHOUT_OPERATION
    assert sorted(map(tag, TYPES)) == sorted(verbs)


@pytest.mark.parametrize("operation", TYPES, ids=tag)
def test_an_operation_has_the_arguments_of_its_verb(operation: Any) -> None:
    taken = inspect.signature(getattr(Vault, tag(operation))).parameters
    names = set(taken) - {"self"} - NOT_CARRIED
    fields = {field.name: field for field in msgspec.structs.fields(operation)}
    if tag(operation) == "update":
        names = set(fields)  # its other arguments are those of remember
        remember = {field.name for field in msgspec.structs.fields(operations.Remember)}
        assert names - {"id"} == remember - {"namespace", "attach", "attach_name"}
    assert set(fields) == names
    for name, field in fields.items():
        if name in taken and field.default not in {msgspec.NODEFAULT, msgspec.UNSET}:
            assert field.default == taken[name].default


def test_every_operation_is_carried_out_for_the_owner(vault: Vault, tmp_path: Path) -> None:
    def do(operation: AnyOperation, **options: Any) -> Any:
        return execute(vault, OWNER, operation, **options)

    told: list[tuple[int, int | None]] = []
    memory = do(operations.Remember(text="Ana is allergic to walnuts.", tags=("health",)))
    many = do(operations.RememberMany(items=[{"text": "one"}]), progress=lambda *a: told.append(a))
    assert told == [(1, 1)]
    assert do(operations.Recall(query="walnuts"))[0].memory.id == memory.id
    assert do(operations.GetContext(query="walnuts")).citations[0].id == memory.id
    assert do(operations.Get(id=memory.id)).text == memory.text
    (tmp_path / "log.txt").write_bytes(b"one\n")
    path = str(tmp_path / "log.txt")
    told.clear()
    log = do(operations.Remember(text="a log", attach=path), progress=lambda *a: told.append(a))
    assert told == [(4, 4)]
    assert do(operations.Append(id=log.id, data=path), progress=lambda *a: told.append(a)).version
    assert told == [(4, 4), (4, 4)]
    with do(operations.ReadAttachment(id=log.id)) as stream:
        assert stream.read() == b"one\none\n"
    do(operations.Forget(target=log.id))
    assert len(do(operations.List()).memories) == 2
    assert do(operations.Update(id=memory.id, kind="fact")).text == memory.text
    assert len(do(operations.History(id=memory.id))) == 2
    assert do(operations.Resolve(prefix=memory.id[:8])) == memory.id
    hidden = do(operations.Forget(target=memory.id, level="hidden"))
    assert do(operations.Undo(op_id=hidden.op_id)).level == "shown"
    assert do(operations.Forget(target={"text": "one"})).memories == (many[0].id,)
    assert do(operations.Namespaces()) == ["default"]
    assert do(operations.GetStats()).memories == 1
    assert do(operations.Export(file=str(tmp_path / "e"))).memories == 1
    assert do(operations.Backup(file=str(tmp_path / "b"))).records > 0
    assert do(operations.Check()).sound
    assert do(operations.Rebuild()) == 2
    assert do(operations.CatchUp()) == 0
    assert do(operations.GetStores()).stores == ()
    urls = tuple(str(tmp_path / name) for name in ("one", "two", "three"))
    assert do(operations.AddVolumes(urls=urls)).volumes_lost == 1
    assert do(operations.Sync()).complete
    assert do(operations.GetLocator()).startswith("haulout:1:")
    assert do(operations.Check(remote=True)).remote_sections > 0
    assert do(operations.Repair(deep=True)).whole
    assert do(operations.Rebalance()).generation == 1
    assert do(operations.RemoveVolume(volume=urls[2])).generation == 2
    assert do(operations.GetVolumes(ask=True)).lost == 0
    with pytest.raises(InputError, match="no replica"):
        do(operations.Refresh())
    assert do(operations.DetachVolumes()).stores == ()
    urls = ("http://127.0.0.1:1",)
    assert do(operations.SetWalrus(publishers=urls, aggregators=urls)).publishers == urls
    assert do(operations.GetWalrus()).epoch is None
    assert do(operations.Cost(memories=10, daily=0)).memories == 10
    assert do(operations.RemoveWalrus()).stores == ()


def test_every_operation_on_states_is_carried_out_for_the_owner(vault: Vault) -> None:
    def do(operation: AnyOperation) -> Any:
        return execute(vault, OWNER, operation)

    assert do(operations.GetStates()) == []
    asked = operations.Reserve(action="book", payload={"for": 2}, state="trips", key="k")
    first = do(asked)
    assert (first.fresh, first.intent.status, first.intent.by) == (True, "reserved", "")
    assert do(asked).fresh is False
    assert do(operations.GetStates()) == ["trips"]
    assert do(operations.Recover(state="trips")).open == (first.intent,)
    done = do(operations.Settle(intent=first.intent.id, status="done", state="trips", ref="42"))
    assert (done.status, done.ref) == ("done", "42")
    assert do(operations.SetDocument(name="plan", value=[1], state="trips", expected=0)) == 1
    assert do(operations.GetDocument(name="plan", state="trips")).value == [1]
    assert do(operations.LimitStates(states="trips", limit="usd/day", most="5")).states == (
        "trips",
    )
    assert do(operations.PauseStates(states="tr*", why="holiday")).action == "pause"
    assert do(operations.FlattenStates(states="trips")).action == "flatten"
    shown = do(operations.ShowState(state="trips"))
    assert (shown.halted, shown.recent[0].id) == ("flatten", first.intent.id)
    assert do(operations.ResumeStates(states="trips")).states == ("trips",)
    kinds = [one.kind for one in do(operations.GetStateEvents(state="trips"))]
    assert kinds == [
        "tag", "intent", "settle", "document", "limits", "override", "override", "override",
    ]  # fmt: skip


def minimal(operation: Any) -> AnyOperation:
    """An operation with no more than it needs."""
    return operation(
        **{
            field.name: {} if field.name == "target" else [] if field.name == "items" else "x"
            for field in msgspec.structs.fields(operation)
            if field.default is msgspec.NODEFAULT
        }
    )


@pytest.mark.parametrize("operation", TYPES, ids=tag)
def test_who_was_given_nothing_may_do_nothing(vault: Vault, operation: Any) -> None:
    with pytest.raises(NotAllowedError, match="stranger may not"):
        execute(vault, Principal("stranger"), minimal(operation))


@pytest.mark.parametrize("operation", TYPES, ids=tag)
def test_an_app_may_remember_and_act_and_reaches_no_file_whole_vault_nor_owners_word(
    vault: Vault, operation: Any
) -> None:
    reads = {"recall", "context", "get", "list", "history", "recover", "get_document"}
    writes = {"remember", "update", "forget", "reserve", "settle", "set_document"}
    for principal, may in ((app("bot"), reads | writes), (app("bot", read_only=True), reads)):
        if tag(operation) in may:
            with suppress(InputError, NotFoundError):  # "x" is no ID: it came as far as the vault
                execute(vault, principal, minimal(operation))
        else:
            with pytest.raises(NotAllowedError, match=f"bot may not {tag(operation)}"):
                execute(vault, principal, minimal(operation))


def test_an_app_may_neither_attach_nor_read_nor_append(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"the owner's")
    path, bot = str(tmp_path / "secret"), app("bot")
    mine = vault.remember("mine", attach=path)
    for asked in (
        operations.Remember(text="a file", attach=path),
        operations.ReadAttachment(id=mine.id),
        operations.Append(id=mine.id, data=path),
    ):
        with pytest.raises(NotAllowedError, match="bot may not"):
            execute(vault, bot, asked)
    assert vault.stats().attachments == 1


def test_what_an_app_writes_carries_its_name_whatever_it_says(vault: Vault) -> None:
    bot = app("bot")
    memory = execute(vault, bot, operations.Remember(text="words", source="the owner"))
    assert memory.source == "bot"
    mine = execute(vault, OWNER, operations.Remember(text="mine", source="a.json"))
    changed = execute(vault, bot, operations.Update(id=mine.id, text="changed", source="a.json"))
    assert changed.source == "bot"
    assert vault.history(mine.id)[0].memory.source == "a.json"


def test_what_an_app_does_to_a_state_carries_its_name_whatever_it_says(vault: Vault) -> None:
    bot = app("bot")
    made = execute(vault, bot, operations.Reserve(action="book", by="owner"))
    assert made.intent.by == "bot"
    execute(vault, bot, operations.Settle(intent=made.intent.id, status="unknown", by="owner"))
    execute(vault, OWNER, operations.Settle(intent=made.intent.id, status="done", by="owner"))
    execute(vault, bot, operations.SetDocument(name="plan", value=1, by=""))
    writers = [(one.kind, one.by) for one in vault.state_events("default")]
    assert writers == [
        ("tag", ""), ("intent", "bot"), ("settle", "bot"), ("settle", "owner"), ("document", "bot"),
    ]  # fmt: skip


def test_an_app_cannot_lift_what_its_owner_said(vault: Vault) -> None:
    vault.set_document("plan", 1)
    vault.pause_states("default", why="enough")
    bot = app("bot")
    with pytest.raises(ActionRefusedError, match="owner said pause"):
        execute(vault, bot, operations.Reserve(action="book"))
    lifts = (
        operations.ResumeStates(states="default"),
        operations.LimitStates(states="default", limit="usd/day", most=None),
    )
    for lifting in lifts:
        with pytest.raises(NotAllowedError, match="bot may not"):
            execute(vault, bot, lifting)


def test_an_app_settles_what_apps_began_and_nothing_that_an_agent_of_the_owner_did(
    vault: Vault,
) -> None:
    bots = vault.state("bots/btc").reserve("order", cost={"usd": 5}).intent
    apps = execute(vault, app("cursor"), operations.Reserve(action="book", target="luigi")).intent
    with pytest.raises(NotAllowedError, match="codex may not settle what no app began"):
        execute(
            vault, app("codex"),
            operations.Settle(intent=bots.text, status="dropped", state="bots/btc"),
        )  # fmt: skip
    assert vault.show_state("bots/btc").open[0].id == bots.text
    done = operations.Settle(intent=apps.id, status="done")
    assert execute(vault, app("codex"), done).status == "done"
    for missing in ("bots/btc", "nowhere"):
        with pytest.raises(NotFoundError):
            execute(
                vault, app("codex"), operations.Settle(intent=apps.id, status="done", state=missing)
            )
    assert vault.states() == ["bots/btc", "default"]


@pytest.mark.parametrize("name", ["", "owner", "Claude", "a b", "../x", "x" * 65, "-x", "a\nb"])
def test_what_cannot_name_an_app_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no name of an app"):
        app(name)


def test_an_operation_is_read_from_json_by_its_name(vault: Vault) -> None:
    text = (
        b'{"operation": "remember", "text": "words", "occurred_at": "2025-06-15T12:00:00+02:00",'
        b' "tags": ["a"], "metadata": {"n": 1.5}}'
    )
    operation = msgspec.json.decode(text, type=AnyOperation)
    memory = execute(vault, OWNER, operation)
    assert (memory.text, memory.tags, memory.metadata) == ("words", ("a",), {"n": 1.5})
    assert memory.occurred_at is not None
    assert memory.occurred_at.isoformat() == "2025-06-15T10:00:00+00:00"


_NEEDED: dict[str, Any] = {"target": {"id": "x"}, "items": [], "urls": ("x",), "status": "done"}


@pytest.mark.parametrize("operation", TYPES, ids=tag)
def test_an_operation_survives_being_written_as_json(operation: Any) -> None:
    needed = {
        field.name: _NEEDED.get(field.name, "x")
        for field in msgspec.structs.fields(operation)
        if field.default is msgspec.NODEFAULT
    }
    made = operation(**needed)
    assert msgspec.json.decode(msgspec.json.encode(made), type=AnyOperation) == made


@pytest.mark.parametrize(
    "text",
    [b'{"operation": "drop_table"}', b'{"text": "words"}', b'{"operation": "remember"}',
     b'{"operation": "remember", "text": 5}', b'{"operation": "forget", "target": 5}',
     b'{"operation": "recall", "limit": "10"}',
     b'{"operation": "forget", "target": "x", "level": "soft"}'],
)  # fmt: skip
def test_what_is_no_operation_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AnyOperation)


def test_update_tells_a_field_left_out_from_one_taken_away(vault: Vault) -> None:
    memory = vault.remember("words", speaker="Ana", source="a.json")
    changed = execute(vault, OWNER, operations.Update(id=memory.id, speaker=None))
    assert (changed.text, changed.speaker, changed.source) == ("words", None, "a.json")
    with pytest.raises(InputError):
        execute(vault, OWNER, operations.Update(id=memory.id))


def test_errors_of_the_vault_pass_the_door_as_they_are(vault: Vault) -> None:
    with pytest.raises(NotFoundError):
        execute(vault, OWNER, operations.Get(id="0" * 26))
