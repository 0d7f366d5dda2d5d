"""How an intent's ID is written where an action is done. Pure.

Every venue takes a client's ID in another alphabet and length; 128 bits fit all of them but
those that take only a number, for which the mapping is kept (the number is in the journal).
Sources: the venues' own documentation, as collected for 2026-09; `VENUES` names each rule.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from haulout.errors import InputError

Code = Literal["hex", "uuid", "0xhex", "base62", "number"]
"""How an ID is written: 32 hexadecimal digits, a dashed UUID, the digits behind ``0x``, 22
letters and digits, or its last 63 bits as a number, from which the ID cannot be read back."""
Class = Literal["A", "B", "C", "D"]
"""What a second order with the same ID meets: the first as the answer, a refusal always, a refusal
while the first is open, nothing."""

_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {letter: value for value, letter in enumerate(_LETTERS)}
_BASE62_LENGTH: Final = 22
_MASK63: Final = 2**63 - 1


class Rules(NamedTuple):
    """What a venue does with a client's ID.

    Attributes:
        kind: its `Class`; code: how the ID is written.
        field: the name of the field on the wire.
        prefix: what stands before the ID, where the venue asks for it.
        settle_s: seconds until an order that was accepted is sure to be found.
    """

    kind: Class
    code: Code
    field: str
    prefix: str = ""
    settle_s: float = 2.0


VENUES: Final[Mapping[str, Rules]] = {
    "binance": Rules("C", "hex", "newClientOrderId"),
    "binanceusdm": Rules("C", "hex", "newClientOrderId"),  # stops: clientAlgoId
    "bybit": Rules("B", "hex", "orderLinkId"),
    "okx": Rules("C", "hex", "clOrdId"),  # letters and digits only; stops: algoClOrdId
    "coinbase": Rules("A", "uuid", "client_order_id"),
    "coinbaseexchange": Rules("D", "uuid", "client_oid"),
    "kraken": Rules("C", "uuid", "cl_ord_id"),
    "krakenfutures": Rules("C", "uuid", "cliOrdId"),
    "kucoin": Rules("D", "hex", "clientOid"),
    "bitget": Rules("D", "hex", "clientOid"),
    "gate": Rules("D", "base62", "text", prefix="t-"),  # 28 characters behind t-
    "mexc": Rules("D", "hex", "newClientOrderId"),  # 32 characters
    "htx": Rules("C", "hex", "client-order-id"),  # unique for 8 to 24 hours
    "cryptocom": Rules("D", "uuid", "client_oid"),  # 36 characters
    "alpaca": Rules("B", "uuid", "client_order_id"),
    "hyperliquid": Rules("D", "0xhex", "cloid"),
    "deribit": Rules("D", "hex", "label"),  # 64 characters
    "bitstamp": Rules("D", "uuid", "client_order_id"),
    "woo": Rules("D", "number", "clientOrderId"),  # stops: clientAlgoOrderId
    "phemex": Rules("C", "uuid", "clOrdID"),  # 40 characters
    "bingx": Rules("D", "hex", "newClientOrderId"),  # 40 characters
    "whitebit": Rules("D", "uuid", "clientOrderId"),
    "ibkr": Rules("D", "base62", "orderRef"),
    "metatrader5": Rules("D", "base62", "comment"),
}
"""The venues that are known by more than their adapter in ccxt, whose names they bear here.

Where it is not documented that a second order with the same ID is refused, the class is D.
"""

UNKNOWN: Final = Rules("D", "hex", "clientOrderId")
"""What is assumed of any other venue."""


def write(intent: bytes, code: Code, prefix: str = "") -> str:
    """An intent's ID as a venue takes it.

    Args:
        intent: 16 bytes; code: how; prefix: what stands before it.
    """
    number = int.from_bytes(intent, "big")
    if code == "hex":
        text = intent.hex()
    elif code == "uuid":
        text = str(uuid.UUID(bytes=intent))
    elif code == "0xhex":
        text = "0x" + intent.hex()
    elif code == "number":
        text = str(number & _MASK63)
    else:
        letters: list[str] = []
        for _ in range(_BASE62_LENGTH):
            number, value = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[value])
        text = "".join(reversed(letters))
    return prefix + text


def read(text: str, code: Code, prefix: str = "") -> bytes | None:
    """The intent's ID behind a venue's text; None where the text is none of ours."""
    if not text.startswith(prefix):
        return None
    text = text[len(prefix) :]
    if code == "0xhex":
        code, text = "hex", text.removeprefix("0x")
    if code == "hex":
        return bytes.fromhex(text) if re.fullmatch(r"[0-9a-f]{32}", text.lower()) else None
    if code == "uuid":
        try:
            found = uuid.UUID(text)
        except ValueError:
            return None
        return found.bytes if str(found) == text.lower() else None
    if code == "base62" and re.fullmatch(r"[0-9A-Za-z]{22}", text):
        number = 0
        for letter in text:
            number = number * len(_LETTERS) + _VALUES[letter]
        return number.to_bytes(16, "big") if number < 2**128 else None
    return None


def intent_id(text: str | bytes) -> bytes:
    """An intent's ID from its bytes or its 32 hexadecimal digits.

    Raises:
        InputError: it is neither.
    """
    if isinstance(text, bytes) and len(text) == 16:  # noqa: PLR2004 - INTENT_BYTES
        return text
    found = read(text, "hex") if isinstance(text, str) else None
    if found is None:
        message = f"{str(text)[:40]!r} is not the ID of an intent (32 hexadecimal digits)."
        raise InputError(message)
    return found
