"""Once with 1,000 shards, as the real network has them."""

from __future__ import annotations

from hashlib import sha256

from haulout.testing.walrus.network import LoopbackNetwork


def test_a_blob_over_1000_shards_is_placed_and_read_by_every_way(client):
    data = b"a thousand shards " * 500
    with LoopbackNetwork(10, signatures=False) as net:
        network = client(net.config())
        placed = network.put(data, epochs=2)
        assert placed.cost == 63 * (2 * 100_000 + 20_000)
        digest = sha256(data[100:200]).digest()
        assert network.get_range(placed.blob_id, 100, 100, digest=digest) == data[100:200]
        assert network.get_range(placed.blob_id, 5000, 3000) == data[5000:8000]
        assert network.get(placed.blob_id, size=len(data)) == data
        metadata = network._reader.metadata(placed.blob_id)
        assert len(metadata.to_bcs_with_id()) == 66_044
