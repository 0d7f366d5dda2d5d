"""Addresses lead to backends, and say what is wrong with those that do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from haulout.errors import InputError, StoreUnavailableError
from haulout.storage.address import open_backend
from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend
from haulout.storage.objectstore import ObjectStoreBackend

KEYS = {"access_key_id": "a", "secret_access_key": "b"}


def test_a_path_and_a_file_url_open_the_same_folder(tmp_path: Path) -> None:
    place = tmp_path / "a b%20ü"
    made = open_backend(str(place), create=True)
    made.put("a", b"1")
    for url in (str(place), place.as_uri(), made.url, place.as_uri().replace("//", "//localhost")):
        store = open_backend(url)
        assert isinstance(store, FolderBackend)
        assert store.get("a") == b"1"
        assert store.url == place.as_uri()


def test_a_folder_is_made_only_when_that_is_asked_for(tmp_path: Path) -> None:
    store = open_backend(str(tmp_path / "new"))
    with pytest.raises(StoreUnavailableError):
        store.put("a", b"1")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stores = {name: open_backend(name, create=True) for name in ("volume", "./vol:1")}
    monkeypatch.chdir("/")
    for name, store in stores.items():
        store.put("a", b"1")
        assert store.url == (tmp_path / name).as_uri()


def test_a_name_in_memory_is_the_same_store_each_time() -> None:
    one = open_backend("memory:test-address-one")
    one.put("a", b"1")
    assert open_backend("memory:test-address-one") is one
    assert list(open_backend("memory:test-address-two").list()) == []
    assert isinstance(one, MemoryBackend)
    assert one.url == "memory:test-address-one"


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("s3://bucket/a", KEYS),
        ("gs://bucket/a", {"bearer_token": "a"}),
        ("az://account/container/a", {"access_key": "YQ=="}),
    ],
)
def test_buckets_open_by_their_scheme(url: str, config: dict[str, str]) -> None:
    store = open_backend(url, config)
    assert isinstance(store, ObjectStoreBackend)
    assert store.url == url


@pytest.mark.parametrize(
    ("url", "config", "words"),
    [
        ("", None, "empty"),
        ("  ", None, "empty"),
        ("a\0b", None, "written out"),
        ("~/volume", None, "written out"),
        ("memory:", None, "needs a name"),
        ("ftp://host/a", None, "no backend for addresses with ftp"),
        ("walrus:blob", None, "no backend"),
        ("file://host/a", None, "this machine"),
        ("file:", None, "whole path"),
        ("file:///a?b=c", None, "whole path"),
        ("/a", KEYS, "Only a bucket"),
        ("memory:a", KEYS, "Only a bucket"),
        ("s3://bucket", None, "wants credentials"),
        ("s3://a:b@bucket", KEYS, "no credentials"),
    ],
)
def test_an_address_of_another_form_is_refused(
    url: str, config: dict[str, str] | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        open_backend(url, config, create=True)


def test_a_bucket_without_obstore_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "haulout.storage.objectstore", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(InputError, match=r"haulout\[s3\]"):
        open_backend("s3://bucket", KEYS)
