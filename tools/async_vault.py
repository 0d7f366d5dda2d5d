"""Makes `AsyncVault` from `Vault`, so that the two cannot differ.

    python tools/async_vault.py           writes asynchronous.py, awaiting.py and awaitingstates.py
    python tools/async_vault.py --check   exits 1 where they are not what it would write

Every public method of `Vault` becomes an awaited one with the same arguments, types and words,
which runs the method on a thread (haulout/vault/threads.py). Nothing is written twice: to change
a verb, change `Vault` and run this. tests/vault/test_asynchronous.py fails until it was run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

VAULT = Path(__file__).resolve().parent.parent / "src" / "haulout" / "vault"
MODULES = (
    "vault",
    "openvault",
    "remembering",
    "recalling",
    "attaching",
    "keeping",
    "syncing",
    "onwalrus",
    "replicating",
    "stating",
)
SOURCES = tuple(VAULT / f"{name}.py" for name in MODULES)
TARGET, BASE = VAULT / "asynchronous.py", VAULT / "awaiting.py"
STATES_BASE = VAULT / "awaitingstates.py"
IN_TARGET = {"vault", "openvault", "remembering", "recalling"}
"""Whose verbs stand in asynchronous.py; those of others are in its bases: none gets too long."""
IN_STATES_BASE = {"stating"}
WIDTH = 100

HEAD = '''"""`AsyncVault`: `Vault` with every verb awaited, for programs with an event loop.

Made from the modules of `Vault` by tools/async_vault.py: change those, then run the program.
"""

# ruff: noqa: A002 - the words callers know

from __future__ import annotations

{imports}


class AsyncVault(Awaiting, AwaitingStates):
    """An open vault, as its owner, for asyncio: the verbs of `Vault`, awaited.

    ``async with AsyncVault.open() as vault:`` opens and closes it; ``await AsyncVault.open()``
    leaves the closing to you. Each call runs on a thread of the vault's own, at most {threads} at
    once, so that the event loop never waits for a disk; writes under way together share commits.
    Errors and warnings are those of `Vault`.

    Cancelling: a call that waits for a thread is not begun. One that runs goes on to its end and
    nobody hears of it, so a cancelled write may have been kept: give it an ``op_id`` and repeat
    it. What was returned was kept, as always. ``aclose`` waits for everything under way.

    ``progress`` is called on the event loop, in order, before the call returns; an error of it
    goes to the loop's exception handler. What is passed in, such as the items of
    `remember_many`, is read on the thread.
    """

    def __init__(self, vault: Vault) -> None:
        """Await the verbs of a vault that is open already; `aclose` closes it."""
        self._vault, self._threads = vault, Threads()

    @classmethod
    async def _opened(cls, call: Callable[[], Vault]) -> Self:
        return cls(await made(call, Vault.close))

    @property
    def vault(self) -> Vault:
        """The same vault with its verbs not awaited, for code that has a thread of its own."""
        return self._vault

    async def aclose(self) -> None:
        """Take no more calls, wait for those under way, and close. Closing twice is fine."""
        await self._threads.end(self._vault.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return repr(self._vault).replace("Vault", "AsyncVault", 1)
'''
BASE_HEAD = '''"""The verbs of `AsyncVault` beside remembering and recalling, awaited.

Made from the modules of `Vault` by tools/async_vault.py: change those, then run the program.
"""

# ruff: noqa: A002 - the words callers know

from __future__ import annotations

{imports}


class Awaiting:
    """Verbs of a vault, each run on one of its threads: a part of `AsyncVault`."""

    _vault: Vault
    _threads: Threads
'''
STATES_HEAD = (
    BASE_HEAD.replace(
        "The verbs of `AsyncVault` beside remembering and recalling", "The verbs of agent state"
    )
    .replace("class Awaiting:", "class AwaitingStates:")
    .replace("# ruff: noqa: A002 - the words callers know\n\n", "")
)
BASE_NEEDED = (
    ("haulout.vault.threads", "Threads"),
    ("haulout.vault.threads", "on_loop"),
    ("haulout.vault.vault", "Vault"),
)
NEEDED = (
    ("collections.abc", "Callable"),
    ("types", "TracebackType"),
    ("typing", "Self"),
    ("haulout.vault.threads", "Opening"),
    ("haulout.vault.threads", "Threads"),
    ("haulout.vault.threads", "made"),
    ("haulout.vault.threads", "on_loop"),
    ("haulout.vault.awaiting", "Awaiting"),
    ("haulout.vault.awaitingstates", "AwaitingStates"),
    ("haulout.vault.vault", "Vault"),
)
"""What the head uses, beside what the signatures name."""


@dataclass
class Imports:
    """The import lines of a module, each name with the module it comes from."""

    plain: set[str] = field(default_factory=set)
    named: dict[str, set[str]] = field(default_factory=dict)
    typing_only: dict[str, set[str]] = field(default_factory=dict)

    def take(self, name: str, found: dict[str, tuple[str | None, bool]]) -> None:
        """Take over the import that gives a name, if it is an import that does."""
        if name in found:
            module, typing_only = found[name]
            if module is None:
                self.plain.add(name)
            else:
                home = self.typing_only if typing_only else self.named
                home.setdefault(module, set()).add(name)

    def text(self) -> str:
        """All of them, in the order that ruff keeps."""
        if self.typing_only:
            self.named["typing"].add("TYPE_CHECKING")
        groups: list[list[str]] = [[], [], []]
        for name in sorted(self.plain):
            groups[_group(name)].append(f"import {name}")
        for module in sorted(self.named):
            groups[_group(module)].append(_import(module, self.named[module], ""))
        parts = ["\n".join(group) for group in groups if group]
        if self.typing_only:
            lines: dict[bool, list[str]] = {False: [], True: []}
            for module in sorted(self.typing_only):
                own = module.startswith("haulout")
                lines[own].append(_import(module, self.typing_only[module], "    "))
            inner = "\n\n".join("\n".join(group) for group in lines.values() if group)
            parts.append(f"if TYPE_CHECKING:\n{inner}")
        return "\n\n".join(parts)


def _group(module: str) -> int:
    top = module.partition(".")[0]
    return 2 if top == "haulout" else 0 if top in sys.stdlib_module_names else 1


def _isort_key(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _import(module: str, names: set[str], indent: str) -> str:
    ordered = sorted(names, key=_isort_key)
    line = f"{indent}from {module} import {', '.join(ordered)}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"{indent}    {name},\n" for name in ordered)
    return f"{indent}from {module} import (\n{inner}{indent})"


def wrapped(head: str, parts: list[str], tail: str, indent: str) -> str:
    """`head(parts)tail` in the formatter's style: one line, one line inside, or a line each."""
    flat = f"{indent}{head}({', '.join(parts)}){tail}"
    if len(flat) <= WIDTH or not parts:
        return flat
    inner = f"{indent}    {', '.join(parts)}"
    if len(inner) <= WIDTH and not any(part.startswith("**") for part in parts):
        return f"{indent}{head}(\n{inner}\n{indent}){tail}"
    lines = "".join(f"{indent}    {part},\n" for part in parts)
    return f"{indent}{head}(\n{lines}{indent}){tail}"


def imported(module: ast.Module) -> dict[str, tuple[str | None, bool]]:
    """Each imported name with its module (None for ``import x``), and whether for typing only."""
    found: dict[str, tuple[str | None, bool]] = {}
    for statement in module.body:
        only = isinstance(statement, ast.If)
        for node in statement.body if isinstance(statement, ast.If) else [statement]:
            if isinstance(node, ast.Import):
                found |= {alias.name: (None, only) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {alias.name: (node.module, only) for alias in node.names}
    return found


def public_methods(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """The public methods of the one class in a module of verbs, in order."""
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield member


@dataclass
class Verb:
    """One method of `Vault`, as text."""

    lines: list[bytes]
    node: ast.FunctionDef

    def _segment(self, node: ast.expr | ast.stmt) -> str:
        assert node.end_lineno is not None
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"\n".join(lines).decode()

    def _text(self, node: ast.expr) -> str:
        return re.sub(r"\s+", " ", self._segment(node))

    @property
    def decorators(self) -> set[str]:
        return {self._text(decorator) for decorator in self.node.decorator_list}

    @property
    def returns(self) -> str:
        assert self.node.returns is not None, f"{self.node.name} says not what it returns"
        return self._text(self.node.returns)

    @property
    def docstring(self) -> str:
        first = self.node.body[0]
        assert isinstance(first, ast.Expr), f"{self.node.name} has no docstring"
        return "        " + self._segment(first)

    def _argument(self, given: ast.arg, default: ast.expr | None) -> str:
        assert given.annotation is not None, f"{self.node.name}({given.arg}) has no type"
        end = "" if default is None else f" = {self._text(default)}"
        return f"{given.arg}: {self._text(given.annotation)}{end}"

    def parameters(self) -> list[str]:
        """The signature's parts, ``self`` first."""
        arguments = self.node.args
        bare = [None] * (len(arguments.args) - len(arguments.defaults))
        pairs = list(zip(arguments.args, [*bare, *arguments.defaults], strict=True))
        parts = [arguments.args[0].arg, *(self._argument(*pair) for pair in pairs[1:])]
        if arguments.kwonlyargs:
            parts.append("*")
            named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            parts += [self._argument(*pair) for pair in named]
        if arguments.kwarg:
            parts.append("**" + self._argument(arguments.kwarg, None))
        return parts

    def passed(self) -> list[str]:
        """The same arguments, handed on."""
        arguments = self.node.args
        parts = [given.arg for given in arguments.args[1:]]
        parts += [
            f"{given.arg}={f'on_loop({given.arg})' if given.arg == 'progress' else given.arg}"
            for given in arguments.kwonlyargs
        ]
        return [*parts, f"**{arguments.kwarg.arg}"] if arguments.kwarg else parts

    def names(self) -> set[str]:
        """Every name that the signature uses."""
        return {
            node.id
            for part in [self.node.args, self.node.returns]
            if part is not None
            for node in ast.walk(part)
            if isinstance(node, ast.Name)
        }

    def text(self) -> str:
        """The awaited method."""
        name = self.node.name
        if "property" in self.decorators:
            head = wrapped(f"def {name}", ["self"], f" -> {self.returns}:", "    ")
            return f"    @property\n{head}\n{self.docstring}\n        return self._vault.{name}\n"
        if "classmethod" in self.decorators:
            return self._maker()
        head = wrapped(f"async def {name}", self.parameters(), f" -> {self.returns}:", "    ")
        call = [f"self._vault.{name}", *self.passed()]
        body = wrapped("return await self._threads.run", call, "", "        ")
        return f"{head}\n{self.docstring}\n{body}\n"

    def _maker(self) -> str:
        """One that makes a vault: awaited with what comes beside it, or an `Opening`."""
        name = self.node.name
        made = wrapped(f"return Vault.{name}", self.passed(), "", " " * 12)
        call = f"\n        def call() -> {self.returns.replace('Self', 'Vault')}:\n{made}\n\n"
        if self.returns == "Self":
            head = wrapped(f"def {name}", self.parameters(), " -> Opening[Self]:", "    ")
            body = f"{call}        return Opening(lambda: cls._opened(call))\n"
        else:
            head = wrapped(f"async def {name}", self.parameters(), f" -> {self.returns}:", "    ")
            body = (
                f"{call}        vault, beside = await made(call, lambda pair: pair[0].close())\n"
                "        return cls(vault), beside\n"
            )
        return f"    @classmethod\n{head}\n{self.docstring}\n{body}"


def verbs_of(source: str, imports: Imports) -> Iterator[Verb]:
    """The verbs of one module, their imports taken over."""
    module = ast.parse(source)
    lines, found = source.encode().split(b"\n"), imported(module)
    for node in public_methods(module):
        if node.name != "close":
            verb = Verb(lines, node)
            for name in verb.names():
                imports.take(name, found)
            yield verb


def written(
    head: str, sources: Sequence[str], needed: Sequence[tuple[str, str]], **words: str
) -> str:
    """A module: its head, and the verbs of some modules awaited."""
    imports = Imports()
    verbs = [verb for source in sources for verb in verbs_of(source, imports)]
    text = "\n".join(verb.text() for verb in verbs)
    for home, name in needed:
        if name == "on_loop" and "on_loop(" not in text:
            continue
        imports.named.setdefault(home, set()).add(name)
    whole = head.format(imports=imports.text(), **words)
    return f"{whole}\n{text}".rstrip("\n") + "\n"


def made(sources: Sequence[str]) -> dict[Path, str]:
    """The texts of the two modules, for the texts of the modules that make up `Vault`."""
    threads = re.search(
        r"^CALLS_AT_ONCE = (\d+)$", (VAULT / "threads.py").read_text("utf-8"), re.MULTILINE
    )
    assert threads, "threads.py says not how many there are"
    pairs = list(zip(SOURCES, sources, strict=True))
    first = [text for path, text in pairs if path.stem in IN_TARGET]
    states = [text for path, text in pairs if path.stem in IN_STATES_BASE]
    others = [text for path, text in pairs if path.stem not in IN_TARGET | IN_STATES_BASE]
    return {
        TARGET: written(HEAD, first, NEEDED, threads=threads[1]),
        BASE: written(BASE_HEAD, others, BASE_NEEDED),
        STATES_BASE: written(STATES_HEAD, states, BASE_NEEDED),
    }


def main() -> int:
    """Write the files, or compare them."""
    texts = made([source.read_text("utf-8") for source in SOURCES])
    if sys.argv[1:] == ["--check"]:
        return any(path.read_text("utf-8") != text for path, text in texts.items())
    for path, text in texts.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
