"""What objects of a volume set are called: docs/spec/volume.md, "Names". Pure.

Lower-case hexadecimal instead of the 43-character text of a blob ID, because that text tells
upper from lower case and a file system may not.
"""

from __future__ import annotations

import re
from typing import Final

from haulout.redstuff import blob_id_bytes, blob_id_text
from haulout.storage.backend import checked_name

BLOBS: Final = "blobs/"
HEADS: Final = "heads/"
MARKER: Final = "volume"
LAYOUT_HEAD: Final = "layout"

_SHARD = re.compile(r"blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})/(0|[1-9][0-9]{0,2})")


def blob_prefix(blob_id: str) -> str:
    """What the names of all shard objects of a blob begin with.

    Raises:
        InputError: ``blob_id`` is not the text of a blob ID.
    """
    digits = blob_id_bytes(blob_id).hex()
    return f"{BLOBS}{digits[:2]}/{digits}/"


def shard_name(blob_id: str, shard: int) -> str:
    """The name of the object that holds what ``shard`` keeps of a blob."""
    return f"{blob_prefix(blob_id)}{shard}"


def parse_shard_name(name: str, n_shards: int) -> tuple[str, int] | None:
    """The blob ID and shard of a name, or None where it names no shard object of ``n_shards``."""
    found = _SHARD.fullmatch(name)
    if found is None or int(found[3]) >= n_shards:
        return None
    return blob_id_text(bytes.fromhex(found[2])), int(found[3])


def head_name(name: str) -> str:
    """The name of the object that holds a head.

    Raises:
        InputError: a backend cannot hold such a name.
    """
    return checked_name(f"{HEADS}{name}")
