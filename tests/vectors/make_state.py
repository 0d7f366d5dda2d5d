"""Makes the vectors of docs/spec/state.md: the same bytes on every run.

python tests/vectors/make_state.py            writes state.json anew
python tests/vectors/make_state.py --check    tells whether it is what this makes
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import cbor2
from vectors.make import fixed

from haulout.state.book import Book
from haulout.state.events import Event, Kind, encode_event
from haulout.state.refs import VENUES, write

TARGET = Path(__file__).parent / "state.json"
AT = 1_790_000_000_000_000
IDS = [fixed(f"intent {number}") for number in range(6)]
INTENT = {"id": IDS[0], "action": "order", "role": "entry", "payload": '{"side":"buy"}'}

GOOD: dict[str, Event] = {
    "a document": Event(Kind.DOCUMENT, AT, 0, {"name": "risk", "version": 1, "schema": 1,
                                               "value": '{"max":"0.02"}'}),
    "a document that was deleted by an app": Event(
        Kind.DOCUMENT, AT, 0, {"name": "risk", "version": 2, "schema": 1, "by": "console"}),
    "a note": Event(Kind.NOTE, AT, 3, {"journal": "fills", "value": '{"é":[1,2.5,null]}'}),
    "a snapshot": Event(Kind.SNAPSHOT, AT, 0, {"journal": "fills", "schema": 2, "through": 100,
                                               "value": "100"}),
    "limits, and one that is lifted": Event(
        Kind.LIMITS, AT, 0, {"by": "owner", "limits": {"usd/day": "100.5", "orders/60": None}}),
    "a charge": Event(Kind.CHARGE, AT, 0, {"unit": "loss", "amount": "0.00000001", "why": "slip"}),
    "an override": Event(Kind.OVERRIDE, AT, 0, {"action": "flatten"}),
    "a lease": Event(Kind.LEASE, AT, 2**62, {"holder": "laptop", "until": 2**62}),
    "a tag": Event(Kind.TAG, 0, 0, {"tag": bytes(4)}),
    "an intent with the fields it must have": Event(Kind.INTENT, AT, 0, INTENT),
    "an intent with every field": Event(
        Kind.INTENT, AT, 1, {**INTENT, "key": "signal-1", "target": "desk/BTC", "by": "app",
                             "cost": {"usd": "100", "orders": "1"}, "holds": ["usd"],
                             "closes": [IDS[1]], "adopted": True}),
    "a settle": Event(Kind.SETTLE, AT, 0, {"id": IDS[0], "status": "accepted"}),
    "a settle with every field": Event(
        Kind.SETTLE, AT, 0, {"id": IDS[0], "status": "cancelled", "ref": "order-7", "by": "app",
                             "filled": "0.4", "spent": {"usd": "40"}, "result": "null",
                             "why": "by hand"}),
    "a kind that is not known": Event(99, AT, 0, {"anything": [1, "x", b"", None, True, {}]}),
}  # fmt: skip


def bad() -> dict[str, tuple[Any, str]]:
    """Values that are no event, or bytes, each with why."""
    plain = [1, 10, AT, 0, {"id": IDS[0], "status": "done"}]

    def body(kind: int, **fields: Any) -> list[Any]:
        return [1, kind, AT, 0, fields]

    def intent(**fields: Any) -> list[Any]:
        return [1, 9, AT, 0, {**INTENT, **fields}]

    return {
        "nothing": (b"", "no bytes"),
        "half an event": (encode_event(GOOD["a note"])[:-1], "cut short"),
        "an event and more": (encode_event(GOOD["a note"]) + b"\x00", "a byte behind it"),
        "a map": ({"kind": 2}, "not an array"),
        "an empty array": ([], "no version"),
        "a short array": (plain[:4], "four elements"),
        "a long array": ([*plain, 0], "six elements"),
        "version 0": ([0, *plain[1:]], "below the first version"),
        "a true version": ([True, *plain[1:]], "not a number"),
        "a negative time": ([1, 10, -1, 0, plain[4]], "before 1970"),
        "a late time": ([1, 10, 2**62 + 1, 0, plain[4]], "beyond 2^62"),
        "a float's time": ([1, 10, 1.5, 0, plain[4]], "a float"),
        "a late epoch": ([1, 10, AT, 2**62 + 1, plain[4]], "beyond 2^62"),
        "a body that is a list": ([1, 10, AT, 0, []], "not a map"),
        "numbers written long": (
            bytes.fromhex("851801") + cbor2.dumps(plain, canonical=True)[2:], "a second form"),
        "keys in another order": (
            cbor2.dumps([1, 2, AT, 0, {"journal": "x", "value": "1"}]), "a second form"),
        "no status": (body(10, id=IDS[0]), "a field is missing"),
        "a field too many": (body(10, id=IDS[0], status="done", colour="red"), "no such field"),
        "a short ID": (body(10, id=IDS[0][:15], status="done"), "15 bytes"),
        "an ID as text": (body(10, id=IDS[0].hex(), status="done"), "text"),
        "another status": (body(10, id=IDS[0], status="reserved"), "no such status"),
        "another role": (intent(role="both"), "no such role"),
        "another override": (body(6, action="stop"), "no such override"),
        "whose limits": (body(4, by="me", limits={}), "neither the agent's nor the owner's"),
        "a long tag": (body(8, tag=bytes(5)), "5 bytes"),
        "adopted, and not": (intent(adopted=False), "false is left out"),
        "an amount with zeros behind": (intent(cost={"usd": "1.50"}), "a second form"),
        "an amount with zeros before": (intent(cost={"usd": "01"}), "a second form"),
        "an amount with an exponent": (intent(cost={"usd": "1e3"}), "a second form"),
        "an amount below nothing": (intent(cost={"usd": "-1"}), "negative"),
        "an amount with a point alone": (intent(cost={"usd": "1."}), "no digits behind"),
        "a long amount": (intent(cost={"usd": "1" * 61}), "61 characters"),
        "a number as an amount": (intent(cost={"usd": 1}), "not text"),
        "no JSON": (intent(payload="{"), "cannot be read"),
        "JSON that is not a number": (body(2, journal="x", value="NaN"), "NaN"),
        "JSON beyond a double": (body(2, journal="x", value="1e999"), "out of range"),
        "half a surrogate pair": (body(2, journal="x", value='"\\ud800"'), "no character"),
        "a short ID to close": (intent(closes=[bytes(3)]), "3 bytes"),
        "a number to hold": (intent(holds=[1]), "not text"),
        "a version that is text": (body(1, name="x", version="1", schema=1), "not a number"),
    }  # fmt: skip


def settle(number: int, status: str, minutes: int = 0, **fields: Any) -> Event:
    body = {"id": IDS[number], "status": status, **fields}
    return Event(Kind.SETTLE, AT + minutes * 60_000_000, 0, body)


def buy(number: int, minutes: int = 0, cost: str = "100", **fields: Any) -> Event:
    body = {**INTENT, "id": IDS[number], "cost": {"usd": cost}, "holds": ["usd"], **fields}
    return Event(Kind.INTENT, AT + minutes * 60_000_000, 0, body)


def sell(number: int, *closes: int) -> Event:
    body = {"id": IDS[number], "action": "order", "role": "exit", "payload": "1",
            "closes": [IDS[one] for one in closes]}  # fmt: skip
    return Event(Kind.INTENT, AT, 0, body)


LIMITS = Event(
    Kind.LIMITS, AT, 0,
    {"by": "agent", "limits": {"usd/held": "1000", "usd/day": "500", "usd/3600": "50"}},
)  # fmt: skip
FOLDS: dict[str, list[Event]] = {
    "reserved counts whole": [LIMITS, buy(0)],
    "unknown counts whole": [LIMITS, buy(0), settle(0, "unknown")],
    "done holds its cost": [LIMITS, buy(0), settle(0, "done")],
    "done holds what it spent": [LIMITS, buy(0), settle(0, "done", spent={"usd": "99.5"})],
    "refused costs nothing": [LIMITS, buy(0), settle(0, "refused")],
    "dropped costs nothing": [LIMITS, buy(0), settle(0, "absent"), settle(0, "dropped")],
    "cancelled unfilled costs nothing": [LIMITS, buy(0), settle(0, "cancelled", filled="0")],
    "cancelled partly filled": [
        LIMITS, buy(0), settle(0, "accepted", filled="0.4"),
        settle(0, "cancelled", spent={"usd": "40"}),
    ],
    "cancelled partly filled, of unknown cost": [
        LIMITS, buy(0), settle(0, "accepted", filled="0.4"), settle(0, "cancelled"),
    ],
    "filled more than the cancel knew": [
        LIMITS, buy(0), settle(0, "cancelled"),
        settle(0, "cancelled", filled="0.4", spent={"usd": "40"}),
        settle(0, "cancelled", filled="0.3", spent={"usd": "30"}),
    ],
    "filled more than the cancel knew, of unknown cost": [
        LIMITS, buy(0), settle(0, "cancelled"), settle(0, "cancelled", filled="0.4"),
    ],
    "an exit gives back what it closes": [
        LIMITS, buy(0), settle(0, "done"), buy(1), settle(1, "done"), sell(2, 0), settle(2, "done"),
    ],
    "an exit partly filled closes nothing": [
        LIMITS, buy(0), settle(0, "done"), sell(2, 0), settle(2, "cancelled", filled="0.5"),
    ],
    "an exit is done before its entry": [
        LIMITS, buy(0), settle(0, "accepted"), sell(2, 0), settle(2, "done"), settle(0, "done"),
    ],
    "closed by hand": [LIMITS, buy(0), settle(0, "done"), settle(0, "closed"), settle(0, "closed")],
    "done twice": [LIMITS, buy(0), settle(0, "done", spent={"usd": "40"}), settle(0, "done")],
    "given up for lost, and there": [
        LIMITS, buy(0), settle(0, "dropped"), buy(0, adopted=True), settle(0, "done"),
    ],
    "a report of what is not known": [LIMITS, settle(0, "done")],
    "costs of an hour and of a day": [
        LIMITS, buy(0, -600), settle(0, "done", -600), buy(1, -61), settle(1, "done"),
        buy(2, -59), settle(2, "done"),
        Event(Kind.CHARGE, AT, 0, {"unit": "usd", "amount": "0.000000001"}),
    ],
    "the owner's limit": [
        LIMITS,
        Event(Kind.LIMITS, AT, 0, {"by": "owner", "limits": {"usd/held": "1", "usd/day": None}}),
        Event(Kind.LIMITS, AT, 0, {"by": "agent", "limits": {"usd/held": "9", "usd/3600": None}}),
        buy(0, cost="0.1"), buy(1, cost="0.2"),
    ],
    "halted": [LIMITS, Event(Kind.OVERRIDE, AT, 0, {"action": "pause", "why": "holiday"})],
}  # fmt: skip


def folded(events: list[Event]) -> dict[str, Any]:
    book = Book()
    for number, event in enumerate(events, 1):
        book.fold(number, event)
    ends = {one.id.hex(): one for one in [*book.recent, *book.intents.values()]}
    return {
        "status": {name: one.status for name, one in sorted(ends.items())},
        "spent": {name: one.spent for name, one in sorted(ends.items())},
        "used": {one.name: format(book.used(one, AT), "f") for one in book.in_force()},
        "most": {one.name: one.most for one in book.in_force()},
        "halted": book.halted,
    }


def made() -> dict[str, Any]:
    """All of state.json."""
    rejected = [
        {"name": name, "reason": reason, "error": "damaged",
         "bytes": (value if isinstance(value, bytes) else cbor2.dumps(value, canonical=True)).hex()}
        for name, (value, reason) in bad().items()
    ]  # fmt: skip
    rejected.append(
        {"name": "version 2", "reason": "a later version", "error": "version",
         "bytes": cbor2.dumps([2, "anything"]).hex()}
    )  # fmt: skip
    return {
        "accept": [
            {"name": name, "kind": int(one.kind), "at": one.at, "epoch": one.epoch,
             "bytes": encode_event(one).hex()}
            for name, one in GOOD.items()
        ],
        "reject": rejected,
        "fold": [
            {"name": name, "at": AT, "events": [encode_event(one).hex() for one in events],
             **folded(events)}
            for name, events in FOLDS.items()
        ],
        "refs": [
            {"venue": name, "intent": IDS[0].hex(),
             "text": write(IDS[0], VENUES[name].code, VENUES[name].prefix)}
            for name in ("binance", "coinbase", "kraken", "okx", "alpaca", "metatrader5")
        ],
    }  # fmt: skip


def text() -> str:
    """The file."""
    return json.dumps(made(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if "--check" not in arguments:
        TARGET.write_text(text(), "utf-8")
        return 0
    same = TARGET.read_text("utf-8") == text()
    if not same:
        print("state.json is not what this program makes")  # noqa: T201
    return int(not same)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
