"""Why guides lead to no primary: an error of redis-py's kind, so that whoever tries again after a lost connection does."""

from __future__ import annotations

from enum import StrEnum, auto

from redis import exceptions

from luasprocs.errors import ServerAuthenticationError, ServerError, ServerUnreachableError


class Why(StrEnum):
    """The codes. What they say is about the guides' `{url}`, the primary's `{name}` and `{address}`."""

    NO_ANSWER = auto()
    NO_GUIDE = auto()
    UNKNOWN_NAME = auto()
    REFUSED = auto()
    DOWN = auto()
    NO_QUORUM = auto()
    DEAD = auto()
    MOVED = auto()
    REPLICA = auto()
    SILENT = auto()


SENTINEL = {
    Why.NO_ANSWER: "no Sentinel answers at {url}: are they running, and are host and port theirs? ({said})",
    Why.NO_GUIDE: "what answers at {url} is no Sentinel: name Sentinels in the URL (port 26379), not Redis servers",
    Why.UNKNOWN_NAME: (
        "the Sentinels at {url} watch no master named {name}: `redis-cli -p 26379 SENTINEL MASTERS` lists theirs"
    ),
    Why.REFUSED: (
        "the Sentinels at {url} refuse the user or the password: the URL's options sentinel_username and "
        "sentinel_password are for them ({said})"
    ),
    Why.DOWN: "the master {name} at {address} is down, say the Sentinels at {url}; once they name another one, try again",
    Why.NO_QUORUM: (
        "the master {name} at {address} is down, and the Sentinels at {url} can't fail over: too few of them see each "
        "other; start more ({said})"
    ),
    Why.DEAD: (
        "nothing answers at {address}, the master {name} of the Sentinels at {url}; once they name another one, try again "
        "({said})"
    ),
    Why.MOVED: (
        "{address} does not answer, and the Sentinels at {url} name another master {name} by now: what was asked may have "
        "been done or not; look, and try again"
    ),
    Why.REPLICA: "{address}, the master {name} of the Sentinels at {url}, is a replica: a failover is under way; try again",
}
CLUSTER = {
    Why.NO_ANSWER: "no node of the cluster answers at {url}: are host and port right? ({said})",
    Why.NO_GUIDE: "what answers at {url} is no node of a cluster: write redis:// for a single server",
    Why.UNKNOWN_NAME: "no node of the cluster at {url} serves the slot of {name}: `redis-cli --cluster check` tells more",
    Why.REFUSED: "the cluster's nodes at {url} refuse the user, the password or CLUSTER SLOTS ({said})",
    Why.DOWN: "the cluster is down: {said}; once that is mended, try again ({url})",
    Why.DEAD: "nothing answers at {address}, a primary of the cluster; once a replica has taken over, try again ({said})",
    Why.MOVED: (
        "{address} does not answer, and the cluster at {url} has another primary by now: what was asked may have been done "
        "or not; look, and try again"
    ),
    Why.SILENT: "the primary {address} of shard {name} does not answer in time: is it busy, or does it hang?",
    Why.REPLICA: "{address}, a primary of the cluster at {url}, is a replica: a failover is under way; try again",
}


_OF_ALL = {Why.NO_ANSWER, Why.NO_GUIDE, Why.REFUSED, Why.DOWN}


class GuideError(exceptions.ConnectionError):
    """`why`: the code; `texts`: what the codes say, of Sentinels or of a cluster."""

    def __init__(self, why: Why, texts: dict[Why, str], **words: str) -> None:
        self.why = why
        super().__init__(texts[why].format_map({"said": "", "address": "", **words}))

    @property
    def of_all(self) -> bool:
        """Whether it is about a cluster as a whole, and not about one primary."""
        return self.why in _OF_ALL

    def named(self) -> ServerError:
        """This package's error."""
        kind = ServerAuthenticationError if self.why is Why.REFUSED else ServerUnreachableError
        return kind(str(self))
