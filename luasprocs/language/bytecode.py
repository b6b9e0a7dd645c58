"""Finds the globals, commands, libraries and sprocs used in what Lua 5.1's `string.dump` writes. Pure.

Instructions: `lopcodes.h` of Lua 5.1.5.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.chunk import read_chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from luasprocs.language.chunk import Bytecode, Prototype

MOVE, LOADK, GETUPVAL, GETGLOBAL, GETTABLE, SETGLOBAL, SETUPVAL = 0, 1, 4, 5, 6, 7, 8
SETTABLE = 9
CALL, TAILCALL, SETLIST, CLOSURE = 28, 29, 34, 36
_TESTS = frozenset({23, 26, 27})  # EQ, TEST, TESTSET
_FINDS = frozenset({MOVE, GETUPVAL, GETGLOBAL, GETTABLE, SETGLOBAL, SETTABLE, CALL, TAILCALL})
_BRANCHES = frozenset({22, 23, 24, 25, 26, 27, 31, 32, 33})  # JMP, comparisons, tests, loops
_NO_TARGET = frozenset({7, 8, 9, 22, 23, 24, 25, 26, 30, 35})  # their A is no register that they write
_CALLS = {
    **{(table, field): "command" for table in ("redis", "server") for field in ("call", "pcall")},
    **{("sproc", field): field for field in ("call", "enqueue")},
}
_WRITERS = frozenset({"rawset", "setmetatable", "table.insert"})
"""Functions that write into their first argument."""
CONSTANT_BIT = 256  # a register number with this bit names a constant

_WRITER_NAMES = frozenset({b"rawset", b"setmetatable", b"insert"})
_HANDED = "redis"
_LISTS = ("KEYS", "ARGV")
_NAMES_HANDED = frozenset({"KEYS", "ARGV", "sproc", "require", "redis"})
"""What an upvalue of that name is; others are the source's own locals."""


class Use(NamedTuple):
    """A name in the bytecode: `what` is "read" or "write" (a global), "field" (written into one), "member" (taken from `redis`),
    "command", "require", "call" or "enqueue" (a sproc), "zeroth" (element 0 of KEYS or ARGV) or "whole" (given to a command).

    `detail` is, of a global read, a field or a member, the field; of a global written, "function" if it becomes one; of a
    command, the next word.
    """

    what: str
    name: str
    line: int
    detail: str = ""


def uses_of(chunk: bytes, names: tuple[str, ...]) -> Iterator[Use]:
    """The uses in a dumped chunk whose first statement makes locals of these names."""
    main = read_chunk(chunk)
    functions = list(main.walk())
    # An upvalue `redis` is the one that is handed over, unless there is another local of that name.
    sole = sum(function.locals.count(_HANDED.encode()) for function in functions) < 2
    each = [(function.lines, _named_in(function.code, names if function is main else ())) for function in functions]
    tested = frozenset(one for _, (_, fields) in each for one in fields)
    others = _other_lists(functions, [use for _, (found, _) in each for use in found])
    for lines, (found, _) in each:
        for what, name, at, detail in found:
            if what in {"zeroth", "whole"} and name in others:
                continue
            own = not sole and name == _HANDED and what in {"member", "field"}
            known = not own and (what != "member" or (name, detail) not in tested)
            if what == "read" and (name, detail) in tested:
                yield Use(what, name, lines[at])
            elif known:
                yield Use(what, name, lines[at], detail)


def _other_lists(functions: Sequence[Prototype], found: Iterable[Use]) -> set[str]:
    """Those of KEYS and ARGV that may be others than the caller's: assigned, declared again, or written into."""
    written = {use.name for use in found if use.what == "field"}
    for code in (one.code for one in functions):
        for at, word in enumerate(code.words):
            if word & 63 == SETUPVAL and not _is_number(code, at):
                written.add(code.upvalues[code.step(at).b].decode("utf-8", "replace"))
    registers = set(_assigned(functions[0]))
    for at, name in enumerate(_LISTS):
        if at in registers or sum(function.locals.count(name.encode()) for function in functions) > 1:
            written.add(name)
    return written.intersection(_LISTS)


def _assigned(main: Prototype) -> Iterator[int]:
    """The registers that the main function writes behind its first instruction, which takes what is handed over."""
    at = 1
    while at < len(main.code.words):
        if _is_number(main.code, at):
            at += 1
            continue
        step = main.code.step(at)
        if step.op not in _NO_TARGET:
            yield step.a
        # Behind a closure stand the registers that it captures, as if they were instructions.
        at += 1 + (len(main.nested[step.bx].code.upvalues) if step.op == CLOSURE else 0)


@lru_cache(maxsize=1024)  # while somebody types all functions but one stay as they are
def _named_in(code: Bytecode, names: tuple[str, ...]) -> tuple[tuple[Use, ...], tuple[tuple[str, str], ...]]:
    """The uses in a function, each with the number of its instruction as `line`; and the fields that it tests."""
    return tuple(_uses_in(code, names)), tuple(_tested(code, names))


def _tested(function: Bytecode, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Fields that the source looks whether they are there, as in `table.unpack or unpack`."""
    for at in range(1, len(function.words) - 1):
        if function.words[at] & 63 != GETTABLE or function.words[at + 1] & 63 not in _TESTS:
            continue
        step, after = function.step(at), function.step(at + 1)
        if step.a in {after.a, after.b, after.c}:
            yield _name_in(function, at - 1, step.b, names), _field(function, at, step.b)


def _uses_in(function: Bytecode, names: tuple[str, ...]) -> Iterator[Use]:
    writes = not _WRITER_NAMES.isdisjoint(function.constants)
    for at, word in enumerate(function.words):
        if word & 63 not in _FINDS or _is_number(function, at):
            continue
        step, line = function.step(at), at
        if step.op == SETGLOBAL:
            yield Use("write", _name(function, step.bx), line, "function" if _is_closure(function, at) else "")
        elif step.op == GETGLOBAL:
            yield Use("read", _name(function, step.bx), line, _field(function, at + 1, step.a))
        elif step.op == SETTABLE:
            if table := _table_in(function, at, step.a, names):
                field = _name(function, step.b - CONSTANT_BIT) if step.b & CONSTANT_BIT else ""
                yield Use("field", table, line, field)
        elif step.op == GETTABLE:
            yield from _taken(function, at, names)
        elif step.op in {CALL, TAILCALL} and writes:
            yield from _written_by(function, at, names)
        elif _name_in(function, at, step.a, names) == "require":
            yield from _call_of(function, at + 1, step.a, "require")


def _taken(function: Bytecode, at: int, names: tuple[str, ...]) -> Iterator[Use]:
    """The use of what the instruction at `at` takes from a table."""
    step = function.step(at)
    table, field = _name_in(function, at - 1, step.b, names), _field(function, at, step.b)
    if what := _CALLS.get((table, field)):
        yield from _call_of(function, at + 1, step.a, what)
        if what == "command":
            yield from _lists_given(function, at + 1, step.a, names)
    elif table in _LISTS and step.c & CONSTANT_BIT and function.constants[step.c - CONSTANT_BIT] == 0.0:
        yield Use("zeroth", table, at)
    elif table == _HANDED and field and not _is_global(function, at - 1, step.b, names):
        yield Use("member", table, at, field)


def _written_by(function: Bytecode, at: int, names: tuple[str, ...]) -> Iterator[Use]:
    """The use, if the call at `at` writes into a table whose name one can tell, as `rawset(_G, 'x', 1)` does."""
    register = function.step(at).a
    called = _origin(function, at, register, names)
    if called in _WRITERS and (table := _origin(function, at, register + 1, names)):
        field = _literal(function, at, register + 2) if called == "rawset" else ""
        yield Use("field", table, at, field)


def _origin(function: Bytecode, at: int, register: int, names: tuple[str, ...]) -> str:
    """The global in a register when the instruction at `at` runs, or a field as `table.insert`; "" if one can't tell."""
    if register < len(names):
        return names[register]
    before = _loaded(function, at, register)
    step = function.step(before) if before >= 0 else None
    if step is None:
        return ""
    if step.op == MOVE:
        return _origin(function, before, step.b, names)
    if step.op != GETTABLE:
        return _name_in(function, before, register, names)
    table, field = _origin(function, before, step.b, names), _field(function, before, step.b)
    return field if table == "_G" else f"{table}.{field}"


def _literal(function: Bytecode, at: int, register: int) -> str:
    before = _loaded(function, at, register)
    step = function.step(before) if before >= 0 else None
    return _name(function, step.bx) if step is not None and step.op == LOADK else ""


def _loaded(function: Bytecode, at: int, register: int) -> int:
    """Where the register was written last before `at`; -1 if nowhere."""
    for before in range(at - 1, -1, -1):
        step = function.step(before)
        if step.a == register and step.op not in _NO_TARGET and not _is_number(function, before):
            return before
    return -1


def _is_number(function: Bytecode, at: int) -> bool:
    """Whether this is no instruction, but a number too large for the SETLIST before it."""
    return at > 0 and function.words[at - 1] & 63 == SETLIST and function.step(at - 1).c == 0


def _field(function: Bytecode, at: int, register: int) -> str:
    """The literal field that an instruction takes from the table in a register, or nothing."""
    step = function.step(at)
    taken = step.op == GETTABLE and step.b == register and step.c & CONSTANT_BIT
    return _name(function, step.c - CONSTANT_BIT) if taken else ""


def _name_in(function: Bytecode, at: int, register: int, names: tuple[str, ...]) -> str:
    """The name of what is in a register: of a first local, or of what the instruction at `at` loads there."""
    if register < len(names):
        return names[register]
    load = function.step(at)
    if load.a != register:
        return ""
    if load.op == MOVE and load.b < len(names):
        return names[load.b]
    if load.op == GETUPVAL:
        name = function.upvalues[load.b].decode("utf-8", "surrogateescape")
        return name if name in _NAMES_HANDED else ""
    return _name(function, load.bx) if load.op == GETGLOBAL else ""


def _is_global(function: Bytecode, at: int, register: int, names: tuple[str, ...]) -> bool:
    return register >= len(names) and function.step(at).op == GETGLOBAL


def _table_in(function: Bytecode, at: int, register: int, names: tuple[str, ...]) -> str:
    """The name of the global, or first local, that is in a register when the instruction at `at` runs, as far as one can tell."""
    if register < len(names):
        return names[register]
    before = _loaded(function, at, register)
    loads = before >= 0 and function.step(before).op in {MOVE, GETUPVAL, GETGLOBAL}
    return _name_in(function, before, register, names) if loads else ""


def _call_of(function: Bytecode, at: int, register: int, what: str) -> Iterator[Use]:
    """The use, if what is in a register is called with a literal that the instruction at `at` loads."""
    load = function.step(at)
    literal = _name(function, load.bx) if load.op == LOADK and load.a == register + 1 else ""
    after = function.step(at + 1)
    second = _name(function, after.bx) if after.op == LOADK and after.a == register + 2 else ""
    for later in range(at + (2 if second else 1), len(function.words) if literal else 0):
        step = function.step(later)
        if step.op in {CALL, TAILCALL} and step.a == register:
            yield Use(what, literal, at, second if what == "command" else "")
            return
        if step.op not in _NO_TARGET and step.a == register + 2:
            second = ""
        if step.op not in _NO_TARGET and step.a in {register, register + 1}:
            return  # something else becomes of the literal, as in redis.call('S' .. 'ET')


def _lists_given(function: Bytecode, at: int, register: int, names: tuple[str, ...]) -> Iterator[Use]:
    """KEYS or ARGV as a whole among the arguments of the function in a register, which is called behind `at`."""
    held: dict[int, Use] = {}
    for later in range(at, len(function.words)):
        step = function.step(later)
        if step.op in _BRANCHES or _is_number(function, later):
            return  # then one can't tell by what stands here
        if step.op in {CALL, TAILCALL} and step.a == register:
            yield from (use for place, use in held.items() if not step.b or place < register + step.b)
            return
        if step.op in _NO_TARGET:
            continue
        # What a call or a load leaves above its own register is gone, too: registers are a stack.
        held = {place: use for place, use in held.items() if place < step.a}
        name = _name_in(function, later, step.a, names) if step.op in {MOVE, GETUPVAL} else ""
        if name in _LISTS and step.a > register:
            held[step.a] = Use("whole", name, later)


def _is_closure(function: Bytecode, at: int) -> bool:
    """Whether what an instruction writes was made by `function … end` just before."""
    register, before = function.step(at).a, at - 1
    while before > 0 and function.step(before).op in {MOVE, GETUPVAL}:  # what the closure captures
        before -= 1
    made = function.step(before) if before >= 0 else None
    return made is not None and made.op == CLOSURE and made.a == register


def _name(function: Bytecode, constant: int) -> str:
    value = function.constants[constant]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""
