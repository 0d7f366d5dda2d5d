"""Configurations, tokens and the alarm for what is about to end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from random import Random

import pytest

from haulout.errors import InputError
from haulout.storage.walrus.config import NetworkConfig, NodeConfig, Upload, read_config, written
from haulout.storage.walrus.network import Placed, expiring
from haulout.storage.walrus.token import claims, signed
from haulout.testing.walrus.network import LoopbackNetwork


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "h", "", "http://", "https://user:secret@h", "http://h?token=1", "http://h#x"],
)
def test_addresses_that_cannot_be_meant_are_refused_without_their_password(url):
    with pytest.raises(InputError) as caught:
        NetworkConfig(publishers=[url])
    assert "secret" not in str(caught.value)


def test_each_shard_is_held_once():
    with pytest.raises(InputError, match="shards"):
        NetworkConfig(
            nodes=[NodeConfig("http://a", (0, 1)), NodeConfig("http://b", (1,))], n_shards=4
        )
    with pytest.raises(InputError, match="shards"):
        NetworkConfig(nodes=[NodeConfig("http://a", (4,))], n_shards=4)
    with pytest.raises(InputError, match="epochs"):
        NetworkConfig(epochs=54)


def test_a_configuration_is_read_as_it_was_written_without_its_token():
    shards = list(range(10))
    Random(0).shuffle(shards)
    config = NetworkConfig(
        ("http://p",), ("https://a", "http://b"), ("http://r",),
        (NodeConfig("http://n", tuple(sorted(shards[:6])), b"\x12" * 48),
         NodeConfig("http://m", tuple(sorted(shards[6:])))),
        n_shards=10, token="secret", epochs=7,
    )  # fmt: skip
    text = json.dumps(written(config))
    assert "secret" not in text
    again = read_config(text)
    for name in ("publishers", "aggregators", "relays", "nodes", "n_shards", "epochs"):
        assert getattr(again, name) == getattr(config, name), name
    assert again.token is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"unknown": 1}', '{"nodes": [{"url": "http://n", "shards": [[5, 2]]}]}',
     '{"nodes": [{"url": "http://n", "shards": [[0, 1000000000]]}]}',
     '{"nodes": [{"url": "http://n", "shards": [], "public_key": "zz"}]}', '{"epochs": 0}'],
)  # fmt: skip
def test_a_configuration_of_another_form_is_refused(text):
    with pytest.raises(InputError):
        read_config(text)


def test_a_token_is_a_jwt_with_hs256():
    told = claims(identifier="a", expires=9, max_size=5)
    head, body, signature = signed(told, b"secret").split(".")

    def plain(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert json.loads(plain(head)) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(plain(body)) == {"jti": "a", "exp": 9, "max_size": 5}
    assert plain(signature) == hmac.digest(b"secret", f"{head}.{body}".encode(), hashlib.sha256)
    with pytest.raises(InputError):
        claims(identifier="a", expires=9, size=1, max_size=2)
    with pytest.raises(InputError):
        claims(identifier="a", expires=9, epochs=1, max_epochs=2)


def test_a_token_is_made_for_each_upload(client):
    asked: list[Upload] = []

    def token(upload: Upload) -> str:
        asked.append(upload)
        told = claims(identifier=str(len(asked)), expires=2_000_000_000, size=upload.size,
                      epochs=upload.epochs)  # fmt: skip
        return signed(told, b"s" * 32)

    with LoopbackNetwork(2, 4, signatures=False, secret=b"s" * 32) as net:
        network = client(net.config(token=token))
        assert network.put(b"walnuts", epochs=3).confirmed
        assert network.put(b"almonds", epochs=2).confirmed
        assert asked == [
            Upload(net.urls.publishers[0], 7, 3), Upload(net.urls.publishers[0], 7, 2),
        ]  # fmt: skip


def test_a_token_that_cannot_be_sent_is_refused(net, client):
    with pytest.raises(InputError, match="token"):
        client(token="a\r\nb").put(b"x")


def test_what_ends_soon_is_named_soonest_first():
    placed = [Placed("a", 1, 12), Placed("b", 1, 9), Placed("c", 1, 10), Placed("d", 1, 0)]
    assert [p.blob_id for p in expiring(placed, 8, 2)] == ["d", "b", "c"]
    assert [p.blob_id for p in expiring(placed, 8, 1)] == ["d", "b"]
    assert [p.blob_id for p in expiring(placed, 9, 0)] == ["d", "b"]
    assert [p.blob_id for p in expiring(placed, 8, 0)] == ["d"]
