"""What it costs to have Haulout at all: cold imports, the command line's start, the install.

    python benchmarks/import_cost.py [--json FILE] [--png FILE] [--quick] [--no-peers]

Imports are whole processes, by turns, less the bare interpreter; CPU time of the process and
its children. The core is installed into a fresh environment from this checkout and weighed
without pip; mem0's own environment is weighed the same way.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import bars, machine, parser, pick_console, show_verdicts, verdict, write_files
from rich.console import Console
from rich.table import Table
from stores import ROOT, Skipped, environment, python_that_loads_extensions

_MAKES_ENVIRONMENTS = ("pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack")


@dataclass(frozen=True, slots=True)
class Start:
    """A process to start: its name in the table and its command."""

    name: str
    command: tuple[str, ...]
    whole: bool = False  # with the interpreter's own start


def cost(command: Sequence[str]) -> tuple[float, float]:
    """CPU and wall milliseconds of a process.

    Raises:
        Skipped: it failed.
    """
    paths = os.environ | {"PYTHONPATH": str(ROOT / "src"), "MEM0_TELEMETRY": "False"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=paths, capture_output=True, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Skipped(f"{' '.join(command[1:3])}: {done.stderr.decode(errors='replace')[-120:]}")
    return 1e3 * sum(a - b for a, b in zip(after[:2], before[:2], strict=True)), 1e3 * wall


def starts(*, peers: bool, console: Console) -> list[Start]:
    """Every process that is measured; the first is the bare interpreter."""
    here = sys.executable
    found = [
        Start("bare interpreter", (here, "-c", "pass"), whole=True),
        Start("haulout: import haulout", (here, "-c", "import haulout")),
        Start("haulout: from haulout import Vault", (here, "-c", "from haulout import Vault")),
    ]
    if importlib.util.find_spec("haulout.cli") is None:
        console.print("[yellow]skipped:[/yellow] there is no command line yet")
    else:
        run = "import sys; from haulout.cli import main; sys.exit(main())"
        found.append(Start("haulout --version", (here, "-c", run, "--version"), whole=True))
    if peers:
        for peer, choose, statement in (
            ("mem0", lambda: here, "import mem0"),
            ("langgraph", python_that_loads_extensions, "import langgraph.store.sqlite"),
        ):
            try:
                python = str(environment(peer, choose()))
                found.append(Start(f"{peer}: {statement}", (python, "-c", statement)))
            except Skipped as reason:
                console.print(f"[yellow]skipped:[/yellow] {reason}")
    return found


def imports(measured: list[Start], times: int, console: Console) -> dict[str, dict[str, float]]:
    """CPU and wall milliseconds of each start, by turns; imports less the bare interpreter."""
    taken: dict[str, list[tuple[float, float]]] = {start.name: [] for start in measured}
    for number in range(times + 1):  # the first turn warms the disk cache
        for start in measured:
            try:
                figure = cost(start.command)
            except Skipped as reason:
                if not number:
                    console.print(f"[yellow]skipped:[/yellow] {reason}")
                continue
            if number:
                taken[start.name].append(figure)
    bare = [statistics.median(side) for side in zip(*taken["bare interpreter"], strict=True)]
    found: dict[str, dict[str, float]] = {}
    for start in measured:
        if taken[start.name]:
            sides = zip(*taken[start.name], strict=True)
            cpu, wall = (statistics.median(side) for side in sides)
            less = (0.0, 0.0) if start.whole else bare
            found[start.name] = {"cpu_ms": cpu - less[0], "wall_ms": wall - less[1]}
    return found


def weigh(folder: Path) -> dict[str, float]:
    """Packages and megabytes of an environment, without the tools that made it."""
    (site,) = folder.glob("lib/python*/site-packages")
    listed = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "list", "--format=json"],
        capture_output=True, check=True,
    )  # fmt: skip
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    total = sum(
        path.stat().st_size
        for entry in site.iterdir()
        if not entry.name.startswith(_MAKES_ENVIRONMENTS)
        for path in (entry.rglob("*") if entry.is_dir() else [entry])
        if path.is_file()
    )
    return {"packages": len(names - {"pip", "setuptools", "wheel"}), "mb": total / 1e6}


def install(place: Path) -> dict[str, float]:
    """Install the core into a fresh environment and weigh it.

    Raises:
        Skipped: it cannot be installed here.
    """
    folder = place / "core"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--constraint",
               str(ROOT / "constraints.txt"), str(ROOT)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Skipped(f"the core could not be installed: {(lines or ['pip failed'])[-1][:160]}")
    return weigh(folder)


def installs(*, quick: bool, peers: bool, console: Console) -> dict[str, dict[str, float]]:
    """Packages and megabytes of the core and of mem0."""
    found: dict[str, dict[str, float]] = {}
    if quick:
        console.print("[yellow]skipped:[/yellow] the install (--quick)")
        return found
    try:
        with tempfile.TemporaryDirectory(prefix="haulout-import-cost-") as name:
            found["haulout core"] = install(Path(name))
        if peers:
            python = environment("mem0", sys.executable)
            found["mem0"] = weigh(python.parent.parent)
    except Skipped as reason:
        console.print(f"[yellow]skipped:[/yellow] {reason}")
    return found


def verdicts(figures: dict[str, Any]) -> dict[str, Any]:
    """What stands against the floors and goals."""
    found: dict[str, Any] = {}
    for key, name, what, floor, goal in (
        ("import", "haulout: import haulout", "import, CPU ms", 150, 80),
        ("version", "haulout --version", "--version, CPU ms", 250, 120),
    ):
        if name in figures["imports"]:
            value = figures["imports"][name]["cpu_ms"]
            found[key] = {
                "what": f"{what} (floor {floor}, goal {goal})",
                "value": value,
                "verdict": verdict(value, floor, goal),
            }
    if "haulout core" in figures["installs"]:
        core = figures["installs"]["haulout core"]
        found["packages"] = {
            "what": "packages of the core, itself included (floor 20, goal 12)",
            "value": core["packages"],
            "verdict": verdict(core["packages"], 20, 12),
        }
        found["megabytes"] = {
            "what": "MB of the core (floor 180)",
            "value": core["mb"],
            "verdict": verdict(core["mb"], 180, 180),
        }
    return found


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="cold starts")
    for heading in ("what", "CPU ms", "wall ms"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, found in figures["imports"].items():
        table.add_row(name, f"{found['cpu_ms']:.0f}", f"{found['wall_ms']:.0f}")
    console.print(table)
    for name, found in figures["installs"].items():
        console.print(f"{name}: {found['packages']} packages, {found['mb']:.0f} MB")
    show_verdicts(figures["verdicts"], console)


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        figure, panels = plt.subplots(1, 2, figsize=(11, 3))
        cpu = {name: found["cpu_ms"] for name, found in figures["imports"].items()}
        bars(panels[0], "cold start", cpu, "ms of CPU")
        sizes = {name: found["mb"] for name, found in figures["installs"].items()}
        bars(panels[1], "installed", sizes, "MB")
        return figure

    return draw


def main() -> int:
    arguments = parser(__doc__).parse_args()
    console = pick_console()
    peers = not arguments.no_peers
    figures: dict[str, Any] = {"machine": machine()}
    measured = starts(peers=peers, console=console)
    figures["imports"] = imports(measured, 2 if arguments.quick else 9, console)
    figures["installs"] = installs(quick=arguments.quick, peers=peers, console=console)
    figures["verdicts"] = verdicts(figures)
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
