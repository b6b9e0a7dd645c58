"""Every error that luasprocs raises on purpose.

    LuasprocsError                     exit code 2: failure
    ├── ProblemsError                  1: problems found, all of them at once
    ├── SettingsError                  a setting or an argument can't be used
    ├── ServerError                    the server can't serve
    │   ├── ServerUnreachableError
    │   │   └── LostReplyError         and what was sent may have been done: an OutcomeUnknownError, too
    │   ├── ServerMovedError           a cluster's slots have just moved
    │   ├── ServerAuthenticationError
    │   ├── ServerTooOldError
    │   ├── ServerReadOnlyError
    │   ├── ServerRightsError          an ACL refuses
    │   ├── ServerMemoryError          out of memory
    │   └── PortTakenError             another program has the embedded server's port
    ├── RepositoryError                git can't read or write what was asked
    │   └── NoFolderError              a commit has no sproc folder
    ├── RegistryError                  the registry can't be changed as asked
    │   ├── OwnerError                 it belongs to another repository, or its engine serves another db
    │   ├── PruneError                 the change would remove more sprocs than was allowed
    │   ├── PolicyError                the host's policy refuses the commit
    │   ├── EditConflictError          a sproc changed while it was edited
    │   ├── EngineVersionError         a newer luasprocs made it
    │   ├── NotDoneError               no daemon did it, and none will
    │   ├── ShardError                 some shards of a cluster have the change, others not
    │   └── ConflictError              concurrent changes won every time
    │       └── NotKeptError           a change was made, and does not stand as it was sent
    ├── WaitError                      not all that was waited for has come
    ├── OutcomeUnknownError            it may have been done
    │   └── LostReplyError
    └── ScriptError                    1: a sproc raised an error
        ├── NoSprocError               2
        └── SprocDisabledError         2

`exit_code` of each is what the command line ends with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Problem(NamedTuple):
    """One thing wrong with a sproc: where it stands and what would be right.

    `line` and `column` count from 1, columns in characters; `kind` is "error" (nothing is applied), "misuse" (it loads, but fails
    when it gets there) or "warning" (it may be meant so). `code`: one of `luasprocs.language.problems.CODES`, "" for what a
    server says. `end_line` and `end_column`: up to and without there, 0 if that is not known.
    """

    path: str
    line: int
    column: int
    message: str
    kind: str = "error"
    code: str = ""
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        """`file:line:column: message`, as editors and compilers know it."""
        return f"{self.path}:{self.line}:{self.column}: {self.message}"


class LuasprocsError(Exception):
    """The base of every error here; its text says what, where, and what to do."""

    exit_code = 2


class ProblemsError(LuasprocsError):
    """Sprocs are broken; `problems` has them all, sorted by place."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class SettingsError(LuasprocsError):
    """A setting or an argument can't be used."""


class ServerError(LuasprocsError):
    """The server can't serve."""


class ServerUnreachableError(ServerError):
    """Nothing answers there, or the connection broke."""


class ServerMovedError(ServerError):
    """What was asked for has just moved to another node of the cluster."""


class ServerAuthenticationError(ServerError):
    """The password or the user is wrong or missing."""


class ServerTooOldError(ServerError):
    """Older than Redis 7.0 or Valkey 7.2."""


class ServerReadOnlyError(ServerError):
    """A replica that takes no writes."""


class ServerRightsError(ServerError):
    """The user's ACL lacks a right."""


class ServerMemoryError(ServerError):
    """The server is out of memory (maxmemory)."""


class PortTakenError(ServerError):
    """Another program listens on the port that the embedded server was given."""


class RepositoryError(LuasprocsError):
    """Git can't give what was asked."""


class NoFolderError(RepositoryError):
    """A commit has no sproc folder, nor anything else of that name."""


class RegistryError(LuasprocsError):
    """The registry can't be changed as asked."""


class OwnerError(RegistryError):
    """The registry, or an engine of its names, belongs to another repository or db."""


class PruneError(RegistryError):
    """It would remove what nobody asked to remove."""


class PolicyError(RegistryError):
    """The host takes no such commit: it isn't signed, or goes back."""


class EditConflictError(RegistryError):
    """The sproc was changed since the editor read it; `theirs` is its source now."""

    def __init__(self, message: str, theirs: bytes) -> None:
        super().__init__(message)
        self.theirs = theirs


class EngineVersionError(RegistryError):
    """A newer luasprocs made the registry."""


class ShardError(RegistryError):
    """Some shards of a cluster have a change, others not yet."""


class ConflictError(RegistryError):
    """Others kept changing the registry, or a change was not what it should be."""


class NotKeptError(ConflictError):
    """A change was made, a generation of its own, and the registry is not as it was sent: somebody writes there."""


class NotDoneError(RegistryError):
    """A request to the daemons has expired or was overtaken: nothing was done, and nothing will be."""


class JobError(RegistryError):
    """No such job is there, or it is in a state where that can't be done."""


class WaitError(LuasprocsError):
    """The events or the record that were waited for have not come in time."""


class OutcomeUnknownError(LuasprocsError):
    """The connection broke or no answer came: it may have been done, and is not repeated."""


class LostReplyError(ServerUnreachableError, OutcomeUnknownError):
    """The connection broke behind a change, and the server can't be asked whether it has it."""


class ScriptError(LuasprocsError):
    """A sproc raised an error; the text is the server's, as `CODE file:line: message`."""

    exit_code = 1


class NoSprocError(ScriptError):
    """No sproc of that name is live."""

    exit_code = 2


class SprocDisabledError(ScriptError):
    """The sproc's header says `enabled=no`."""

    exit_code = 2
