"""`haulout testnet`: a network that a program finds by what is printed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from starlette.applications import Starlette

from haulout.storage.walrus.config import read_config
from haulout.storage.walrus.network import Network
from haulout.testing.walrus.serving import Host, Service

SOURCE = Path(__file__).resolve().parents[2] / "src"


def test_what_it_prints_is_a_configuration_for_a_client_and_ctrl_c_ends_it_well(home):
    command = [sys.executable, "-m", "haulout.cli", "testnet", "--nodes", "4", "--shards", "4"]
    process = subprocess.Popen(
        [*command, "--json", "--path", str(home / "blobs")],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )  # fmt: skip
    try:
        assert process.stdout
        config = read_config(process.stdout.readline())
        with Network(config) as network:
            placed = network.put(b"walnuts", epochs=3)
            assert network.get(placed.blob_id) == b"walnuts"
        assert len(list((home / "blobs").iterdir())) == 1
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_for_seconds_it_runs_and_tells_a_person_where(haulout):
    run = haulout("testnet", "--nodes", "2", "--shards", "5", "--for", "0")
    assert run.code == 0
    rows = dict(line.split("\t") for line in run.out.splitlines() if "\t" in line)
    assert set(rows) == {"publisher", "aggregator", "upload relay", "node 0", "node 1"}
    assert rows["node 0"].endswith("(shards 0-1)")
    config = next(line for line in run.err.splitlines() if line.startswith("{"))
    assert json.loads(config)["n_shards"] == 5


def test_ports_follow_on_the_one_that_is_named_and_a_taken_one_is_an_error(haulout):
    host = Host()
    try:
        taken = Service(host, Starlette())
        run = haulout("testnet", "--nodes", "4", "--shards", "4", "--port", taken.port, "--for", 0)
        assert run.code == 7
        assert f"Port {taken.port} cannot be used" in run.err
    finally:
        host.close()
    assert haulout("testnet", "--port", "65530").code == 2
    assert haulout("testnet", "--nodes", "11", "--shards", "10").code == 2


def test_without_the_packages_it_says_how_to_install_them(haulout, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name)
    )
    run = haulout("testnet")
    assert run.code == 2
    assert 'pip install "haulout[server]"' in run.err


def test_nothing_of_it_is_left_listening(haulout):
    run = haulout("testnet", "--nodes", "1", "--shards", "4", "--for", "0", "--json")
    url = json.loads(run.out)["publishers"][0]
    try:
        urllib.request.urlopen(f"{url}/status", timeout=5)
    except OSError:
        return
    raise AssertionError("it still answers")
