"""Where a source gets functions that read and set its locals, since the server's debugger can't. Pure.

Behind each `local`, and where a function or a loop begins, stands a site: a local function that knows the names which are new
there, and the site before it. Each has a line of its own, unless more code stands on the source's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.places import LINE_END
from luasprocs.language.tokens import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(
    r"""--\[(?P<comment>=*+)\[ (?s:.*?) \](?P=comment)\] | --[^\r\n]*+
    | (?P<string> \[(?P<level>=*+)\[ (?s:.*?) \](?P=level)\] | "(?:\\(?s:.)|[^"\\])*+" | '(?:\\(?s:.)|[^'\\])*+' )
    | (?P<number> \.?[0-9][0-9.]*+ (?:[eE][+-]?)? [A-Za-z0-9_]*+ )
    | (?P<name> [A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<sign> \.\.\.|\.\.|[=~<>]=|[-+*/%^\#<>=(){}\[\];:,.] )""",
    re.VERBOSE,
)
_CLOSING = frozenset({"end", "else", "elseif", "until", ""})
_UNARY = frozenset({"-", "not", "#"})
_BINARY = frozenset(["+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", ">", "<=", ">=", "and", "or"])
_EVERY, _FUNCTIONS = 2, 1
LEVELS = (_EVERY, _FUNCTIONS)
"""Which sites are made beside the first: with all of them a source may have more locals or upvalues than Lua allows."""
GIVEN, GIVEN_SET = ("KEYS", "ARGV", "sproc", "require", "redis"), ("KEYS", "ARGV")
"""What a source's first site reads and sets: what every sproc is handed."""


class Site(NamedTuple):
    """`at`: the place in the source; `before`: the site whose names are there, too, 0 for none; `function`: the one it is in.

    `outer`: how many of the names, the first ones, are locals of the function around; `apart`: it has a line of its own.
    """

    number: int
    at: int
    names: Sequence[str]
    before: int
    function: int
    outer: int = 0
    apart: bool = True


class SiteFinder:
    """Reads a source that compiles; `sites` are numbered from `first`."""

    def __init__(self, text: str, first: Site, level: int) -> None:
        found = [one for one in _TOKEN.finditer(text) if one.lastgroup in {"string", "number", "name", "sign"}]
        self._kinds = [str(one.lastgroup) for one in found] + [""]
        self._words = [one[0] for one in found] + [""]
        self._spans = [one.span() for one in found]
        self._text, self._level = text, level
        self._at = self._functions = self._function = 0
        self.sites = [first]
        self._block(first.number)

    @property
    def _word(self) -> str:
        """The next token, if it is a word of the language or a sign."""
        kind = self._kinds[self._at]
        return self._words[self._at] if kind == "sign" or self._words[self._at] in KEYWORDS or not kind else kind

    def _take(self, *words: str) -> str:
        """The next token as it is written; `words`: only if it is one of these."""
        if words and self._word not in words:
            return ""
        self._at += 1
        return self._words[self._at - 1]

    def _mark(self, before: int, names: Sequence[str], *, outer: int = 0, least: int = _EVERY) -> int:
        """A site behind the token that was taken last. Its number; that of the one before, if it is left out."""
        if self._level < least:
            return before
        end = self._spans[self._at - 1][1]
        following = self._at + (self._word == ";")
        start = self._spans[following][0] if following < len(self._spans) else len(self._text)
        apart = start == len(self._text) or bool(LINE_END.search(self._text, end, start))
        number = self.sites[-1].number + 1
        self.sites.append(Site(number, end, names, before, self._function, outer, apart))
        return number

    def _names(self) -> list[str]:
        names = [self._take()]
        while self._take(","):
            names.append(self._take())
        return names

    def _block(self, site: int) -> int:
        while self._word not in _CLOSING:
            site = self._statement(site)
        return site

    def _statement(self, site: int) -> int:
        match self._word:
            case "local":
                site = self._local(site)
            case "if" | "while" | "do" | "for" | "repeat":
                self._compound(site)
            case "function":
                self._take()
                self._names_of_function(site)
            case "return":
                self._take()
                if self._word not in _CLOSING | {";"}:
                    self._expressions(site)
            case "break":
                self._take()
            case _:
                self._expressions(site)
                if self._take("="):
                    self._expressions(site)
        self._take(";")
        return site

    def _local(self, site: int) -> int:
        self._take()
        if self._take("function"):
            name = self._take()
            self._body(site, [name], outer=1)
            return self._mark(site, [name])
        names = self._names()
        if self._take("="):
            self._expressions(site)
        return self._mark(site, names)

    def _compound(self, site: int) -> None:
        word = self._take()
        if word == "repeat":
            inner = self._block(site)
            self._take()
            self._expression(inner)
            return
        if word == "for":
            names = self._names()
            self._take()  # = or in
            self._expressions(site)
            self._take()
            self._block(self._mark(site, names))
        else:
            if word != "do":
                self._expression(site)
                self._take()  # then or do
            self._block(site)
            while self._take("elseif", "else"):
                if self._words[self._at - 1] == "elseif":
                    self._expression(site)
                    self._take()
                self._block(site)
        self._take()  # end

    def _names_of_function(self, site: int) -> None:
        self._take()
        method = False
        while sign := self._take(".", ":"):
            method = sign == ":"
            self._take()
        self._body(site, ["self"] if method else [])

    def _body(self, site: int, names: list[str], *, outer: int = 0) -> None:
        """From a function's parameters to its end."""
        around, self._functions = self._function, self._functions + 1
        self._function = self._functions
        self._take()
        while self._word != ")":
            if (name := self._take()) != ",":
                names.append("arg" if name == "..." else name)  # as Lua 5.1 makes it
        self._take()
        self._block(self._mark(site, names, outer=outer, least=_FUNCTIONS))
        self._take()
        self._function = around

    def _expressions(self, site: int) -> None:
        self._expression(site)
        while self._take(","):
            self._expression(site)

    def _expression(self, site: int) -> None:
        while True:
            while self._take(*_UNARY):
                pass
            self._operand(site)
            if not self._take(*_BINARY):
                return

    def _operand(self, site: int) -> None:
        match self._word:
            case "{":
                self._inside(site, "}")
            case "function":
                self._take()
                self._body(site, [])
            case "(":
                self._inside(site, ")")
                self._suffixes(site)
            case "name":
                self._take()
                self._suffixes(site)
            case _:
                self._take()

    def _suffixes(self, site: int) -> None:
        while word := self._word:
            if word in {".", ":"}:
                self._take()
                self._take()
            elif word in {"(", "[", "{"}:
                self._inside(site, {"(": ")", "[": "]", "{": "}"}[word])
            elif word == "string":
                self._take()
            else:
                return

    def _inside(self, site: int, end: str) -> None:
        """What stands in parentheses of any kind: expressions between signs."""
        self._take()
        signs = {",", ";", "=", "[", "]"} - {end}
        while self._word != end:
            if not self._take(*signs):
                self._expression(site)
        self._take()
