"""What a cron expression may be: what the library `cronsim` accepts, without importing it, in cronie's meaning. Pure."""

from __future__ import annotations

import re

from luasprocs.language.values import plain_duration, shown

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LIMIT_CHARS = 200
_DAY_OF_MONTH, _DAY_OF_WEEK = "day of month", "day of week"
_FIELDS = {
    "second": range(60),
    "minute": range(60),
    "hour": range(24),
    _DAY_OF_MONTH: range(1, 32),
    "month": range(1, 13),
    _DAY_OF_WEEK: range(8),
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES = {
    "month": {name: at for at, name in enumerate(_MONTHS, 1)},
    _DAY_OF_WEEK: {name: at for at, name in enumerate(_DAYS)},
}
_MONTH_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST = 0  # the month's last day, or its last weekday: there is one in any month
_ZONE = re.compile(r"UTC|GMT|[A-Za-z]+/[A-Za-z_+-]+(/[A-Za-z_+-]+)?|[A-Z]{3,4}([0-9][A-Z]{3})?")
_RATE = re.compile(r"(?:rate\(|every )([^)]*)\)?", re.IGNORECASE)
_OTHER_MARKS = {
    "?": "write * in place of ?",
    "H": "write a number in place of H",
    "W": "there is no W, the nearest weekday; LW is the last one",
}
_WEEKDAY_OF_MONTH = re.compile(r"([^#]+)#0*[1-5]|([0-9]+)L")


def cron_of(text: str) -> str:
    """Cron's 5 fields, 6 with seconds first, `@daily` and its kin spelled out; what `cronsim` accepts."""
    fields = _ALIASES.get(text.lower(), text).upper().split()
    if hint := _other_dialect(text, fields):
        raise ValueError(hint)
    if len(fields) not in {5, 6} or len(text) > _LIMIT_CHARS:
        raise ValueError(f"it has {len(fields)} field{'s' * (len(fields) != 1)}")
    padded = fields if len(fields) == 6 else ["0", *fields]
    allowed = {}
    for name, field in zip(_FIELDS, padded, strict=True):
        try:
            allowed[name] = _field(name, field)
        except ValueError:
            span = _FIELDS[name]
            raise ValueError(
                _hint(name, field)
                or f"{name} {shown(field)} is not within {span[0]}-{span[-1]}, a list, range or step of it"
            ) from None
    both = padded[3].startswith("*") or padded[5].startswith("*")
    if both and min(allowed[_DAY_OF_MONTH]) > max(_MONTH_DAYS[month] for month in allowed["month"]):
        raise ValueError("no such month has that day")
    names = tuple(_FIELDS)[-len(fields) :]
    return " ".join(
        ",".join(_plain_step(name, term) for term in field.split(","))
        for name, field in zip(names, fields, strict=True)
    )


def _plain_step(name: str, term: str) -> str:
    """`13-13/8` as cronie takes it: at 13, and no other time."""
    low, dash, rest = term.partition("-")
    high, slash, _ = rest.partition("/")
    return low if dash and slash and _number(name, low) == _number(name, high) else term


def _other_dialect(text: str, fields: list[str]) -> str:
    """What to write instead of what other schedulers have, or ""."""
    word, _, rest = text.partition(" ")
    if word.lower() == "@every":
        return f"write every={rest.strip() or '5m'} in place of cron"
    if word.lower() == "@reboot":
        return "a server has no reboot to wait for"
    if text.startswith(("'", '"')):
        return "write it without quotes"
    if rate := _RATE.fullmatch(text):
        return f"write every={plain_duration(rate[1]) or '5m'} in place of cron"
    if fields and fields[0].startswith("@"):
        return f"there are {', '.join(_ALIASES)}"
    if text.upper().startswith(("TZ=", "CRON_TZ=")):
        zone = word.partition("=")[2]
        return f"write timezone={zone} in a line of its own"
    if len(fields) in {6, 7} and _ZONE.fullmatch(zone := text.rsplit(maxsplit=1)[-1]) and fields[-1] not in _DAYS:
        return f"its last word looks like a time zone: write timezone={zone} in a line of its own"
    return "it has 7 fields: leave out the year" if len(fields) == 7 else ""


def _hint(name: str, field: str) -> str:
    """The same of one field."""
    if other := next((mark for mark in _OTHER_MARKS if re.search(rf"(?<![A-Z]){re.escape(mark)}(?![A-Z])", field)), ""):
        return f"{name} {shown(field)}: {_OTHER_MARKS[other]}"
    if long := next((word for word in re.findall("[A-Z]{4,}", field) if word[:3] in _NAMES.get(name, {})), ""):
        return f"{name} {shown(field)}: write {long[:3]} in place of {shown(long)}"
    ends = re.fullmatch(r"(\w+)-(\w+)", field)
    names = _NAMES.get(name, {})
    if name == "day of week" and ends and ends[2] in {"SUN", "0"}:
        return f"day of week {shown(field)} begins after it ends, as the week begins with SUN: write {ends[1]}-7"
    if ends and {ends[1], ends[2]} <= names.keys():
        end = max(names.values())
        return f"{name} {shown(field)} begins after it ends: write {names[ends[1]]}-{end},{min(names.values())}-{names[ends[2]]}"
    if ends and ends[1].isdecimal() and ends[2].isdecimal():
        span = _FIELDS[name]
        if int(ends[1]) in span and int(ends[2]) in span:
            if name == "day of week" and ends[1] == "7":
                return f"{name} {shown(field)} begins after it ends: write 0-{ends[2]}"
            last = 6 if name == "day of week" else span[-1]
            return f"{name} {shown(field)} begins after it ends: write {ends[1]}-{last},{span[0]}-{ends[2]}"
    return ""


def _field(name: str, field: str) -> set[int]:
    allowed: set[int] = set()
    for term in field.split(","):
        allowed |= _term(name, term)
    return allowed


def _term(name: str, term: str) -> set[int]:
    """The numbers that `*`, `5`, `MON`, `1-5`, `*/2`, `3/10`, `L`, `LW`, `FRI#2` or `5L` stand for."""
    if name == _DAY_OF_WEEK and (found := _WEEKDAY_OF_MONTH.fullmatch(term)):
        return {_number(name, found[1] or found[2])}
    base, slash, step = term.partition("/")
    if slash and not (step.isdecimal() and step.isascii() and int(step)):
        raise ValueError
    if name == _DAY_OF_MONTH and base in {"L", "LW"}:
        return {_LAST}
    span = _FIELDS[name]
    if base == "*":
        numbers = span
    else:
        low, dash, high = base.partition("-")
        first = _number(name, low)
        last = _number(name, high) if dash else first
        if last < first:
            raise ValueError
        numbers = range(first, last + 1)
        if slash and not dash:  # cronsim and others: from there on; cronie takes no step of one number
            numbers = range(first, span[-1] + 1)
    return set(numbers[:: int(step)] if slash else numbers)


def _number(name: str, word: str) -> int:
    if word in (names := _NAMES.get(name, {})):
        return names[word]
    if not (word.isdecimal() and word.isascii() and int(word) in _FIELDS[name]):
        raise ValueError
    return int(word)
