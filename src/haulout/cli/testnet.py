"""`haulout testnet`."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from pathlib import Path
from typing import Any

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError

_LAST_PORT = 65_535


@click.command(
    "testnet",
    cls=Verb,
    examples=(
        "haulout testnet",
        "haulout testnet --nodes 7 --shards 10 --json",
        "haulout testnet --path ./testnet --port 31415",
    ),
)
@click.option("--nodes", default=10, show_default=True, metavar="N", help="Storage nodes.")
@click.option(
    "--shards",
    default=1000,
    show_default=True,
    metavar="N",
    help="As the real network has them. Fewer make uploads faster, and other blob IDs.",
)
@click.option("--port", default=0, metavar="PORT", help="The first of consecutive ports.")
@click.option(
    "--path",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep blobs in this folder, not in memory. They are not found again by the next run.",
)
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Stop by itself after them.")
@click.pass_obj
def command(
    session: Session, nodes: int, shards: int, port: int, path: Path | None, seconds: float | None
) -> None:
    """Run a Walrus network on this machine, until Ctrl-C.

    Storage nodes, a publisher, an aggregator and an upload relay on 127.0.0.1, with play money.
    They speak as the real ones do, and forget everything when they stop.
    """
    _needed("starlette", "server")
    _needed("uvicorn", "server")
    services = nodes + len(("publisher", "aggregator", "relay"))
    if port and not 0 < port <= _LAST_PORT - services:
        raise InputError(f"There are no {services} ports from {port} on.")
    from haulout.storage.walrus.config import written
    from haulout.testing.walrus.network import LoopbackNetwork

    signed = importlib.util.find_spec("py_ecc") is not None
    with LoopbackNetwork(nodes, shards, port=port, path=path, signatures=signed) as network:
        config = written(network.config())

        def show() -> None:
            screen.say("A Walrus network is running.", fg="green")
            screen.pairs(_lines(config))
            screen.note("A configuration to use it, as --json prints it:")
            screen.note(json.dumps(config))
            if not signed:
                screen.warn("Nodes sign nothing: py_ecc is not installed.")
            screen.note("Ctrl-C stops it.")

        session.answer(config, show)
        sys.stdout.flush()
        try:
            threading.Event().wait(seconds)
        except KeyboardInterrupt:
            session.note("Stopped.")  # the way to end it, and no failure


def _lines(config: dict[str, Any]) -> list[tuple[str, str]]:
    runs = [
        (node["url"], ", ".join(f"{first}-{last}" for first, last in node["shards"]))
        for node in config["nodes"]
    ]
    return [
        *(("publisher", url) for url in config["publishers"]),
        *(("aggregator", url) for url in config["aggregators"]),
        *(("upload relay", url) for url in config["relays"]),
        *((f"node {i}", f"{url} (shards {held})") for i, (url, held) in enumerate(runs)),
    ]


def _needed(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        message = f"A network needs {package}, which is not installed."
        raise InputError(message, hint=f'Install it with `pip install "haulout[{extra}]"`.')
