"""What a node says of its slots."""

from __future__ import annotations

from luasprocs.server.served_slots import Owner, ServedSlots

ME, OTHER, THIRD = "a" * 40, "b" * 40, "c" * 40


def nodes(*lines: str) -> ServedSlots:
    return ServedSlots.parse("\n".join(lines).encode() + b"\n")


def line(node: str, epoch: int, slots: str = "", flags: str = "master", primary: str = "-") -> str:
    return f"{node} 127.0.0.1:7000@17000 {flags} {primary} 0 1712345678901 {epoch} connected {slots}".rstrip()


def here(served: ServedSlots) -> list[int]:
    return [slot for slot, one in enumerate(served.here) if one]


def test_its_own_and_those_that_come_key_by_key():
    served = nodes(
        line(ME, 3, f"0-2 7 [2->-{OTHER}] [9-<-{OTHER}]", "myself,master"), line(OTHER, 2, "8-9"), line(THIRD, 0)
    )
    assert here(served) == [0, 1, 2, 7, 9]
    assert [served.owner(slot) for slot in (2, 9, 10)] == [Owner(ME, 3), Owner(OTHER, 2), None]


def test_a_replica_has_what_its_primary_has():
    assert here(nodes(line(ME, 3, flags="myself,slave", primary=OTHER), line(OTHER, 2, "8-9"))) == [8, 9]


def test_a_slot_was_here_in_between_only_if_somebody_has_claimed_it_since():
    before = nodes(line(ME, 1, "0-4", "myself,master"), line(OTHER, 2, "5-9"), line(THIRD, 3))
    gained = nodes(line(ME, 4, "0-4 9", "myself,master"), line(OTHER, 2, "5-8"), line(THIRD, 3))
    assert not before.had_between(5, before)
    assert not before.had_between(5, gained)
    assert before.had_between(5, nodes(line(ME, 4, "0-4", "myself,master"), line(OTHER, 5, "5-9"), line(THIRD, 3)))
    assert before.had_between(5, nodes(line(ME, 4, "0-4", "myself,master"), line(OTHER, 2, "6-9"), line(THIRD, 5, "5")))


def test_a_slot_that_has_left_may_be_on_its_way_back():
    """Seen with a daemon that was starved: what came back was taken for written here, ran twice, and was not told."""
    before = nodes(line(ME, 1, "0-4", "myself,master"), line(OTHER, 2, "5-9"), line(THIRD, 3))

    def returning(*lines: str) -> list[int]:
        return [slot for slot, one in enumerate(before.returning(nodes(*lines))) if one]

    gained = (line(ME, 4, "0-4 9", "myself,master"), line(OTHER, 2, "5-8"), line(THIRD, 3))
    left = (line(ME, 1, "0-2", "myself,master"), line(OTHER, 4, "3-9"), line(THIRD, 3))
    back = (line(ME, 5, "0-4", "myself,master"), line(OTHER, 4, "5-9"), line(THIRD, 3))
    assert not returning(*gained)
    assert returning(*left) == [3, 4]
    assert returning(*back) == [0, 1, 2, 3, 4]
