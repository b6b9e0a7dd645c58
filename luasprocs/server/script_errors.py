"""What the run of a sproc answers when it fails, as this package's errors."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.exceptions import InvalidResponse, ResponseError

from luasprocs.contract.refusals import Refusal
from luasprocs.errors import NoSprocError, ScriptError, SprocDisabledError
from luasprocs.server.errors import is_too_deep
from luasprocs.server.readable_errors import readable_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRORS: dict[str, type[ScriptError]] = {Refusal.NOSPROC: NoSprocError, Refusal.DISABLED: SprocDisabledError}


@contextlib.contextmanager
def script_errors(name: str) -> Iterator[None]:
    """Inside, what a sproc's run answers becomes this package's error; serves `await` as well.

    Raises:
        ScriptError: or one of its kinds; also for a reply that is nested too deep to be read or printed.
    """
    try:
        yield
    except ResponseError as error:
        raise script_error(error) from error
    except (InvalidResponse, RecursionError) as error:
        if isinstance(error, InvalidResponse) and not is_too_deep(error):
            raise
        raise ScriptError(f"the reply of {name} is nested too deep to be read: does a table hold itself?") from error


def script_error(error: ResponseError) -> ScriptError:
    """What a sproc's run answered, as this package's error: `CODE file:line: message`."""
    return _ERRORS.get(code_of(error), ScriptError)(readable_error(str(error)))


def code_of(error: ResponseError) -> str:
    """The first word of a reply that is an error, which says what kind it is: a `Refusal`, `WRONGTYPE`, … ("" for `ERR`)."""
    code = str(error.args[0]).partition(" ")[0] if error.args else ""
    return code if code.isupper() and code != "ERR" else ""
