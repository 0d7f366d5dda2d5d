"""`AsyncVault`: it is what its generator makes, never blocks the loop, and loses nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import haulout
from haulout import AsyncVault, Memory, Vault
from haulout.errors import (
    InputError,
    ModelError,
    NotFoundError,
    VaultClosedError,
    VaultMissingError,
)
from haulout.vault.meaning import WordsOnlyWarning
from haulout.vault.threads import CALLS_AT_ONCE, Threads, made

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "tools" / "async_vault.py"
MAKERS = ("create", "open", "ephemeral", "restore", "replicate")
VERBS = [
    name
    for name, member in inspect.getmembers(Vault)
    if not name.startswith("_") and inspect.isfunction(member) and name != "close"
]


def during(main: Callable[[AsyncVault], Awaitable[Any]]) -> Any:
    """Run something with a vault in memory, on a loop of its own."""

    async def run() -> Any:
        async with AsyncVault.ephemeral() as vault:
            return await main(vault)

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until threads have brought something about."""
    while not condition():  # noqa: ASYNC110 - threads tell it, no task does
        await asyncio.sleep(0)


class Gate:
    """An iterable of items that says when it is read, and lets nothing by until it is opened."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.reached, self.opened = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.reached.set()
        assert self.opened.wait(60)
        yield from ({"text": text, "op_id": text} for text in self.texts)

    async def until_reached(self) -> None:
        await until(self.reached.is_set)


# --- it is the twin --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Any:
    spec = importlib.util.spec_from_file_location("async_vault", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "async_vault", module)
        spec.loader.exec_module(module)
        yield module


def sources(program: Any) -> list[str]:
    return [source.read_text("utf-8") for source in program.SOURCES]


def test_the_files_are_what_their_program_makes_of_the_vault(program: Any) -> None:
    for path, text in program.made(sources(program)).items():
        assert path.read_text("utf-8") == text, "run `python tools/async_vault.py`"


def test_control_a_change_of_the_vault_changes_the_twin(program: Any) -> None:
    now = sources(program)

    def changed(old: str, new: str) -> str:
        return "".join(program.made([source.replace(old, new) for source in now]).values())

    deep = changed("def stats(self)", "def stats(self, *, deep: bool)")
    assert "async def stats(self, *, deep: bool) -> Stats:" in deep
    assert "self._threads.run(self._vault.stats, deep=deep)" in deep
    assert "async def mend(" in changed("def repair(", "def mend(")
    assert "async def take_back(" in changed("def undo(", "def take_back(")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_awaited_with_the_same_signature_and_words(verb: str) -> None:
    one, other = getattr(Vault, verb), getattr(AsyncVault, verb)
    assert inspect.iscoroutinefunction(other)
    assert inspect.signature(one) == inspect.signature(other)
    assert inspect.getdoc(one) == inspect.getdoc(other)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_vault_is_made_with_the_same_arguments(maker: str) -> None:
    one, other = getattr(Vault, maker), getattr(AsyncVault, maker)
    parameters = inspect.signature(one).parameters
    assert list(parameters.values()) == list(inspect.signature(other).parameters.values())
    assert inspect.getdoc(one) == inspect.getdoc(other)


def test_it_has_no_other_public_methods() -> None:
    public = {name for name in dir(AsyncVault) if not name.startswith("_")}
    assert public == {*VERBS, *MAKERS, "aclose", "path", "id", "is_replica", "vault"}


def test_every_verb_does_what_the_vaults_does(tmp_path: Path) -> None:
    async def main(vault: AsyncVault) -> None:
        memory = await vault.remember("Ana is allergic to walnuts.", tags=["health"], speaker="Ana")
        assert isinstance(memory, Memory)
        assert len(await vault.remember_many([{"text": "one"}, {"text": "two"}])) == 2
        assert (await vault.recall("walnuts", limit=1))[0].memory == memory
        assert "walnuts" in (await vault.context("walnuts")).text
        assert await vault.get(memory.id) == memory
        assert await vault.resolve(memory.id[:8]) == memory.id
        changed = await vault.update(memory.id, "Ana is allergic to pecans.", speaker="Bo")
        assert (changed.text, changed.speaker) == ("Ana is allergic to pecans.", "Bo")
        assert len((await vault.list(limit=2)).memories) == 2
        assert [event.action for event in await vault.history(memory.id)] == ["remember", "update"]
        receipt = await vault.forget({"text": "one"}, level="hidden")
        assert (await vault.undo(receipt.op_id)).memories == receipt.memories
        assert await vault.namespaces() == ["default"]
        assert (await vault.stats()).memories == 3
        assert (await vault.export(tmp_path / "all.jsonl")).memories == 3
        assert (await vault.backup(tmp_path / "vault.haulout")).records
        assert (await vault.check()).sound
        assert await vault.rebuild() == 4
        assert await vault.catch_up() == 0

    during(main)


def test_every_verb_of_states_does_what_the_vaults_does() -> None:
    async def main(vault: AsyncVault) -> None:
        made = await vault.reserve("book", {"for": 2}, state="trips", key="k", cost={"eur": 5})
        assert made.fresh
        assert (await vault.recover("trips")).open == (made.intent,)
        assert (await vault.settle(made.intent.id, "done", state="trips", ref="4")).ref == "4"
        assert await vault.set_document("plan", [1], state="trips", expected=0) == 1
        assert (await vault.get_document("plan", state="trips")).value == [1]
        assert (await vault.limit_states("tr*", "eur/day", "9")).states == ("trips",)
        assert (await vault.pause_states("trips", why="so")).action == "pause"
        assert (await vault.show_state("trips")).halted_why == "so"
        assert (await vault.flatten_states("*")).states == ("trips",)
        assert (await vault.resume_states("trips")).states == ("trips",)
        last = (await vault.state_events("trips", after=1, limit=100))[-1]
        assert (last.kind, last.by) == ("override", "owner")
        assert await vault.states() == ["trips"]
        bot = await vault.state("trips", now=lambda: 5, patience=1.0)
        assert (bot.get("plan"), bot.now(), bot.patience) == ([1], 5, 1.0)

    during(main)


def test_it_is_opened_with_a_block_or_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        vault, kit = await AsyncVault.create(tmp_path / "vault", embedder="none")
        assert repr(vault) == f"<AsyncVault {tmp_path / 'vault'}>"
        await vault.remember("Kept.")
        await vault.backup(tmp_path / "backup")
        await vault.aclose()
        async with AsyncVault.open(tmp_path / "vault", embedder="none") as again:
            assert (await again.stats()).memories == 1
            assert (again.path, again.id) == (tmp_path / "vault", vault.id)
        async with await AsyncVault.open(tmp_path / "vault", embedder="none") as again:
            assert (await again.stats()).memories == 1
        restored = AsyncVault.restore(
            tmp_path / "backup", tmp_path / "other", kit=kit, embedder="none"
        )
        async with restored as other:
            assert (await other.recall())[0].memory.text == "Kept."

    asyncio.run(main())


def test_importing_haulout_loads_no_asyncio() -> None:
    assert haulout._HOMES["AsyncVault"] == "haulout.vault.asynchronous"


# --- errors and warnings ---------------------------------------------------------------------


def test_errors_cross_unchanged(tmp_path: Path) -> None:
    async def main(vault: AsyncVault) -> None:
        for call in (lambda v: v.get("0" * 26), lambda v: v.remember(""), lambda v: v.get("x")):
            with pytest.raises((NotFoundError, InputError)) as theirs:
                call(vault.vault)
            with pytest.raises(theirs.type) as ours:
                await call(vault)
            assert str(ours.value) == str(theirs.value)
        with pytest.raises(TypeError):
            await vault.remember("x", colour="red")  # pyright: ignore[reportCallIssue]
        with pytest.raises(VaultMissingError):
            await AsyncVault.open(tmp_path / "nothing")
        with pytest.raises(VaultMissingError):
            async with AsyncVault.open(tmp_path / "nothing"):
                pytest.fail("there is no vault")

    during(main)


class Broken:
    """An embedder that cannot."""

    model = "broken"

    def embed(self, _texts: Any) -> Any:
        raise ModelError("It broke.")


def test_warnings_cross() -> None:
    async def main() -> None:
        async with AsyncVault.ephemeral(embedder=Broken()) as vault:
            await vault.remember("Ana is allergic to walnuts.")
            with pytest.warns(WordsOnlyWarning, match="It broke"):
                assert await vault.recall("walnuts")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(WordsOnlyWarning):
                    await vault.recall("pecans")

    asyncio.run(main())


def test_a_call_that_raises_stop_iteration_does_not_hang() -> None:
    def items() -> Iterator[dict[str, Any]]:
        yield {"text": "one"}

    class Ends:
        def __iter__(self) -> Any:
            raise StopIteration

    async def main(vault: AsyncVault) -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await vault.remember_many(Ends())
        assert len(await vault.remember_many(items())) == 1

    during(main)


# --- the loop --------------------------------------------------------------------------------


async def beats_during(work: Coroutine[Any, Any, Any]) -> int:
    """How often the loop came round while some work was done.

    A count, and not the longest pause: a busy machine may stop any process for most of a second.
    """
    beats, over = 0, False

    async def beat() -> None:
        nonlocal beats
        while not over:
            await asyncio.sleep(0.002)
            beats += 1

    beating = asyncio.create_task(beat())
    await work
    over, counted = True, beats
    await beating
    return counted


ITEMS = [{"text": f"Fact number {n}: the cat sat on mat {n * 7}."} for n in range(4000)]


def test_the_loop_goes_on_while_an_import_runs(tmp_path: Path) -> None:
    async def main() -> None:
        vault, _ = await AsyncVault.create(tmp_path / "vault", embedder="none")
        async with vault:
            assert await beats_during(vault.remember_many(ITEMS)) >= 20  # 400 to 600 when idle

    asyncio.run(main())


def test_control_the_same_import_on_the_loop_itself_stops_it(tmp_path: Path) -> None:
    async def blocking(vault: Vault) -> None:
        await asyncio.sleep(0)
        vault.remember_many(ITEMS)

    async def main() -> None:
        vault, _ = await AsyncVault.create(tmp_path / "vault", embedder="none")
        async with vault:
            assert await beats_during(blocking(vault.vault)) <= 1

    asyncio.run(main())


def test_tasks_that_remember_at_once_share_a_commit(tmp_path: Path) -> None:
    batches: list[int] = []

    async def main() -> None:
        vault, _ = await AsyncVault.create(tmp_path / "vault", embedder="none")
        async with vault:
            database = vault.vault._parts.database
            commit, jobs = database._commit, database._jobs
            began, go_on = threading.Event(), threading.Event()

            def held(batch: list[Any]) -> None:
                began.set()
                assert go_on.wait(60)
                batches.append(len(batch))
                commit(batch)

            database._commit = held  # pyright: ignore[reportAttributeAccessIssue]
            first = asyncio.create_task(vault.remember("the first"))
            await until(began.is_set)
            tasks = [
                asyncio.create_task(vault.remember(f"number {n}")) for n in range(CALLS_AT_ONCE - 1)
            ]
            await until(lambda: jobs.qsize() == len(tasks))
            go_on.set()
            kept = await asyncio.gather(first, *tasks)
            assert len({memory.id for memory in kept}) == CALLS_AT_ONCE

    asyncio.run(main())
    assert batches == [1, CALLS_AT_ONCE - 1]


def test_progress_is_told_on_the_loop_in_order_and_before_the_call_returns() -> None:
    async def main(vault: AsyncVault) -> None:
        told: list[tuple[int, int | None]] = []
        home = threading.get_ident()

        def progress(done: int, total: int | None) -> None:
            assert threading.get_ident() == home
            told.append((done, total))

        await vault.remember_many(ITEMS[:1200], progress=progress)
        assert told == [(500, 1200), (1000, 1200), (1200, 1200)]

    during(main)


def test_an_error_of_progress_goes_to_the_loop_and_does_not_end_the_call() -> None:
    async def main(vault: AsyncVault) -> None:
        heard: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: heard.append(found))

        def progress(done: int, total: int | None) -> None:
            raise KeyError(done)

        assert len(await vault.remember_many([{"text": "one"}], progress=progress)) == 1
        assert isinstance(heard[0]["exception"], KeyError)

    during(main)


# --- cancelling and closing ------------------------------------------------------------------


def test_a_cancelled_write_may_be_kept_and_is_repeated_with_its_operation_id(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        vault, _ = await AsyncVault.create(tmp_path / "vault", embedder="none")
        gate = Gate("under way")
        task = asyncio.create_task(vault.remember_many(gate))
        await gate.until_reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.opened.set()
        await vault.aclose()  # waits for it
        async with AsyncVault.open(tmp_path / "vault", embedder="none") as vault:
            again = await vault.remember("under way", op_id="under way")
            assert not again.created
            assert (await vault.stats()).memories == 1

    asyncio.run(main())


def test_a_call_cancelled_before_it_has_a_thread_is_not_begun() -> None:
    async def main(vault: AsyncVault) -> None:
        gates = [Gate(f"gate {n}") for n in range(CALLS_AT_ONCE)]
        busy = [asyncio.create_task(vault.remember_many(gate)) for gate in gates]
        for gate in gates:
            await gate.until_reached()
        late = asyncio.create_task(vault.remember("never begun"))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        for gate in gates:
            gate.opened.set()
        await asyncio.gather(*busy)
        assert (await vault.stats()).memories == CALLS_AT_ONCE

    during(main)


def test_closing_waits_for_what_is_under_way_and_takes_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        vault, _ = await AsyncVault.create(tmp_path / "vault", embedder="none")
        gate = Gate("first", "second")
        writing = asyncio.create_task(vault.remember_many(gate))
        await gate.until_reached()
        closing = asyncio.create_task(vault.aclose())
        await asyncio.sleep(0)
        with pytest.raises(VaultClosedError, match="closed"):
            await vault.recall("first")
        closing.cancel()  # it goes on all the same
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert not writing.done()
        gate.opened.set()
        assert [memory.text for memory in await writing] == ["first", "second"]
        await vault.aclose()
        await vault.aclose()
        with pytest.raises(VaultClosedError):
            vault.vault.stats()
        async with AsyncVault.open(tmp_path / "vault", embedder="none") as again:
            assert (await again.stats()).memories == 2

    asyncio.run(main())


def test_what_a_cancelled_opening_opened_is_closed() -> None:
    reached, opened, closed = threading.Event(), threading.Event(), threading.Event()

    def opening() -> Vault:
        reached.set()
        assert opened.wait(60)
        return Vault.ephemeral()

    def close(vault: Vault) -> None:
        vault.close()
        closed.set()

    async def main() -> None:
        task = asyncio.create_task(made(opening, close))
        await until(reached.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        opened.set()

    asyncio.run(main())
    assert closed.wait(60)


def test_a_call_that_ends_after_its_loop_is_dropped_in_silence() -> None:
    gate, told = Gate("late"), []
    with Vault.ephemeral() as inner:

        async def main() -> None:
            vault = AsyncVault(inner)
            slow = vault.remember_many(gate, progress=lambda *a: told.append(a))
            task = asyncio.create_task(slow)
            await gate.until_reached()
            task.cancel()

        asyncio.run(main())
        written = threading.Event()
        gate.opened.set()
        while not inner.list().memories:
            written.wait(0.01)
    assert told == []


def test_a_forked_process_is_told_to_open_the_vault_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        threads = Threads()
        monkeypatch.setattr("os.getpid", lambda: -1)
        with pytest.raises(VaultClosedError, match="forked"):
            await threads.run(int)
        monkeypatch.undo()
        threads.leave()

    asyncio.run(main())
