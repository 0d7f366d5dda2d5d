"""Red Stuff beside the network's own WebAssembly: CPU, memory, and both of our engines.

    python benchmarks/redstuff_speed.py --wasm build/walrus-npm

Each line is one number of shards and one size: encoding (every sliver and the metadata, as bytes),
the blob ID alone, and decoding from p primary slivers none of which holds any of the source. All
are CPU seconds of a process of its own, the best of several; the processes take turns. The peer
(`@mysten/walrus-wasm`) runs under node and decodes without a check, so the decoding that is
compared has none either; what the default check adds stands beside it. Peak memory is what a
process grows by, the blob included. At 10 shards the largest blob has 1.75 MiB; 100 MiB at 1,000
shards are done by Haulout alone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import (
    HAULOUT_COLOUR,
    PEER_COLOUR,
    machine,
    parser,
    pick_console,
    show_verdicts,
    verdict,
    write_files,
)
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
KIB, MIB = 1 << 10, 1 << 20
CASES = [
    (10, KIB), (10, MIB),
    (100, KIB), (100, MIB), (100, 10 * MIB),
    (1000, KIB), (1000, MIB), (1000, 10 * MIB),
]  # fmt: skip
ALONE = [(1000, 100 * MIB)]
QUICK = [(10, KIB), (10, MIB), (100, KIB)]
ENGINES = ("numpy", "numba")
OPERATIONS = ("encode", "blob_id", "decode")
ROUNDS = 3
SECONDS = 0.6  # of repetition for each figure and round
LIMIT_EACH, LIMIT_FIXED = 3, 64 * MIB
HEADROOM = 1.0

PEER = """
import { createRequire } from 'node:module';
import crypto from 'node:crypto';
const { n, size, seconds } = JSON.parse(process.argv[1]);
const { BlobEncoder } = createRequire(process.argv[2] + '/')('@mysten/walrus-wasm');
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) / 1e6; };
const f = Math.floor((n - 1) / 3), p = n - 2 * f, s = n - f;
let z = Math.ceil(Math.max(size, 1) / (p * s));
z += z % 2;
const room = (bytes) => {
  let length = 1;
  for (let rest = bytes; rest > 127; rest >>= 7) length += 1;
  return new Uint8Array(length + bytes + 4);
};
const primary = Array.from({ length: n }, () => room(s * z));
const secondary = Array.from({ length: n }, () => room(p * z));
const data = crypto.randomBytes(size);
const encoder = new BlobEncoder(n);
let made;
const best = (work) => {
  let least = Infinity, spent = 0;
  while (spent < seconds) {
    const start = cpu();
    work();
    const took = cpu() - start;
    least = Math.min(least, took);
    spent += Math.max(took, 1e-5);
  }
  return least;
};
const out = new Uint8Array(size);
const figures = { encode: best(() => { made = encoder.encode(data, primary, secondary); }) };
figures.blob_id = best(() => encoder.compute_metadata(data));
const lost = primary.slice(p, 2 * p);
figures.decode = best(() => encoder.decode(made[0].blob_id, BigInt(size), lost, out));
if (!data.equals(Buffer.from(out))) throw new Error('decoded to something else');
console.log(JSON.stringify(figures));
"""


def best(work: Callable[[], object], seconds: float) -> float:
    """The least CPU of several repetitions."""
    least, spent = float("inf"), 0.0
    while spent < seconds:
        start = time.process_time()
        work()
        took = time.process_time() - start
        least = min(least, took)
        spent += max(took, 1e-5)
    return least


def grown() -> Callable[[], int]:
    """Start to watch: the function it gives tells by how many bytes the process grew at most."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the high-water mark starts anew
    before = _status("VmRSS")
    return lambda: _status("VmHWM") - before


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


def child(task: dict[str, Any]) -> dict[str, float]:
    """One case with one engine, in a process of its own."""
    from haulout import redstuff
    from haulout.redstuff import acceleration

    n, size, seconds = task["n"], task["size"], task["seconds"]
    start = time.process_time()
    if task["engine"] == "numba" and not acceleration.prepare():
        return {}
    figures = {"loading": time.process_time() - start}
    counts = redstuff.parameters(n)

    def encode() -> redstuff.Encoded:
        encoded = redstuff.encode(blob, n)
        encoded.metadata.to_bcs_with_id()
        for index in range(n):
            for sliver in encoded.pair(index):
                sliver.to_bcs()
        return encoded

    with acceleration.using(task["engine"]):
        blob = random.Random(7).randbytes(max(KIB, size // 1000))  # tables, before anything counts
        encode()
        peak = grown()
        blob = random.Random(size).randbytes(size)
        encoded = encode()
        figures["encode_peak"] = peak()
        lost = [encoded.primary(index) for index in range(counts.primary, 2 * counts.primary)]
        metadata = encoded.metadata
        del encoded
        peak = grown()
        redstuff.decode(metadata, lost)
        figures["decode_peak"] = peak() + sum(len(sliver.data) for sliver in lost)
        if redstuff.decode(metadata, lost, check="skip") != blob:
            raise AssertionError("decoded to something else")
        figures["encode"] = best(encode, seconds)
        figures["blob_id"] = best(lambda: redstuff.blob_id(blob, n), seconds)
        figures["decode"] = best(lambda: redstuff.decode(metadata, lost, check="skip"), seconds)
        figures["decode_checked"] = best(lambda: redstuff.decode(metadata, lost), seconds)
    return figures


def run(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(n: int, size: int, engine: str, seconds: float) -> dict[str, float]:
    task = {"n": n, "size": size, "engine": engine, "seconds": seconds}
    return run([sys.executable, __file__, "--child", json.dumps(task)])


def theirs(n: int, size: int, wasm: Path, seconds: float) -> dict[str, float]:
    task = json.dumps({"n": n, "size": size, "seconds": seconds})
    return run(["node", "--input-type=module", "-e", PEER, task, str(wasm.resolve())])


def merge(found: dict[str, float], round_: dict[str, float]) -> None:
    """CPU is the best of all rounds, memory the worst."""
    for key, value in round_.items():
        pick = max if key.endswith("peak") else min
        found[key] = pick(found.get(key, value), value)


def measure(arguments: Any, console: Console) -> list[dict[str, Any]]:
    peer = wasm_at(arguments, console)
    cases = QUICK if arguments.quick else [*CASES, *ALONE]
    rounds = 1 if arguments.quick else ROUNDS
    lines: list[dict[str, Any]] = []
    for n, size in cases:
        line: dict[str, Any] = {"n": n, "size": size, **{engine: {} for engine in ENGINES}}
        alone = (n, size) in ALONE
        for _ in range(1 if alone else rounds):
            seconds = 0.1 if arguments.quick or alone else SECONDS
            for engine in ENGINES:
                merge(line[engine], ours(n, size, engine, seconds))
            if peer and not alone:
                merge(line.setdefault("wasm", {}), theirs(n, size, peer, seconds))
        if not line["numba"]:
            console.print("[yellow]skipped:[/yellow] numba, which is not installed")
        lines.append(line)
        console.print(f"[dim]{n} shards, {size:,} bytes: done[/dim]")
    return lines


def wasm_at(arguments: Any, console: Console) -> Path | None:
    """Where the peer is, or None where it is left out or missing."""
    if arguments.no_peers:
        return None
    if (arguments.wasm / "node_modules" / "@mysten" / "walrus-wasm").is_dir():
        return arguments.wasm
    console.print(
        f"[yellow]skipped:[/yellow] the network's WebAssembly is not under {arguments.wasm}; "
        "run `make crosscheck`, or `npm install --prefix FOLDER --ignore-scripts "
        "@mysten/walrus-wasm@0.3.0` and name it with --wasm FOLDER."
    )
    return None


def verdicts(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands against the floors and goals."""
    found: dict[str, Any] = {}
    peers = [line for line in lines if "wasm" in line]
    for line in peers:
        if (line["n"], line["size"]) == (1000, MIB):
            for engine, what, floor, goal in (
                ("numpy", "encode", 1.3, 1.3), ("numba", "encode", 2, 3),
                ("numpy", "decode", 20, 40), ("numba", "decode", 20, 40),
            ):  # fmt: skip
                if what in line[engine]:
                    ratio = line["wasm"][what] / line[engine][what]
                    found[f"{engine} {what}"] = {
                        "what": f"{what}, 1,000 shards, 1 MiB, {engine}: times as fast "
                        f"(floor {floor}, goal {goal})",
                        "value": ratio,
                        "verdict": verdict(ratio, floor, goal, more_is_better=True),
                    }
    ratios = [
        line["wasm"][what] / line["numba"][what]
        for line in peers
        for what in OPERATIONS
        if what in line["numba"]
    ]
    if ratios:
        found["least"] = {
            "what": "the least of all ratios, numba (floor 1)",
            "value": min(ratios),
            "verdict": verdict(min(ratios), 1, 1, more_is_better=True),
        }
    shares = [
        line[engine][f"{what}_peak"] / (LIMIT_EACH * line["size"] + LIMIT_FIXED)
        for line in lines
        for engine in ENGINES
        for what in ("encode", "decode")
        if line[engine]
    ]
    found["memory"] = {
        "what": "peak memory as a share of three blobs and 64 MiB, the worst (floor 1)",
        "value": max(shares),
        "verdict": verdict(max(shares), HEADROOM, HEADROOM),
    }
    return found


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="CPU ms (times as fast as the network's WebAssembly), peak MiB")
    for heading in ("shards", "size", "what", "wasm", "numpy", "numba", "peak numpy", "numba "):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for line in figures["lines"]:
        for what in (*OPERATIONS, "decode_checked"):
            theirs_ = line.get("wasm", {}).get(what)
            cells = [f"{line['n']:,}", f"{line['size'] // KIB:,} KiB", what.replace("_", " ")]
            cells.append(f"{1000 * theirs_:,.2f}" if theirs_ else "")
            cells += [cell(line[engine].get(what), theirs_) for engine in ENGINES]
            for engine in ENGINES:
                peak = line[engine].get(f"{what}_peak")
                cells.append(f"{peak / MIB:,.0f}" if peak else "")
            table.add_row(*cells)
        table.add_section()
    console.print(table)
    loading = [line["numba"]["loading"] for line in figures["lines"] if line["numba"]]
    if loading:
        console.print(f"loading numba's engine, compiled before: {min(loading):.2f} s of CPU")
    show_verdicts(figures["verdicts"], console)


def cell(value: float | None, peer: float | None) -> str:
    if value is None:
        return ""
    return f"{1000 * value:,.2f}" + (f" ({peer / value:.1f})" if peer else "")


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        lines = [line for line in figures["lines"] if "wasm" in line] or figures["lines"]
        labels = [f"{line['n']:,} x {line['size'] // KIB:,} KiB" for line in lines]
        figure, panels = plt.subplots(1, 3, figsize=(13, 4), sharey=True)
        colours = {"wasm": PEER_COLOUR, "numpy": "#7fb8c9", "numba": HAULOUT_COLOUR}
        for panel, what in zip(panels, OPERATIONS, strict=True):
            for place, (name, colour) in enumerate(colours.items()):
                values = [1000 * line.get(name, {}).get(what, 0) for line in lines]
                heights = [index + 0.27 * (place - 1) for index in range(len(lines))]
                panel.barh(heights, values, 0.25, color=colour, label=name)
            panel.set(title=what.replace("_", " "), xlabel="CPU ms", xscale="log")
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(lines)), labels)
        panels[0].invert_yaxis()
        panels[-1].legend(loc="upper right", frameon=False)
        return figure

    return draw


def main() -> int:
    arguments_parser = parser(__doc__)
    arguments_parser.add_argument(
        "--wasm", type=Path, default=ROOT / "build" / "walrus-npm",
        help="folder whose node_modules holds @mysten/walrus-wasm",
    )  # fmt: skip
    arguments_parser.add_argument("--child", help="one case, as JSON; used by the program itself")
    arguments = arguments_parser.parse_args()
    if arguments.child:
        sys.stdout.write(json.dumps(child(json.loads(arguments.child))) + "\n")
        return 0
    console = pick_console()
    figures: dict[str, Any] = {"machine": machine(), "processors": os.cpu_count()}
    figures["lines"] = measure(arguments, console)
    figures["verdicts"] = verdicts(figures["lines"])
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
