"""Reads a source tree with `ast` and reports what breaks the rules of docs/architecture.md.

Each rule is a function from a `Tree` to a list of complaints, a complaint being one line that
starts with `path:line:`. Nothing here imports the code it reads, so a rule also sees imports
inside functions and under `TYPE_CHECKING`. Modules are named by their path inside the package:
`log.record`, `cli`, and `haulout` for the package's own `__init__.py`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

PACKAGE = "haulout"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DefinitionNode = FunctionNode | ast.ClassDef | ast.Module


class Import(NamedTuple):
    """One imported name: `from a.b import c` gives `target` "a.b.c", which may be no module."""

    target: str
    line: int


@dataclass(frozen=True)
class Module:
    name: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def unit(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[Import]:
        return [found for node in self.nodes for found in self._imports_of(node)]

    def at(self, line: int, text: str) -> str:
        return f"{self.path}:{line}: {text}"

    def _imports_of(self, node: ast.AST) -> Iterator[Import]:
        match node:
            case ast.Import(names):
                yield from (Import(name.name, node.lineno) for name in names)
            case ast.ImportFrom(module, names, level):
                base = self._absolute(module, level)
                yield from (
                    Import(base if name.name == "*" else f"{base}.{name.name}", node.lineno)
                    for name in names
                )
            case ast.Call(func, [ast.Constant(str(target)), *_]) if _is_import_call(func):
                yield Import(target, node.lineno)
            case _:
                pass

    def _absolute(self, module: str | None, level: int) -> str:
        if level == 0:
            return module or ""
        own = [PACKAGE] if self.name == PACKAGE else [PACKAGE, *self.name.split(".")]
        parent = own[: len(own) - level + self.is_package]
        return ".".join([*parent, module] if module else parent)


@dataclass(frozen=True)
class Tree:
    modules: dict[str, Module]

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> Tree:
        """Make a tree from `{"log/record.py": text}`; the controls plant their violations so."""
        found = (Module(_module_name(path), path, text) for path, text in sorted(sources.items()))
        return cls({module.name: module for module in found})

    @classmethod
    def read(cls, root: Path) -> Tree:
        paths = (path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
        return cls.of({p.relative_to(root).as_posix(): p.read_text("utf-8") for p in paths})

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def own_imports(self, module: Module) -> Iterator[tuple[str, int]]:
        """The modules of this package that one module imports, each with its line."""
        for target, line in module.imports:
            top, _, rest = target.partition(".")
            if top == PACKAGE:
                yield self._resolve(rest), line

    def _resolve(self, dotted: str) -> str:
        """`log.record.Record` is the module `log.record`; an unknown one stays as written."""
        if not dotted:
            return PACKAGE
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            if (name := ".".join(parts[:end])) in self.modules:
                return name
        return dotted


def _module_name(path: str) -> str:
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or PACKAGE


def _is_import_call(func: ast.expr) -> bool:
    return dotted_name(func) in {"__import__", "import_module", "importlib.import_module"}


def dotted_name(node: ast.expr) -> str:
    """`os.environ.get` for that expression; a part that is no plain name becomes empty."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, attribute):
            return f"{dotted_name(value)}.{attribute}"
        case _:
            return ""


# --- who may import whom -------------------------------------------------------------------


def layer_breaches(
    tree: Tree, layers: Mapping[str, Collection[str]], common: Collection[str]
) -> Iterator[str]:
    """An entry `log` allows the unit, an entry `log.record` that one module of it."""
    for module in tree:
        if module.unit not in layers:
            yield module.at(1, f"the unit `{module.unit}` stands in no row of the layer table")
            continue
        for target, line in tree.own_imports(module):
            unit = target.partition(".")[0]
            if unit == module.unit or unit in common:
                continue
            if not any(_within(target, entry) for entry in layers[module.unit]):
                yield module.at(line, f"`{module.unit}` may not import `{target}`")


def hidden_imports(tree: Tree, allowed: Collection[str]) -> Iterator[str]:
    """An import whose target is computed cannot be checked, so few may make one."""
    for module in tree:
        for node in module.nodes:
            match node:
                case ast.Call(func, [first, *_]) if _is_import_call(func):
                    if not isinstance(first, ast.Constant) and module.unit not in allowed:
                        yield module.at(node.lineno, "imports a module whose name is computed")
                case _:
                    pass


def module_cycles(tree: Tree) -> Iterator[str]:
    graph = {m.name: {t for t, _ in tree.own_imports(m)} - {m.name} for m in tree}
    for cycle in _cycles(graph):
        yield tree.modules[cycle[0]].at(1, f"import cycle between modules: {' → '.join(cycle)}")


def unit_cycles(tree: Tree) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for module in tree:
        units = {target.partition(".")[0] for target, _ in tree.own_imports(module)}
        graph.setdefault(module.unit, set()).update(units - {module.unit})
    for cycle in _cycles(graph):
        yield f"{cycle[0]}:1: import cycle between units: {' → '.join(cycle)}"


def _cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """One closed path for each node that can reach itself, each set of nodes named once."""
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(graph):
        path = _path_back(graph, start)
        if path:
            found.setdefault(frozenset(path), path)
    return list(found.values())


def _path_back(graph: Mapping[str, set[str]], start: str) -> list[str]:
    came_from: dict[str, str] = {}
    queue = [start]
    for node in queue:
        for following in sorted(graph.get(node, ())):
            if following == start:
                path = [start, node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if following not in came_from:
                came_from[following] = node
                queue.append(following)
    return []


def undeclared_imports(
    tree: Tree, declared: Collection[str], distributions_of: Callable[[str], Collection[str]]
) -> Iterator[str]:
    """Third-party imports whose distribution pyproject.toml does not name."""
    for module, name, line in _foreign_imports(tree):
        if not set(distributions_of(name)) & set(declared):
            yield module.at(line, f"imports `{name}`, which pyproject.toml does not declare")


def strayed_imports(tree: Tree, owners: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Imports of an owned third-party package outside the modules that own it."""
    for module, name, line in _foreign_imports(tree):
        if name in owners and not any(_within(module.name, owner) for owner in owners[name]):
            yield module.at(line, f"only {', '.join(sorted(owners[name]))} may import `{name}`")


def _foreign_imports(tree: Tree) -> Iterator[tuple[Module, str, int]]:
    for module in tree:
        for target, line in module.imports:
            top = target.partition(".")[0]
            if top != PACKAGE and top not in sys.stdlib_module_names:
                yield module, top, line


def _within(name: str, entry: str) -> bool:
    return name == entry or name.startswith(f"{entry}.")


# --- what a module may do ------------------------------------------------------------------

IO_MODULES = frozenset(
    """
    apsw asyncio dbm fcntl fileinput ftplib getpass glob http httpx importlib io keyring
    linecache logging mmap multiprocessing obstore os pathlib platform pty random requests
    secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl
    subprocess tempfile termios time urllib urllib3 uuid webbrowser
    """.split()  # noqa: SIM905 - 44 names read better as four lines
)
"""Modules that reach the disk, the network, the clock, the host or a source of randomness."""

IO_CALLS = re.compile(
    r"""(open | print | input | breakpoint
    | (\w+\.)*(datetime|date)\.(now|today|utcnow)       # the clock
    | (np|numpy)\.(load\w*|save\w*|fromfile|memmap|random(\.\w+)+)
    | (\w+\.)*(generate_key|\w+PrivateKey\.generate)    # randomness is an argument
    )""",
    re.VERBOSE,
)


def impure_modules(
    tree: Tree, pure: Collection[str], except_for: Collection[str] = ()
) -> Iterator[str]:
    """What the pure modules, and all they import of this package, do beside computing."""
    reached_from: dict[str, str] = {
        module.name: module.name
        for module in tree
        if any(_within(module.name, entry) for entry in pure)
        and not any(_within(module.name, entry) for entry in except_for)
    }
    queue = list(reached_from)
    for name in queue:
        for target, _ in tree.own_imports(tree.modules[name]):
            if target in tree.modules and target not in reached_from:
                reached_from[target] = name
                queue.append(target)
    for name, importer in reached_from.items():
        via = "" if name == importer else f" (imported by the pure module `{importer}`)"
        yield from (f"{complaint}{via}" for complaint in _outward_acts(tree.modules[name]))


def _outward_acts(module: Module) -> Iterator[str]:
    for target, line in module.imports:
        if target.partition(".")[0] in IO_MODULES:
            yield module.at(line, f"a pure module may not import `{target}`")
    for node in module.nodes:
        if isinstance(node, ast.Call) and IO_CALLS.fullmatch(name := dotted_name(node.func)):
            yield module.at(node.lineno, f"a pure module may not call `{name}()`")


def environment_reads(tree: Tree, edges: Collection[str]) -> Iterator[str]:
    """Reads of the environment, the home folder included, outside the process edges."""
    for module in tree:
        if any(_within(module.name, edge) for edge in edges):
            continue
        for target, line in module.imports:
            if re.fullmatch(r"os\.(environb?|getenvb?)|dotenv(\..*)?", target):
                yield module.at(line, f"imports `{target}`")
        for node in module.nodes:
            match node:
                case ast.Attribute(ast.Name("os"), attribute) if attribute in {
                    "environ", "environb", "getenv", "getenvb", "putenv", "unsetenv",
                }:  # fmt: skip
                    yield module.at(node.lineno, f"touches `os.{attribute}`")
                case ast.Attribute(_, ("expanduser" | "expandvars") as attribute):
                    yield module.at(node.lineno, f"reads the environment by `{attribute}`")
                case ast.Attribute(ast.Name("Path"), "home"):
                    yield module.at(node.lineno, "reads the environment by `Path.home`")
                case _:
                    pass


def broad_excepts(tree: Tree, edges: Collection[str]) -> Iterator[str]:
    """Handlers that catch every error and keep it: bare, `Exception`, `BaseException`.

    One whose last statement is a bare `raise` hands the error on and passes.
    """
    for module in tree:
        if module.name not in edges:
            for line, names in _catches(module):
                yield from (module.at(line, f"catches `{name}`") for name in sorted(names & BROAD))


BROAD = frozenset({"everything", Exception.__name__, BaseException.__name__})


def _catches(module: Module) -> Iterator[tuple[int, set[str]]]:
    for node in module.nodes:
        match node:
            case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
                pass  # it cleans up and hands the error on
            case ast.ExceptHandler(type=None):
                yield node.lineno, {"everything"}
            case ast.ExceptHandler(type=ast.Tuple(names)):
                yield node.lineno, _last_names(names)
            case ast.ExceptHandler(type=ast.expr() as name):
                yield node.lineno, _last_names([name])
            case ast.Call(func, names) if "suppress" in _last_names([func]):
                yield node.lineno, _last_names(names)
            case _:
                pass


def _last_names(names: Iterable[ast.expr]) -> set[str]:
    return {dotted_name(name).rpartition(".")[2] for name in names}


# --- how it is written ---------------------------------------------------------------------


def long_functions(tree: Tree, limit: int) -> Iterator[str]:
    """Functions over the limit, from `def` to the last line, docstrings not counted."""
    for module in tree:
        for node in module.nodes:
            if isinstance(node, FunctionNode):
                inner = (n for n in ast.walk(node) if isinstance(n, DefinitionNode))
                length = _lines(node) - sum(_docstring_lines(n) for n in inner)
                if length > limit:
                    yield module.at(node.lineno, f"`{node.name}` has {length} lines, over {limit}")


def _docstring_lines(node: DefinitionNode) -> int:
    return _lines(node.body[0]) if ast.get_docstring(node, clean=False) is not None else 0


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def long_modules(tree: Tree, limit: int) -> Iterator[str]:
    for module in tree:
        if (length := len(module.text.splitlines())) > limit:
            yield module.at(length, f"has {length} lines, over {limit}")


EMPTY_NAMES = re.compile(r"(utils?|core|helpers?|managers?|common|misc)", re.IGNORECASE)
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def empty_names(tree: Tree) -> Iterator[str]:
    """Folders, modules and classes named after a kind of code instead of a thing."""
    for module in tree:
        words = re.split(r"[._]", module.name)
        yield from (module.at(1, f"is named `{w}`") for w in words if EMPTY_NAMES.fullmatch(w))
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                last = re.findall(r"[A-Z][a-z0-9]*", node.name)[-1:]
                if last and EMPTY_NAMES.fullmatch(last[0]):
                    yield module.at(node.lineno, f"`{node.name}` is named after no thing")


def left_marks(tree: Tree) -> Iterator[str]:
    for module in tree:
        for number, line in enumerate(module.text.splitlines(), 1):
            if mark := MARKS.search(line):
                yield module.at(number, f"left a {mark[0]}")


def undocumented(names: Iterable[str], values: Mapping[str, object]) -> Iterator[str]:
    """Public names, and the public methods of public classes, without words of their own."""
    for name in names:
        value = values[name]
        if not (callable(value) or isinstance(value, type)):
            continue
        if not _has_own_docstring(value, name):
            yield f"{name}:1: `{name}` has no docstring"
        if isinstance(value, type):
            for method, member in vars(value).items():
                inner = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if method.startswith("_") or not hasattr(inner, "__code__"):
                    continue
                if not _has_own_docstring(inner, method):
                    yield f"{name}:1: `{name}.{method}` has no docstring"


def _has_own_docstring(value: object, name: str) -> bool:
    text = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
    return bool(text) and not str(text).startswith(f"{name}(")  # a dataclass writes that itself
