"""The marker of a volume: what tells a place from a swapped, foreign or empty one. Pure.

docs/spec/volume.md, "Marker".
"""

from __future__ import annotations

from typing import Final

import msgspec

from haulout.errors import WrongBytesError

FORMAT: Final = 1
MOST_MARKER_BYTES: Final = 1024


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the object `volume` of a place says.

    Attributes:
        format: 1.
        set_id: the set to which the place belongs; ``volume``: the volume's ID in it.
        generation: that of the newest layout which this place was told of.
    """

    format: int
    set_id: str
    volume: str
    generation: int


def encode_marker(marker: Marker) -> bytes:
    """The one JSON text of a marker: keys sorted, no spaces."""
    return msgspec.json.encode(marker, order="sorted")


def decode_marker(data: bytes) -> Marker:
    """Read a marker.

    Raises:
        WrongBytesError: it is no marker, of another format, or not in its one form.
    """
    try:
        marker = msgspec.json.decode(data[:MOST_MARKER_BYTES], type=Marker)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WrongBytesError(f"These bytes mark no volume: {error}") from error
    if marker.format != FORMAT or encode_marker(marker) != data:
        raise WrongBytesError("The marker of a volume is of a form that is not known here.")
    return marker
