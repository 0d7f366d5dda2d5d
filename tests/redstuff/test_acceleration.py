"""Which engine works: the switch, the threshold, and what happens where numba cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest
from redstuff.samples import sample

import haulout
from haulout.errors import InputError
from haulout.redstuff import acceleration, blob_id, compilation

SOURCE = Path(haulout.__file__).resolve().parent.parent


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    prologue = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", prologue + code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_switch_holds_inside_and_no_further() -> None:
    with acceleration.using("numba"):
        assert acceleration.engine(1, 1).name == "numba"
        with acceleration.using("numpy"):
            assert acceleration.engine(10**12, 10**12).name == "numpy"
        assert acceleration.engine(1, 1).name == "numba"


def test_a_short_lived_process_does_not_load_numba() -> None:
    code = """
from haulout import redstuff
for _ in range(3):
    encoded = redstuff.encode(bytes(20_000), 10)
redstuff.decode(encoded.metadata, [encoded.primary(i) for i in range(6, 10)])
print("numba" in sys.modules)
"""
    assert python(code) == "False"


@pytest.fixture
def nothing_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration._Spent, "milliseconds", 0.0)


@pytest.mark.usefixtures("nothing_spent")
def test_numba_is_loaded_when_numpy_has_worked_for_as_long_as_that_takes() -> None:
    names = [acceleration.engine(1_000_000, 30_000_000).name for _ in range(4)]
    assert names == ["numpy", "numpy", "numba", "numba"]


@pytest.mark.usefixtures("nothing_spent")
def test_numba_works_at_once_after_it_was_prepared() -> None:
    assert acceleration.engine(1, 1).name == "numpy"
    assert acceleration.prepare()
    assert acceleration.engine(1, 1).name == "numba"


def test_without_numba_numpy_does_the_work() -> None:
    code = """
sys.modules["numba"] = None
from haulout.errors import InputError
from haulout.redstuff import acceleration
print(acceleration.prepare(), acceleration.engine(10**9, 10**9).name)
try:
    with acceleration.using("numba"):
        pass
except InputError as error:
    print(error)
"""
    assert python(code).splitlines() == [
        "False numpy",
        "numba is not installed. Install `haulout[fast]`.",
    ]


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(InputError, match="'fastest'"), acceleration.using("fastest"):
        pass


@pytest.mark.parametrize("failure", [RuntimeError("no locator"), OSError(28, "full")])
def test_where_nothing_can_be_kept_the_code_is_compiled_for_the_process(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    njit = numba.njit

    def without_room(*signature: str, **options: Any) -> Any:
        def fails(function: object) -> object:
            raise failure

        return fails if options.get("cache") else njit(*signature, **options)

    monkeypatch.setattr(numba, "njit", without_room)
    assert compilation.kernel("int64(int64)")(lambda number: 2 * number)(21) == 42


def test_compiled_code_that_is_broken_on_the_disk_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(
        "from haulout.redstuff.compilation import kernel\n"
        '@kernel("int64(int64)")\n'
        "def doubled(number):\n"
        "    return 2 * number\n"
    )
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
from importlib import reload
from pathlib import Path
from typing import Any
import sample
kept = [p for p in Path({str(tmp_path)!r}).rglob("*") if p.suffix in (".nbi", ".nbc")]
print(len(kept))
for path in kept:
    right = path.read_bytes()
    for wrong in (b"", right[:40], b"nonsense " * 20, right[: len(right) // 2]):
        path.write_bytes(wrong)
        print(reload(sample).doubled(21))
    path.write_bytes(right)
"""
    assert python(code).split() == ["2"] + ["42"] * 8


def test_the_answer_does_not_depend_on_when_numba_is_loaded() -> None:
    blob = sample("answer", 30_000)
    with acceleration.using("numpy"):
        expected = blob_id(blob, 100)
    assert blob_id(blob, 100) == expected
    acceleration.prepare()
    assert blob_id(blob, 100) == expected


def test_importing_red_stuff_makes_no_table_and_loads_no_numba() -> None:
    code = """
import numpy, time
start = time.process_time()
import haulout.redstuff
took = time.process_time() - start
from haulout.redstuff import field
made = [f.cache_info().currsize for f in (field.plain_logs, field.logs, field.powers, field.skews)]
print(made, "numba" in sys.modules, took < 0.5)
"""
    assert python(code) == "[0, 0, 0, 0] False True"
