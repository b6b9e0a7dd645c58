"""Errors as clients of the language server get them: the command line's own text, and a code that says which kind it is."""

from __future__ import annotations

from typing import Any

from lsprotocol.types import LSPErrorCodes
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from redis.exceptions import RedisError

from luasprocs.errors import (
    LuasprocsError,
    NoSprocError,
    OutcomeUnknownError,
    ProblemsError,
    ScriptError,
    ServerAuthenticationError,
    ServerError,
    ServerTooOldError,
    ServerUnreachableError,
    SprocDisabledError,
)

AWAY = (ServerUnreachableError, ServerAuthenticationError, ServerTooOldError)
"""Of these nothing else can be asked there either."""
_CODES: tuple[tuple[type[LuasprocsError], str], ...] = (
    (OutcomeUnknownError, "unknown_outcome"),
    *((one, "not_connected") for one in AWAY),
    (NoSprocError, "no_sproc"),
    (SprocDisabledError, "disabled"),
    (ScriptError, "script"),
    (ProblemsError, "problems"),
)
CODES = (
    *dict.fromkeys(code for _, code in _CODES),
    *("confirm", "read_only", "not_a_sproc", "busy", "refused", "params"),
)
"""All that `data.code` may be."""


def failed(code: str, message: str, problems: list[dict[str, Any]] | None = None) -> JsonRpcException:
    """An error with one of CODES; `problems`: those of a source."""
    data = {"code": code} if problems is None else {"code": code, "problems": problems}
    return JsonRpcException(message, LSPErrorCodes.RequestFailed, data)


def wrong_params(message: str) -> JsonRpcException:
    return JsonRpcInvalidParams(message, data={"code": "params"})


def failure_of(error: Exception) -> JsonRpcException:
    """What went wrong, as the client hears it."""
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, LuasprocsError):
        code = "not_connected" if type(error) is ServerError else "refused"  # which says LOADING, BUSY and their like
        code = next((name for kind, name in _CODES if isinstance(error, kind)), code)
        problems = [_problem(one._asdict()) for one in error.problems] if isinstance(error, ProblemsError) else None
        return failed(code, str(error), problems)
    if isinstance(error, RedisError | OSError):
        return failed("refused", str(error))
    return failed("refused", f"{type(error).__name__}: {error}")


def _problem(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in {"path", "kind"}}
