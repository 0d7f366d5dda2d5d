"""How much has to be durable before a write is acknowledged. Pure.

**Blobs.** A write is acknowledged when both hold:

1. At least n - f shards are durable, Walrus's own write quorum (walrus.md section 6.6). Then any
   f of them may vanish, rot or lie at once and p = n - 2f are left, which decode the blob.
2. For each single volume whose loss the complete layout survives (it holds at most n - p
   shards), at least p durable shards stand on the *other* volumes. So what the owner was told of
   one lost disk is true from the moment of the acknowledgement, not from the next repair.

Where no volume holds more than f shards (four volumes or more for ten shards) the first rule
implies the second, and any one volume may be away. With two or three volumes the second asks for
more: none may be away, because the next loss would take what was just acknowledged.

**Heads** stand whole on each volume. A head is acknowledged when it is durable on more than half
of the volumes, and on volumes that hold n - f shards or more between them. Two such quorums share
volumes of p shards or more, and p > f: one that does not lie is among them. And since n - f > 2f,
no loss that leaves blobs readable takes every copy of an acknowledged head.
"""

from __future__ import annotations

from collections.abc import Collection

from haulout.redstuff import parameters
from haulout.storage.volumes.layout import Layout


def write_quorum(layout: Layout, durable: Collection[int]) -> bool:
    """Whether a blob with these shards durable may be acknowledged."""
    rs2, standing = parameters(layout.n_shards), set(durable)
    if len(standing) < layout.n_shards - rs2.faults:
        return False
    return all(
        len(standing.difference(volume.shards)) >= rs2.primary
        for volume in layout.volumes
        if len(volume.shards) <= layout.n_shards - rs2.primary
    )


def head_quorum(layout: Layout, volumes: Collection[str]) -> bool:
    """Whether a head that is durable on these volumes may be acknowledged."""
    weights = layout.weights()
    standing = set(volumes) & set(weights)
    heavy = sum(weights[name] for name in standing)
    enough = layout.n_shards - parameters(layout.n_shards).faults
    return 2 * len(standing) > len(weights) and heavy >= enough
