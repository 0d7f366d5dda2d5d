"""A vault leaves one disk and comes back: to S3, and to a Walrus network, both on loopback.

    python benchmarks/restore_speed.py [--json FILE] [--png FILE] [--quick]
                                       [--memories N] [--attachment MIB] [--shards N]

A vault with many memories and a large attachment is synced; its folder is deleted; another
process restores it from the locator and the 24 words. Compared: the digest of an export, the
answers to questions with their scores, and every byte of the attachment. Beside it stands a
plain copy of the same folder, synced to the disk file by file. Memory is the restoring
process's highest, as the kernel counts it since the program began (what ``getrusage`` says
would include the program that started it).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figures import bars, machine, parser, pick_console, show_verdicts, verdict, write_files
from rich.console import Console
from rich.table import Table

from haulout import Vault
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.stores.walrusstore import WalrusNode, WalrusSettings, write_settings

MIB = 1024 * 1024
BUCKET = "bucket"
WORDS = """
    harbour walnut bicycle meadow lantern river copper garden window orchard letter mountain
    kettle violin saddle ferry market blanket engine compass teacher island winter doctor
""".split()  # noqa: SIM905 - 24 words read better as two lines
QUESTIONS = [" ".join(pair) for pair in itertools.combinations(WORDS[:9], 2)]
CHILD = """
import hashlib, json, re, sys, time
from haulout import Vault
locator, folder, words, credentials, questions, attached = json.load(sys.stdin)
began, cpu = time.perf_counter(), time.process_time()
with Vault.restore(locator, folder, kit=words, credentials=credentials) as vault:
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
    found = vault.restored
    digest = vault.export(folder + ".jsonl").digest
    content = hashlib.sha256()
    with vault.attachment(attached) as stream:
        while piece := stream.read(1 << 20):
            content.update(piece)
    answers = [[(one.memory.id, one.score) for one in vault.recall(q)] for q in questions]
print(json.dumps({
    "seconds": took, "cpu": cpu, "peak_mb": peak / 1024, "records": found.records,
    "failed": found.failed, "chunks": found.chunks, "failed_chunks": found.failed_chunks,
    "vectors": found.vectors, "failures": found.failures, "digest": digest,
    "content": content.hexdigest(), "answers": answers,
}))
"""


def made(folder: Path, memories: int, attachment: int, console: Console) -> dict[str, Any]:
    """A vault to leave with: its words, and what must come back."""
    noise = random.Random(7)
    file = folder.with_name("attachment.bin")
    digest = hashlib.sha256()
    with file.open("wb") as target:
        for _ in range(attachment):
            piece = noise.randbytes(MIB)
            digest.update(piece)
            target.write(piece)
    vault, kit = Vault.create(folder)
    with vault:
        vault.remember_many(
            [
                {"text": f"{n}: " + " ".join(noise.choices(WORDS, k=noise.randint(8, 40)))}
                for n in range(memories)
            ]
        )
        console.print("embedding ...")
        vault.catch_up()
        began = time.perf_counter()
        attached = vault.remember("Everything that was recorded that day.", attach=file).id
        took = time.perf_counter() - began
        answers = [[[one.memory.id, one.score] for one in vault.recall(q)] for q in QUESTIONS]
        exported = vault.export(folder.with_name("export.jsonl")).digest
        vectors = vault.stats().vectors
    file.unlink()
    return {
        "words": kit.words, "attached": attached, "answers": answers, "digest": exported,
        "content": digest.hexdigest(), "vectors": vectors, "attach_seconds": took,
    }  # fmt: skip


@contextmanager
def s3(_folder: Path, _arguments: Any) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """A server that speaks S3; how a vault is given to it."""
    import threading

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    s3_backends["123456789012"]["aws"].create_bucket(BUCKET, "us-east-1")
    credentials = {
        "s3.access_key_id": "AKIDEXAMPLE",
        "s3.secret_access_key": "a-secret-of-no-use",
        "s3.region": "us-east-1",
        "s3.endpoint": f"http://127.0.0.1:{server.server_port}",
        "s3.allow_http": "true",
    }

    def give(vault: Vault) -> None:
        vault.add_volumes([f"s3://{BUCKET}/one"])

    try:
        yield "S3 (moto), 10 shards", give, credentials
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def walrus(folder: Path, arguments: Any) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """A Walrus network; how a vault is given to it."""
    with LoopbackNetwork(10, arguments.shards, path=folder / "network", signatures=False) as net:
        config = net.config()
        settings = WalrusSettings(
            publishers=config.publishers,
            aggregators=config.aggregators,
            nodes=tuple(WalrusNode(url=one.url, shards=one.shards) for one in config.nodes),
            n_shards=arguments.shards,
            vectors=True,
        )

        def give(vault: Vault) -> None:
            vault._remote.add("walrus", write_settings(settings))  # noqa: SLF001 - all settings

        yield f"Walrus, {arguments.shards} shards", give, {}


def trip(place: Any, base: Path, folder: Path, expected: Mapping[str, Any], arguments: Any) -> Any:
    """Sync a copy of the vault to a store, delete it, restore it in another process."""
    mine = folder / "vault"
    shutil.copytree(base, mine)
    with place(folder, arguments) as (name, give, credentials):
        with Vault.open(mine, credentials=credentials) as vault:
            give(vault)
            began, cpu = time.perf_counter(), time.process_time()
            synced = vault.sync()
            sync = time.perf_counter() - began, time.process_time() - cpu
            assert synced.complete, synced
            locator = vault.locator()
        shutil.rmtree(mine)
        given = [locator, str(folder / "restored"), expected["words"], credentials, QUESTIONS,
                 expected["attached"]]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=json.dumps(given), text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
    figures = json.loads(done.stdout)
    same = {what: figures.pop(what) == expected[what] for what in ("digest", "content", "answers")}
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures | {
        "name": name, "sync_seconds": sync[0], "sync_cpu": sync[1], "sync_peak_mb": own,
        "sent_bytes": synced.stores[0].bytes, "same": same,
        "embedded_again": expected["vectors"] - figures["vectors"],
    }  # fmt: skip


def copied(base: Path, target: Path) -> float:
    """Seconds for a plain copy of a folder, each file synced."""
    began = time.perf_counter()
    for path in base.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(base)
            place.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, place.open("wb") as to:
                shutil.copyfileobj(source, to, MIB)
                to.flush()
                os.fsync(to.fileno())
    return time.perf_counter() - began


def show(trips: list[dict[str, Any]], copy: float, console: Console) -> None:
    table = Table(title="A vault leaves and comes back")
    for title in ("store", "sync s (CPU)", "restore s (CPU)", "x copy", "peak MB", "came back"):
        table.add_column(title, justify="left" if title in {"store", "came back"} else "right")
    for one in trips:
        total = one["records"] + one["failed"]
        back = f"{one['records']}+{one['failed']}={total} records, {one['chunks']} chunks; "
        back += ", ".join(
            f"{what} {'same' if ok else 'DIFFERS'}" for what, ok in one["same"].items()
        )
        table.add_row(
            one["name"],
            f"{one['sync_seconds']:.1f} ({one['sync_cpu']:.1f})",
            f"{one['seconds']:.1f} ({one['cpu']:.1f})",
            f"{one['seconds'] / copy:.1f}",
            f"{one['peak_mb']:.0f}",
            back,
        )
    console.print(table)
    console.print(f"A plain copy of the folder, synced: {copy:.1f} s.")


def main() -> int:
    """Measure and print; 1 where something did not come back."""
    options = parser(__doc__ or "")
    options.add_argument("--memories", type=int, default=10_000)
    options.add_argument("--attachment", type=int, default=1024, metavar="MIB")
    options.add_argument("--shards", type=int, default=1000, help="of the Walrus network")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.memories, arguments.attachment = 500, 16
    console = pick_console()
    with tempfile.TemporaryDirectory(prefix="haulout-restore-") as home:
        base = Path(home) / "base"
        expected = made(base, arguments.memories, arguments.attachment, console)
        copy = copied(base, Path(home) / "copy")
        shutil.rmtree(Path(home) / "copy")
        trips: list[dict[str, Any]] = []
        for place in (s3, walrus):
            folder = Path(home) / place.__name__
            folder.mkdir()
            console.print(f"{place.__name__} ...")
            trips.append(trip(place, base, folder, expected, arguments))
            shutil.rmtree(folder)
    show(trips, copy, console)
    verdicts = {
        f"peak memory of a restore, {one['name']}": {
            "what": f"peak memory of a restore from {one['name']}, MB",
            "value": one["peak_mb"],
            "verdict": verdict(one["peak_mb"], 300, 200),
        }
        for one in trips
    }
    show_verdicts(verdicts, console)
    figures = {
        "machine": machine(),
        "memories": arguments.memories,
        "attachment_mib": arguments.attachment,
        "attach_seconds": expected["attach_seconds"],
        "copy_seconds": copy,
        "trips": trips,
    }

    def draw(plt: Any) -> Any:
        figure, panel = plt.subplots(figsize=(8, 2.6))
        times = {f"haulout, {one['name']}": one["seconds"] for one in trips}
        bars(panel, "Restoring a vault", times | {"a plain copy": copy}, "seconds")
        return figure

    write_files(arguments, figures, draw, console)
    whole = all(all(one["same"].values()) and not one["failures"] for one in trips)
    return 0 if whole and not any(one["embedded_again"] for one in trips) else 1


if __name__ == "__main__":
    sys.exit(main())
