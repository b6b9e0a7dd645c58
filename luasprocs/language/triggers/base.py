"""What a trigger kind is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.contract.metadata import Scope


class TriggerKind(Protocol):
    """One way in which a sproc is started other than by a call: a module of this package."""

    @property
    def KEY(self) -> str:  # noqa: N802
        """The header key that gives a sproc this trigger."""

    @property
    def SCOPE(self) -> Scope:  # noqa: N802
        """What delivers it, and which keys of the contract are about it: `event` or `schedule`."""

    @property
    def EXCLUDES(self) -> tuple[str, ...]:  # noqa: N802
        """Keys of other kinds that a sproc can't have beside it."""

    @property
    def NEEDED_BY(self) -> Mapping[str, str]:  # noqa: N802
        """Keys that mean nothing without this trigger (or another kind that names them too), each with why."""

    def words(self, values: Mapping[str, str]) -> str:
        """How a list names the trigger of a sproc with these values as written, in a few words."""
