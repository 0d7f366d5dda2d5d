"""Environments of their own under build/trading, made once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "trading"


def environment(name: str, say: Callable[[str], None]) -> Path:
    """The environment for ``freqtrade`` or ``nautilus``; made where it is not there.

    Args:
        name: its packages are in ``NAME.txt`` beside this file; say: tells what is going on.

    Raises:
        CalledProcessError: a package could not be had; uv's own words stand above.
    """
    folder, wanted = BUILD / name, HERE / f"{name}.txt"
    done = folder / "done"
    stamp = f"{sys.version_info[:2]}\n{wanted.read_text('utf-8')}"
    if done.exists() and done.read_text("utf-8") == stamp:
        return folder
    say(f"Making build/trading/{name}: some 500 MB, a minute or two, once ...")
    uv = [str(Path(sys.executable).parent / "uv")]
    make = [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
    install = [
        *uv, "pip", "install", "--python", str(folder / "bin" / "python"),
        "--requirement", str(wanted), "--editable", str(ROOT), "--quiet",
    ]  # fmt: skip
    for command in (make, install):
        subprocess.run(command, check=True, cwd=ROOT)
    done.write_text(stamp, "utf-8")
    return folder
