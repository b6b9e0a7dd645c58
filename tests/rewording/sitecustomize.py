"""Other words for every message: code of ours that looks at them, and not at codes, fails.

With this folder on PYTHONPATH each Python imports this module when it starts, children too. It changes the source of the
three packages as they are imported: in each sentence every word of small letters is written backwards. Docstrings stay,
so do texts that code looks at (compared, searched), format specs, keys, and the words of others that `THEIRS` names.
The engine's Lua is changed likewise.

Tests compare texts in either words: `==`, `in`, `startswith` and their like see a word and its reverse as one. So a test
fails that sees another behaviour, and not one that expects a message. The rest is marked `wording`, and left out.

It imports nothing of ours: it is loaded before everything else.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.machinery
import marshal
import re
import sys
import tempfile
from collections.abc import Set, ValuesView
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

PACKAGES = ("luasprocs", "sync", "luasprocs_tui")
PLAIN = (
    *(
        "luasprocs.contract.keys",
        "luasprocs.contract.functions",
        "luasprocs.contract.records",
        "luasprocs.contract.page",
    ),
    *("luasprocs.worker.server_texts", "luasprocs.server.acl", "luasprocs.runtime.flags", "sync.demo_traffic"),
)
"""Modules without messages: documentation, lists of commands and events, sprocs, the server's texts."""
THEIRS = {
    *("Address already in use", "Timeout connecting", "closed by server", "reset by peer", "nesting depth"),
    *("certificate verify failed", "DB index is out of range", "max number of clients reached", "unction not found"),
    *("killed by user", "Script killed", "The user executing the script can't", "ACL failure in script"),
    *("Attempt to modify a readonly table", " has more than "),
    *("Host key verification failed", "Permission denied (", " (at end of document)"),
}
"""What servers, Lua, git, ssh and Python say, which code must look at; test_texts.py says in which modules."""
LOOKING = {
    *(
        "startswith",
        "endswith",
        "find",
        "index",
        "count",
        "partition",
        "split",
        "removeprefix",
        "removesuffix",
        "replace",
    ),
    *("compile", "match", "search", "fullmatch", "sub", "getattr", "cast", "TypeVar"),
}
COMPARING = {"startswith", "endswith", "count", "find", "index"}
VALUE = "\0"
"""Where an f-string has a value: a word beside it, a plural's, is only a part of one."""
STYLE = re.compile(r"((bold|dim|italic|reverse|underline|red|green|yellow|cyan|magenta|white|on|not) ?)+")
CODE = re.compile(r"%[^sdr]|\bfunction ?\(|\blocal [\w, ]+ = |\bthen\b")
"""Lua, and its patterns."""
WORD = re.compile(r"(?<![^\s(\"'`])[A-Za-z]?[a-z]+(?=[,;:.?!)\"'`…]*(?:\s|$))")
KEPT = {"luasprocs"}
FOLDER = Path(tempfile.gettempdir()) / "luasprocs-reworded"


def is_sentence(text: str) -> bool:
    return (
        len(WORD.findall(text)) > 1
        and "\n" not in text.rstrip("\n")
        and not (STYLE.fullmatch(text) or CODE.search(text))
    )


def backwards(word: str) -> str:
    return word[::-1].capitalize() if word[0].isupper() else word[::-1]


def reworded(text: str) -> str:
    return WORD.sub(lambda found: found[0] if found[0] in KEPT else backwards(found[0]), text)


class Rewording(ast.NodeTransformer):
    """Changes the sentences of a module."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and node.value not in THEIRS and is_sentence(node.value):
            return ast.copy_location(ast.Constant(reworded(node.value)), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        texts = [str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values]
        whole = "".join(texts)
        changed = filter(None, re.split(f"({VALUE})", reworded(whole) if is_sentence(whole) else whole))
        for part in node.values:
            text = next(changed)
            if isinstance(part, ast.FormattedValue):
                part.value = self.visit(part.value)  # not its format
            elif isinstance(part, ast.Constant):
                part.value = text
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.Compare:
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in LOOKING:
            node.func = self.visit(node.func)
            return node
        self.generic_visit(node)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        node.values = [self.visit(value) for value in node.values]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        node.value = self.visit(node.value)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value and not (isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"):
            node.value = self.visit(node.value)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        returns, node.returns = node.returns, None
        self.generic_visit(node)
        node.returns = returns
        return node


PLAIN_KINDS = ((list, list), (tuple, tuple), ((Set, set), set), (ValuesView, list))


def in_either_words(value: object) -> object:
    """Of a text, or of all texts in a container: each word or its reverse, whichever comes first."""
    if isinstance(value, str):
        return WORD.sub(lambda found: min(found[0], backwards(found[0])), value)
    if isinstance(value, bytes):
        return str(in_either_words(value.decode("latin-1"))).encode("latin-1")
    for kinds, plain in PLAIN_KINDS:
        if isinstance(value, kinds):
            return plain(map(in_either_words, value))
    if isinstance(value, dict):
        return {in_either_words(key): in_either_words(one) for key, one in value.items()}
    return value


def is_in(part: Any, whole: Any) -> bool:
    return part in whole or in_either_words(part) in in_either_words(whole)  # type: ignore[operator]


class Tolerating(ast.NodeTransformer):
    """Makes the comparisons of a test tolerate other words."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = called(is_in, node.left, *node.comparators)
            return found if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), found)
        if all(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            node.left, node.comparators = wrapped(node.left), [*map(wrapped, node.comparators)]
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in COMPARING:
            node.func.value, node.args = wrapped(node.func.value), [*map(wrapped, node.args)]
        return node


def wrapped(node: ast.expr) -> ast.expr:
    return called(in_either_words, node)


def called(function: Callable[..., object], *nodes: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name(function.__name__, ast.Load()), [*nodes], []), nodes[0])


LUA = re.compile(r"--[^\n]*|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"")


def reworded_lua(text: str) -> str:
    """A file of the engine: its texts in quotes, but patterns and what it compiles."""

    def one(found: re.Match[str]) -> str:
        quoted = found[0]
        if quoted.startswith("--") or quoted[1:-1] in THEIRS or not is_sentence(quoted[1:-1]):
            return quoted
        return quoted[0] + reworded(quoted[1:-1]) + quoted[-1]

    return LUA.sub(one, text)


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module in other words; the result is kept, as Python would keep it."""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        kept = (
            FOLDER
            / f"{hashlib.sha256(own_source() + fullname.encode() + source).hexdigest()}.{sys.implementation.cache_tag}"
        )
        try:
            code: CodeType = marshal.loads(kept.read_bytes())
        except (OSError, ValueError, EOFError, TypeError):
            code = compile(changed(fullname, ast.parse(source)), self.path, "exec", dont_inherit=True)
            keep(kept, marshal.dumps(code))
        return code

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if module.__name__ == "luasprocs.engine":
            plain: Callable[[str], str] = module.source
            module.source = cache(lambda name: reworded_lua(plain(name)))  # type: ignore[attr-defined]


def changed(name: str, tree: ast.Module) -> ast.Module:
    how = Tolerating() if name.startswith("tests") else Rewording()
    how.visit(tree)
    return ast.fix_missing_locations(tree)


@cache
def own_source() -> bytes:
    return Path(__file__).read_bytes()


def keep(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
    except OSError:
        return  # a process that may not write compiles for itself


class Finder:
    """Finds modules of ours as Python does, and has them changed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in {*PACKAGES, "tests"} or name in PLAIN:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(name, spec.loader.path)
        return spec


def install() -> None:
    for function in (in_either_words, is_in):
        setattr(builtins, function.__name__, function)
    sys.meta_path.insert(0, Finder)


if __name__ == "sitecustomize":
    install()
