"""The commands that a server's scripts may call, as it says itself: a module's, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import text
from luasprocs.language.editor.command_docs import CommandDoc, docs_of
from luasprocs.server.info import INFO_COMMAND, parse_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis


class ServerCommands(NamedTuple):
    """`server`: its name and version; `docs`: by names in lower case, subcommands as `client|list`."""

    server: str
    docs: Mapping[str, CommandDoc]


def read_commands(client: Redis) -> ServerCommands:
    """What COMMAND DOCS tells. A module that describes none of its commands has their names alone.

    Raises:
        redis.RedisError: the server doesn't answer, or refuses.
    """
    server = str(parse_info(client.execute_command(*INFO_COMMAND)))
    known = {text(name).lower(): one for name, one in client.command().items()}
    docs = docs_of(client.execute_command("COMMAND DOCS"))
    named = {name: CommandDoc(name.upper(), (), "", "", "", "") for name in known}
    forbidden = {name for name, one in known.items() if "noscript" in one["flags"]}
    return ServerCommands(server, {name: doc for name, doc in (named | docs).items() if name not in forbidden})
