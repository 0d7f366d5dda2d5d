"""A bot's state as one file that any program can read: docs/spec/bot-state.md.

Pure. What all bots have is named here; what only one framework has is kept under its name in
``extensions``, so that the way back loses nothing. Amounts are decimal text, times are
microseconds since 1970 UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NoReturn, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.jsonstream import bounded_nesting

FORMAT: Final = "haulout-bot-state"
VERSION: Final = 1
LARGEST: Final = 256 * 1024 * 1024
"""Bytes of a file that is read; a state of 100,000 closed trades has some 100 MB."""
_FURTHEST: Final = 2**62

Amount = Annotated[str, Meta(pattern=r"\A-?[0-9]+(\.[0-9]+)?(E[+-]?[0-9]{1,3})?\Z", max_length=400)]
"""Decimal text, such as ``0.1`` or ``1E-9``."""
Moment = Annotated[int, Meta(ge=-_FURTHEST, le=_FURTHEST)]
"""Microseconds since 1970 UTC."""
Minute = Annotated[str, Meta(pattern=r"\A[0-9]{1,10}\Z")]
IntentId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Role = Literal["entry", "exit", "stop"]
Extensions = dict[str, Any]
"""What only one framework has, under its name."""


class _Form(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the file: a field of no value is left out, an unknown one is refused."""


class BotOrder(_Form, kw_only=True):
    """An order of a trade.

    Attributes:
        id: the venue's own; empty where it gave none. intent: of the journal, 32 hex digits.
        role: an exit takes risk away, a stop waits at the venue to do so.
        kind: such as ``limit``; status: in the venue's words; open: whether it may still fill.
        price, average, amount, filled, remaining, cost, stop_price: as the venue tells them.
        at, filled_at, updated_at: when; tag: the strategy's own word for it.
    """

    id: str = ""
    intent: IntentId | None = None
    role: Role
    side: str | None = None
    symbol: str | None = None
    kind: str | None = None
    status: str | None = None
    open: bool = False
    price: Amount | None = None
    average: Amount | None = None
    amount: Amount | None = None
    filled: Amount | None = None
    remaining: Amount | None = None
    cost: Amount | None = None
    stop_price: Amount | None = None
    at: Moment | None = None
    filled_at: Moment | None = None
    updated_at: Moment | None = None
    tag: str | None = None
    extensions: Extensions = {}


class BotTrade(_Form, kw_only=True):
    """A position, open or closed, with the orders that made it.

    Attributes:
        id: tells it from the others in this file; at: when the bot last wrote it down.
        venue, symbol, base, quote: what is traded where; side: what the position is.
        amount: of the base; entry_price, exit_price: averages; stake: of the quote.
        stop, initial_stop, trailing: where it is to be left; highest, lowest: prices seen.
        realized: profit so far, in the quote; reasons: the strategy's own words.
        custom: the bot's own data on this trade, by key.
    """

    id: Name
    at: Moment = 0
    venue: str
    symbol: Name
    base: str | None = None
    quote: str | None = None
    side: Literal["long", "short"] = "long"
    open: bool = True
    amount: Amount
    entry_price: Amount
    exit_price: Amount | None = None
    stake: Amount | None = None
    leverage: Amount | None = None
    opened_at: Moment
    closed_at: Moment | None = None
    stop: Amount | None = None
    initial_stop: Amount | None = None
    trailing: bool = False
    highest: Amount | None = None
    lowest: Amount | None = None
    realized: Amount | None = None
    strategy: str | None = None
    entry_reason: str | None = None
    exit_reason: str | None = None
    orders: list[BotOrder] = []
    custom: dict[str, Any] = {}
    extensions: Extensions = {}


class Lock(_Form, kw_only=True):
    """A cooldown: no entry on a symbol (``*``: on any) for a time."""

    symbol: Name
    side: str = "*"
    reason: str | None = None
    at: Moment
    until: Moment
    active: bool = True
    extensions: Extensions = {}


class KeptValue(_Form, kw_only=True):
    """A document of the strategy: its value, version, schema, and when it was set."""

    value: Any
    version: Annotated[int, Meta(ge=0, le=_FURTHEST)] = 0
    schema: Annotated[int, Meta(ge=0, le=_FURTHEST)] = 1
    at: Moment = 0


class KeptNote(_Form, kw_only=True):
    """A note of a journal, and when it was made."""

    at: Moment
    value: Any


class KeptIntent(_Form, kw_only=True):
    """An action that was written down, as docs/spec/state.md has it: open, or decided by a key."""

    id: IntentId
    key: Name | None = None
    action: Name
    role: Literal["entry", "exit"]
    target: str = ""
    payload: Any = None
    cost: dict[str, Amount] = {}
    holds: list[str] = []
    closes: list[IntentId] = []
    at: Moment
    epoch: Annotated[int, Meta(ge=0, le=_FURTHEST)] = 0
    status: Literal[
        "reserved", "accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"
    ]
    ref: str | None = None
    filled: Amount | None = None
    spent: dict[str, Amount] = {}
    result: Any | UnsetType = UNSET
    why: str = ""
    adopted: bool = False
    by: str = ""
    held: bool = False


class Halt(_Form, kw_only=True):
    """What the owner forbade: ``pause`` or ``flatten``, since when, and why."""

    action: Literal["pause", "flatten"]
    at: Moment = 0
    why: str = ""


class BotState(_Form, kw_only=True):
    """A bot's state.

    Attributes:
        name: of the bot; at: when it was written down; source: the program it comes from.
        tag: 8 hex digits with which the bot's own order IDs begin; empty where it has none.
        trades, locks: positions with their orders, and cooldowns.
        limits, owner_limits: risk limits by name (``usd/day``); None is one that was lifted.
        halt: what the owner forbade; spent: what limits count, by unit and minute since 1970.
        values: the strategy's own documents; journals: its notes, oldest first.
        intents: actions that are open, hold something, or were decided by a key.
    """

    name: str = ""
    at: Moment = 0
    source: str = ""
    tag: Annotated[str, Meta(pattern=r"\A([0-9a-f]{8})?\Z")] = ""
    trades: list[BotTrade] = []
    locks: list[Lock] = []
    limits: dict[str, Amount] = {}
    owner_limits: dict[str, Amount | None] = {}
    halt: Halt | None = None
    spent: dict[str, dict[Minute, Amount]] = {}
    values: dict[str, KeptValue] = {}
    journals: dict[str, list[KeptNote]] = {}
    intents: list[KeptIntent] = []
    extensions: Extensions = {}


# ---------------------------------------------------------------------- amounts


def amount_of(value: float) -> str:
    """A float as decimal text from which it comes back bit for bit.

    Raises:
        InputError: it is not finite.
    """
    found = Decimal(repr(float(value)))
    if not found.is_finite():
        message = f"{value} is no amount."
        raise InputError(message)
    return str(found)


def is_exact(text: str) -> bool:
    """Whether decimal text is the value of a float, so that a float column loses nothing."""
    try:
        return Decimal(repr(float(text))) == Decimal(text)
    except (ArithmeticError, ValueError):  # infinite: past a float's range
        return False


# ---------------------------------------------------------------------- the file


def encode(bot: BotState) -> bytes:
    """A state as a file: UTF-8 JSON in one form, so that equal states are equal files.

    Raises:
        InputError: a value in it is none that JSON has.
    """
    return plain_bytes({"format": FORMAT, "version": VERSION, **builtins_of(bot)})


def builtins_of(part: Struct) -> dict[str, Any]:
    """A part of the file as JSON's kinds of values."""
    return cast("dict[str, Any]", msgspec.to_builtins(part))


def plain_bytes(value: Any) -> bytes:
    """JSON's kinds of values as UTF-8 in one form, one line, with its end.

    Raises:
        InputError: JSON has no such value.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The state holds a value that JSON has not ({error})."
        raise InputError(message) from error


def decode(data: bytes) -> BotState:
    """Read a file.

    Raises:
        ImportFormatError: it is none, of another version, or not of the form it claims.
    """
    given = plain_value(data)
    if not isinstance(given, dict) or cast("dict[str, Any]", given).get("format") != FORMAT:
        message = f"This is no bot state: it does not say `format: {FORMAT}`."
        raise ImportFormatError(message)
    fields = dict(cast("dict[str, Any]", given))
    version = fields.pop("version", None)
    if type(version) is not int or version != VERSION:
        message = f"This bot state has version {version!r:.40}; this code reads {VERSION}."
        raise ImportFormatError(message, hint="Use a version of Haulout that knows it.")
    del fields["format"]
    bot = part_of(fields, BotState)
    twice = repeated(bot)
    if twice:
        message = f"This bot state says {twice} twice."
        raise ImportFormatError(message)
    return bot


def repeated(bot: BotState) -> str:
    """What a state names more than once though it is one thing; empty where there is none."""
    keys = [one.key for one in bot.intents if one.key is not None]
    for what, names in (
        ("trade", [one.id for one in bot.trades]),
        ("intent", [one.id for one in bot.intents]),
        ("the key", keys),
    ):
        seen: set[str] = set()
        for name in names:
            if name in seen:
                return f"{what} {name:.60}"
            seen.add(name)
    return ""


Part = Any


def part_of(given: Any, form: type[Part]) -> Part:
    """A part of the file from JSON's kinds of values.

    Raises:
        ImportFormatError: it is not of that form.
    """
    try:
        return msgspec.convert(given, form)
    except (msgspec.ValidationError, RecursionError) as error:
        message = f"This is no {form.__name__} of docs/spec/bot-state.md: {error}."
        raise ImportFormatError(message) from error


def plain_value(data: bytes) -> Any:
    """JSON, read exactly: no number is rounded, nothing is mended.

    Raises:
        ImportFormatError: it is none, is too large, or says a name twice.
    """
    if len(data) > LARGEST:
        message = f"The file has {len(data)} bytes; {LARGEST} are read at most."
        raise ImportFormatError(message)
    try:
        text = data.decode()
        with bounded_nesting():
            found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
        if re.search(r"\\u[dD][89a-fA-F]", text):  # half a surrogate pair is no text
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        message = f"The file is no JSON ({error!s:.80})."
        raise ImportFormatError(message) from error
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name stands twice in one object"
        raise ValueError(message)
    return found
