"""Every operation as a typed value, and `execute`, the only door to a vault for any surface.

The command line, MCP, REST and the rest build a value of one of these types and pass it here
with who asks. Schemas, help and limits are derived from the types; what an operation does is
the vault's method of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from haulout.errors import InputError, NotAllowedError
from haulout.vault import Vault

Progress = Callable[[int, int | None], None]
Filter = dict[str, Any]
Time = datetime


class Operation(msgspec.Struct, frozen=True, kw_only=True, tag=str.lower, tag_field="operation"):
    """Base of all operations. The tag names the vault's method that carries it out."""


class Remember(Operation, frozen=True, kw_only=True):
    """Keep one thing. ``attach`` is a path or, in this process, bytes or a stream."""

    text: str
    namespace: str = "default"
    kind: str | None = None
    speaker: str | None = None
    session: str | None = None
    occurred_at: Time | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    source: str | None = None
    vector: list[float] | None = None
    attach: str | None = None
    attach_name: str | None = None
    op_id: str | None = None
    wait: Literal["local", "remote"] = "local"


class RememberMany(Operation, frozen=True, kw_only=True, tag="remember_many"):
    """Keep many things; each item has the fields of `Remember`."""

    items: list[dict[str, Any]]
    wait: Literal["local", "remote"] = "local"


class Recall(Operation, frozen=True, kw_only=True):
    """Find what answers a question, best first."""

    query: str | None = None
    vector: list[float] | None = None
    namespace: str | None = None
    limit: int = 10
    as_of: Time | None = None
    valid_at: Time | None = None
    since: Time | None = None
    until: Time | None = None
    tags: tuple[str, ...] = ()
    filter: Filter | None = None
    explain: bool = False


class GetContext(Operation, frozen=True, kw_only=True, tag="context"):
    """Recall, packed for a prompt."""

    query: str
    namespace: str | None = None
    budget: int = 1000
    without: tuple[str, ...] = ()


class Get(Operation, frozen=True, kw_only=True):
    """One memory."""

    id: str


class Resolve(Operation, frozen=True, kw_only=True):
    """The whole ID of the one memory or operation whose ID begins so."""

    prefix: str
    of: Literal["memory", "operation"] = "memory"


class ReadAttachment(Operation, frozen=True, kw_only=True, tag="attachment"):
    """The bytes of a memory's attachment, as a stream."""

    id: str


class Append(Operation, frozen=True, kw_only=True):
    """Add to the end of a memory's attachment: a path or, in this process, bytes or a stream."""

    id: str
    data: Any
    op_id: str | None = None
    every: float = 5.0


class List(Operation, frozen=True, kw_only=True):
    """Memories by age, newest first, a page at a time."""

    namespace: str | None = None
    limit: int = 50
    after: str | None = None
    tags: tuple[str, ...] = ()
    filter: Filter | None = None


class Update(Operation, frozen=True, kw_only=True):
    """Correct a memory. Fields that are not given stay as they are."""

    id: str
    text: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType | None = msgspec.UNSET
    speaker: str | msgspec.UnsetType | None = msgspec.UNSET
    session: str | msgspec.UnsetType | None = msgspec.UNSET
    occurred_at: Time | msgspec.UnsetType | None = msgspec.UNSET
    valid_from: Time | msgspec.UnsetType | None = msgspec.UNSET
    valid_until: Time | msgspec.UnsetType | None = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    source: str | msgspec.UnsetType | None = msgspec.UNSET
    vector: list[float] | msgspec.UnsetType | None = msgspec.UNSET
    op_id: str | None = None
    wait: Literal["local", "remote"] = "local"


class Forget(Operation, frozen=True, kw_only=True):
    """Forget one, several, or what a filter finds."""

    target: str | list[str] | Filter
    level: Literal["hidden", "destroyed", "everywhere"] = "destroyed"
    namespace: str | None = None
    op_id: str | None = None


class Undo(Operation, frozen=True, kw_only=True):
    """Take an operation back."""

    op_id: str


class History(Operation, frozen=True, kw_only=True):
    """Everything that happened to a memory."""

    id: str


class Namespaces(Operation, frozen=True, kw_only=True):
    """The namespaces that hold something."""


class GetStats(Operation, frozen=True, kw_only=True, tag="stats"):
    """The vault in figures."""


class Export(Operation, frozen=True, kw_only=True):
    """Write every memory to a file, in the open."""

    file: str


class Backup(Operation, frozen=True, kw_only=True):
    """Write the whole vault to one sealed file."""

    file: str


class Check(Operation, frozen=True, kw_only=True):
    """Verify everything, and finish pending erasures."""

    remote: bool = False


class Rebuild(Operation, frozen=True, kw_only=True):
    """Make the index again from the log."""

    vectors: bool = False


class CatchUp(Operation, frozen=True, kw_only=True, tag="catch_up"):
    """Embed what waits for its vector."""


class Sync(Operation, frozen=True, kw_only=True):
    """Publish what the stores do not have yet."""


class GetStores(Operation, frozen=True, kw_only=True, tag="stores"):
    """What each store holds, as far as this disk knows."""


class GetLocator(Operation, frozen=True, kw_only=True, tag="locator"):
    """Where the vault's bytes are, as text to keep with the kit."""


class GetVolumes(Operation, frozen=True, kw_only=True, tag="volumes"):
    """The volumes, what they survive and what they cost."""

    ask: bool = False


class AddVolumes(Operation, frozen=True, kw_only=True, tag="add_volumes"):
    """Make folders and buckets volumes of the vault."""

    urls: tuple[str, ...]
    shards: int | None = None


class RemoveVolume(Operation, frozen=True, kw_only=True, tag="remove_volume"):
    """Take a volume out; its shards go to the others first."""

    volume: str
    give_up: bool = False


class DetachVolumes(Operation, frozen=True, kw_only=True, tag="detach_volumes"):
    """Let the volumes go; what they hold stays there."""


class Rebalance(Operation, frozen=True, kw_only=True):
    """Spread shards evenly again, or finish a change that was cut short."""


class Repair(Operation, frozen=True, kw_only=True):
    """Rebuild what is missing or damaged on the volumes."""

    deep: bool = False
    adopt: tuple[str, ...] = ()


class SetWalrus(Operation, frozen=True, kw_only=True, tag="set_walrus"):
    """Publish the vault on a Walrus network, or say anew how."""

    publishers: tuple[str, ...] | None = None
    aggregators: tuple[str, ...] | None = None
    relays: tuple[str, ...] | None = None
    nodes: dict[str, tuple[int, ...]] | None = None
    n_shards: int | None = None
    epoch_days: float | None = None
    keep_days: float | None = None
    cadence_days: float | None = None
    pack_bytes: int | None = None
    vectors: bool | None = None
    send_object_to: str | None = None


class GetWalrus(Operation, frozen=True, kw_only=True, tag="walrus"):
    """The network that the vault is published on, as far as this disk knows."""


class RemoveWalrus(Operation, frozen=True, kw_only=True, tag="remove_walrus"):
    """Publish on Walrus no more; what is there ends by itself."""


class Cost(Operation, frozen=True, kw_only=True):
    """What keeping a vault costs, before anything is sent."""

    memories: int | None = None
    size: int | None = None
    daily: int | None = None
    s3_gb_month: float | None = None


class Refresh(Operation, frozen=True, kw_only=True):
    """Bring a replica to the newest head of its stores; ``source`` is a newer locator."""

    source: str | None = None
    anew: bool = False


class GetStates(Operation, frozen=True, kw_only=True, tag="states"):
    """The names of all states."""


class ShowState(Operation, frozen=True, kw_only=True, tag="show_state"):
    """A state at a glance."""

    state: str


class GetStateEvents(Operation, frozen=True, kw_only=True, tag="state_events"):
    """The journal of a state, after an event's number."""

    state: str
    after: int = 0
    limit: int = 1000


class Reserve(Operation, frozen=True, kw_only=True):
    """Write an action down before it is done."""

    action: str
    payload: Any = None
    state: str = "default"
    key: str | None = None
    role: Literal["entry", "exit"] = "entry"
    target: str = ""
    cost: dict[str, Any] | None = None
    holds: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    by: str = ""


class Settle(Operation, frozen=True, kw_only=True):
    """Say what became of an action."""

    intent: str
    status: Literal["accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"]
    state: str = "default"
    ref: str | None = None
    filled: str | None = None
    spent: dict[str, Any] | None = None
    result: Any = None
    why: str = ""
    by: str = ""


class Recover(Operation, frozen=True, kw_only=True):
    """What to read before the first action after a start."""

    state: str = "default"
    max_age: timedelta | None = None


class GetDocument(Operation, frozen=True, kw_only=True, tag="get_document"):
    """A document of a state."""

    name: str
    state: str = "default"


class SetDocument(Operation, frozen=True, kw_only=True, tag="set_document"):
    """Set a document of a state, if the version stands that is expected."""

    name: str
    value: Any
    state: str = "default"
    expected: int | None = None
    by: str = ""


class PauseStates(Operation, frozen=True, kw_only=True, tag="pause_states"):
    """The owner forbids entries."""

    states: str
    why: str = ""


class FlattenStates(Operation, frozen=True, kw_only=True, tag="flatten_states"):
    """The owner forbids entries, and asks to close what is held."""

    states: str
    why: str = ""


class ResumeStates(Operation, frozen=True, kw_only=True, tag="resume_states"):
    """The owner allows entries again."""

    states: str
    why: str = ""


class LimitStates(Operation, frozen=True, kw_only=True, tag="limit_states"):
    """The owner bounds what entries cost; ``most`` is an amount, None for as much as it wants."""

    states: str
    limit: str
    most: str | None
    create: bool = False


AnyOperation = (
    Remember
    | RememberMany
    | Recall
    | GetContext
    | Get
    | ReadAttachment
    | Append
    | Resolve
    | List
    | Update
    | Forget
    | Undo
    | History
    | Namespaces
    | GetStats
    | Export
    | Backup
    | Check
    | Rebuild
    | CatchUp
    | Sync
    | GetStores
    | GetLocator
    | GetVolumes
    | AddVolumes
    | RemoveVolume
    | DetachVolumes
    | Rebalance
    | Repair
    | Refresh
    | SetWalrus
    | GetWalrus
    | RemoveWalrus
    | Cost
    | GetStates
    | ShowState
    | GetStateEvents
    | Reserve
    | Settle
    | Recover
    | GetDocument
    | SetDocument
    | PauseStates
    | FlattenStates
    | ResumeStates
    | LimitStates
)
"""Decode JSON into one of these by its ``operation`` field."""

_WITH_PROGRESS = (
    Remember, RememberMany, Append, Check, Rebuild, CatchUp, Sync, AddVolumes, RemoveVolume,
    Rebalance, Repair, Refresh,
)  # fmt: skip


READS: frozenset[type[Operation]] = frozenset(
    {Recall, GetContext, Get, List, History, Recover, GetDocument}
)
"""What an app that may only read may ask for."""
WRITES: frozenset[type[Operation]] = frozenset(
    {Remember, Update, Forget, Reserve, Settle, SetDocument}
)
"""What an app may ask for beside reading. None of it reaches a file or the whole vault, and none
of it is the owner's word over an agent: an app neither pauses, resumes nor limits a state."""

_APP_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Principal(msgspec.Struct, frozen=True):
    """Who asks. The owner may do everything; an app, what its operations name.

    Attributes:
        name: the owner, or the app's name: what it writes carries it as its source.
        owner: whether it is the owner.
        may: the operations that it may ask for.
    """

    name: str
    owner: bool = False
    may: frozenset[type[Operation]] = frozenset()


OWNER = Principal("owner", owner=True)


def app(name: str, *, read_only: bool = False) -> Principal:
    """A program that the owner started for an app, such as ``claude-code``.

    Args:
        name: letters, digits, ``.``, ``_`` and ``-``, at most 64, lower case.
        read_only: whether it may recall and no more.

    Raises:
        InputError: the name is none.
    """
    if not _APP_NAME.fullmatch(name) or name == OWNER.name:
        message = f"{name!r} is no name of an app."
        hint = "Use up to 64 lower-case letters, digits, dots, dashes and underscores."
        raise InputError(message, hint=hint)
    return Principal(name, may=READS if read_only else READS | WRITES)


def execute(
    vault: Vault,
    principal: Principal,
    operation: AnyOperation,
    *,
    progress: Progress | None = None,
) -> Any:
    """Carry out one operation for a principal and return what the vault's method returns.

    What an app writes carries the app's name, as its source or as who did it (``by``), whatever the
    operation says.

    Args:
        vault: the open vault; ``principal``: who asks; ``operation``: what for.
        progress: passed on to operations that report any.

    Raises:
        NotAllowedError: the principal may not; otherwise what the vault's method raises.
    """
    if not principal.owner:
        if type(operation) not in principal.may:
            message = f"{principal.name} may not {_verb(operation)}."
            raise NotAllowedError(message, hint="The owner of the vault decides what an app may.")
        if isinstance(operation, Remember) and operation.attach is not None:
            message = f"{principal.name} may not attach anything."
            raise NotAllowedError(message, hint="The owner of the vault attaches files.")
        if isinstance(operation, Remember | Update):
            operation = msgspec.structs.replace(operation, source=principal.name)
        if isinstance(operation, Settle):
            _require_of_an_app(vault, principal, operation)
        if isinstance(operation, Reserve | Settle | SetDocument):
            operation = msgspec.structs.replace(operation, by=principal.name)
    arguments = {
        name: value
        for name in operation.__struct_fields__
        if (value := getattr(operation, name)) is not msgspec.UNSET
    }
    if isinstance(operation, _WITH_PROGRESS):
        arguments["progress"] = progress
    return getattr(vault, _verb(operation))(**arguments)


def _require_of_an_app(vault: Vault, principal: Principal, operation: Settle) -> None:
    """Refuse an app that would say what became of an action that no app began.

    To call a bot's order dropped would free its limits and let it be sent again.
    """
    if operation.state not in vault.states():
        return  # the vault says so
    if not vault.state(operation.state).intent(operation.intent).by:
        message = f"{principal.name} may not settle what no app began."
        raise NotAllowedError(message, hint="`haulout state resolve` does, for the owner.")


def _verb(operation: Operation) -> str:
    """The name of the vault's method that carries an operation out."""
    return str(type(operation).__struct_config__.tag)
