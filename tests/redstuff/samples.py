"""Blobs and vectors that the tests of Red Stuff share."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def lines(name: str) -> list[dict[str, Any]]:
    """The vectors of one file, one a line."""
    return [json.loads(line) for line in (VECTORS / name).read_text("utf-8").splitlines()]


def blob_of(data: dict[str, Any]) -> bytes:
    """The blob that a vector describes."""
    match data["kind"]:
        case "shake256":
            return sample(data["seed"], data["len"])
        case "repeat":
            return bytes([data["byte"]]) * data["len"]
        case "hex":
            return bytes.fromhex(data["hex"])
    raise AssertionError(data["kind"])


def sample(seed: str, size: int) -> bytes:
    """Bytes that look random and are the same on every machine."""
    return hashlib.shake_256(seed.encode()).digest(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
