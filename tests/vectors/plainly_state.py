"""Agent state written out a second time, from docs/spec/state.md alone, without the package."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vectors import plainly

KINDS: dict[int, tuple[str, str]] = {  # what there must be, and what there may be
    1: ("name version schema", "value by"),
    2: ("journal value", ""),
    3: ("journal schema through value", ""),
    4: ("by limits", ""),
    5: ("unit amount", "why"),
    6: ("action", "why by"),
    7: ("holder until", ""),
    8: ("tag", ""),
    9: ("id action role payload", "key target cost holds closes adopted by"),
    10: ("id status", "ref filled spent result why by"),
}
WORDS = {
    (4, "by"): {"agent", "owner"},
    (6, "action"): {"pause", "flatten", "resume"},
    (9, "role"): {"entry", "exit"},
    (10, "status"): {
        "accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done", "closed",
    },
}  # fmt: skip
MOST = 2**62


class No(Exception):  # noqa: N818 - an answer, not an error
    """The bytes are no event; `version` says that a later version wrote them."""

    def __init__(self, what: str = "damaged") -> None:
        super().__init__(what)
        self.what = what


# --- bytes ---------------------------------------------------------------------------------


def cbor(value: Any) -> bytes:
    """Canonical CBOR, with the three simple values besides."""
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, list):
        return plainly.cbor([0] * len(value))[: -len(value) or None] + b"".join(map(cbor, value))
    if isinstance(value, dict):
        pairs = sorted((cbor(key), cbor(one)) for key, one in value.items())
        start = plainly.cbor({str(n): 0 for n in range(len(pairs))})
        head = 1 if len(pairs) < 24 else 2 if len(pairs) < 256 else 3
        return start[:head] + b"".join(key + one for key, one in pairs)
    return plainly.cbor(value)


def _item(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:  # noqa: PLR0912 - one a kind
    if at >= len(data) or depth > 200:
        raise No
    kind, low = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7:
        if low not in {20, 21, 22}:
            raise No  # floats and the rest
        return {20: False, 21: True, 22: None}[low], at
    if low > 27:
        raise No
    number = low
    if low > 23:
        size = 1 << low - 24
        if at + size > len(data):
            raise No
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    if kind < 2:
        return (-1 - number if kind else number), at
    if kind in {2, 3}:
        raw, at = data[at : at + number], at + number
        if len(raw) != number:
            raise No
        try:
            return (raw.decode() if kind == 3 else raw), at
        except UnicodeDecodeError as error:
            raise No from error
    if kind == 4:
        found: list[Any] = []
        for _ in range(number):
            value, at = _item(data, at, depth + 1)
            found.append(value)
        return found, at
    if kind != 5:
        raise No
    pairs: dict[Any, Any] = {}
    for _ in range(number):
        key, at = _item(data, at, depth + 1)
        if not isinstance(key, str) or key in pairs:
            raise No
        pairs[key], at = _item(data, at, depth + 1)
    return pairs, at


def read(data: bytes) -> list[Any]:
    """An event as `[kind, at, epoch, body]`."""
    found, end = _item(data, 0)
    if end != len(data) or not isinstance(found, list) or not found:
        raise No
    if type(found[0]) is int and 1 < found[0] < 2**64:
        raise No("version")
    if len(found) != 5 or found[0] != 1 or type(found[0]) is not int or cbor(found) != data:
        raise No
    _, kind, at, epoch, body = found
    if not all(map(_number, (kind, at, epoch))) or not isinstance(body, dict):
        raise No
    if kind in KINDS:
        must, may = (names.split() for names in KINDS[kind])
        if not set(must) <= set(body) <= {*must, *may}:
            raise No
        for name, value in body.items():
            if not _fits(kind, name, value):
                raise No
    return found[1:]


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


def _amount(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= 60
        and re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", value) is not None
    )


def _json(value: Any) -> bool:
    def refuse(_text: str) -> None:
        raise ValueError

    if not isinstance(value, str):
        return False
    try:
        found = json.loads(value, parse_constant=refuse)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _fits(kind: int, name: str, value: Any) -> bool:  # noqa: PLR0911, PLR0912 - one a form
    if (kind, name) in WORDS:
        return isinstance(value, str) and value in WORDS[kind, name]
    match name:
        case "version" | "schema" | "through" | "until":
            return _number(value)
        case "id":
            return isinstance(value, bytes) and len(value) == 16
        case "tag":
            return isinstance(value, bytes) and len(value) == 4
        case "closes":
            return isinstance(value, list) and all(_fits(kind, "id", one) for one in value)
        case "holds":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case "adopted":
            return value is True
        case "amount" | "filled":
            return _amount(value)
        case "cost" | "spent":
            return isinstance(value, dict) and all(map(_amount, value.values()))
        case "limits":
            return isinstance(value, dict) and all(
                one is None or _amount(one) for one in value.values()
            )
        case "payload" | "result":
            return _json(value)
        case "value":
            return _json(value)
        case _:
            return isinstance(value, str)


# --- the fold ------------------------------------------------------------------------------

FINAL = {"done", "cancelled", "refused", "dropped"}


class Desk:
    """What a state's events add up to, as far as actions and limits go."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.filled: dict[str, Fraction] = {}
        self.spent: dict[str, dict[str, Fraction]] = {}
        self._of: dict[str, dict[str, Any]] = {}
        self._closed: set[str] = set()
        self._held: set[str] = set()
        self._charged: list[tuple[int, str, Fraction]] = []
        self._limits: dict[str, dict[str, str | None]] = {"agent": {}, "owner": {}}
        self.halted = ""

    def take(self, kind: int, at: int, _epoch: int, body: dict[str, Any]) -> None:
        match kind:
            case 4:
                self._limits[body["by"]].update(body["limits"])
            case 5:
                self._charged.append((at, body["unit"], Fraction(body["amount"])))
            case 6:
                self.halted = "" if body["action"] == "resume" else body["action"]
            case 9:
                self._intent(at, body)
            case 10:
                self._settle(body)
            case _:
                return

    def _intent(self, at: int, body: dict[str, Any]) -> None:
        name = body["id"].hex()
        open_already = name in self.status and self.status[name] not in FINAL
        if open_already:
            raise No
        self.status[name] = "reserved"
        self._of[name] = {**body, "at": at}
        self.filled[name], self.spent[name] = Fraction(0), {}

    def _settle(self, body: dict[str, Any]) -> None:  # noqa: PLR0912 - as the page says it
        name, status = body["id"].hex(), body["status"]
        if status == "closed":
            self._held.discard(name)
            return
        if name not in self.status:
            return
        before = self.status[name]
        told = {unit: Fraction(one) for unit, one in body.get("spent", {}).items()}
        filled = max(self.filled[name], Fraction(body.get("filled", 0)))
        cost = {unit: Fraction(one) for unit, one in self._of[name].get("cost", {}).items()}
        if before in FINAL:
            if status != before or status not in {"done", "cancelled"}:
                return
            if status == "cancelled" and not self.filled[name] and filled:
                told = {**cost, **told}
            held = name in self._held or not set(self._holds(name)) & set(self.spent[name])
            for unit, one in told.items():
                self.spent[name][unit] = max(self.spent[name].get(unit, Fraction(0)), one)
            self.filled[name] = filled
            if held:
                self._hold(name)
            return
        if before == "accepted" and status in {"unknown", "absent", "refused", "dropped"}:
            raise No
        self.status[name], self.filled[name] = status, filled
        if status not in FINAL:
            return
        whole = status == "done" or (status == "cancelled" and filled)
        self.spent[name] = {**(cost if whole else {}), **told}
        if status in {"done", "cancelled"}:
            self._hold(name)
        if status == "done":
            for other in (one.hex() for one in self._of[name].get("closes", ())):
                self._held.discard(other)
                if other in self.status and self.status[other] not in FINAL:
                    self._closed.add(other)

    def _holds(self, name: str) -> Sequence[str]:
        return self._of[name].get("holds", ())

    def _hold(self, name: str) -> None:
        if name not in self._closed and set(self._holds(name)) & set(self.spent[name]):
            self._held.add(name)

    def limits(self) -> dict[str, Fraction]:
        """What holds: the owner's before the agent's, also where it lifts one."""
        both = {**self._limits["agent"], **self._limits["owner"]}
        return {name: Fraction(most) for name, most in both.items() if most is not None}

    def used(self, name: str, at: int) -> Fraction:
        """How much of a limit is used."""
        unit, per = name.rsplit("/", 1)
        pending = sum(
            (Fraction(self._of[one].get("cost", {}).get(unit, 0))
             for one, status in self.status.items() if status not in FINAL), Fraction(0),
        )  # fmt: skip
        if per == "held":
            return pending + sum(
                (self.spent[one].get(unit, Fraction(0)) for one in self._held
                 if unit in self._holds(one)), Fraction(0),
            )  # fmt: skip
        day = 86_400_000_000
        since = at - at % day if per == "day" else at - int(per) * 1_000_000
        first = math.floor(since / 60_000_000)
        costs = [(self._of[one]["at"], spent.get(unit, Fraction(0)))
                 for one, spent in self.spent.items() if self.status[one] in FINAL]  # fmt: skip
        costs += [(when, one) for when, named, one in self._charged if named == unit]
        return pending + sum(
            (one for when, one in costs if when // 60_000_000 >= first), Fraction(0)
        )
