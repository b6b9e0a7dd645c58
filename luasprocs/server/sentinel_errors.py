"""Why Sentinel leads to no master: an error of redis-py's kind, so that whoever tries again after a lost connection does."""

from __future__ import annotations

from enum import Enum

from redis import exceptions

from luasprocs.errors import ServerAuthenticationError, ServerError, ServerUnreachableError


class Why(Enum):
    """The codes, with what they say of the Sentinels' `{url}`, the master's `{name}` and `{address}`."""

    NO_ANSWER = "no Sentinel answers at {url}: are they running, and are host and port theirs? ({said})"
    NO_SENTINEL = "what answers at {url} is no Sentinel: name Sentinels in the URL (port 26379), not Redis servers"
    UNKNOWN_NAME = (
        "the Sentinels at {url} watch no master named {name}: `redis-cli -p 26379 SENTINEL MASTERS` lists theirs"
    )
    REFUSED = (
        "the Sentinels at {url} refuse the user or the password: the URL's options sentinel_username and "
        "sentinel_password are for them ({said})"
    )
    DOWN = "the master {name} at {address} is down, say the Sentinels at {url}; once they name another one, try again"
    NO_QUORUM = (
        "the master {name} at {address} is down, and the Sentinels at {url} can't fail over: too few of them see each "
        "other; start more ({said})"
    )
    DEAD = (
        "nothing answers at {address}, the master {name} of the Sentinels at {url}; once they name another one, try again "
        "({said})"
    )
    MOVED = (
        "{address} does not answer, and the Sentinels at {url} name another master {name} by now: what was asked may have "
        "been done or not; look, and try again"
    )
    REPLICA = "{address}, the master {name} of the Sentinels at {url}, is a replica: a failover is under way; try again"


class SentinelError(exceptions.ConnectionError):
    """`why`: the code."""

    def __init__(self, why: Why, **words: str) -> None:
        self.why = why
        super().__init__(why.value.format_map({"said": "", "address": "", **words}))

    def named(self) -> ServerError:
        """This package's error."""
        kind = ServerAuthenticationError if self.why is Why.REFUSED else ServerUnreachableError
        return kind(str(self))
