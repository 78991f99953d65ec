"""Who is next, and who gives up a place: many requests of one holder do not delay or displace those of another."""

import pytest

from services.auth.accounts.fair_queue import FairQueue, Holder, Refused

FLOOD = Holder("198.51.100.1", "mallory")


def filled(places: int, *holders: Holder) -> FairQueue[str]:
    """Return a queue in which `account 0`, `account 1`, ... of each holder wait in this order."""
    queue: FairQueue[str] = FairQueue(places)
    for number, holder in enumerate(holders):
        assert queue.put(holder, f"{holder.account} {number}") is None
    return queue


def taken(queue: FairQueue[str]) -> list[str]:
    return [queue.take() for _ in range(len(queue))]


def test_one_holder_is_served_in_the_order_of_arrival() -> None:
    assert taken(filled(3, FLOOD, FLOOD, FLOOD)) == ["mallory 0", "mallory 1", "mallory 2"]


def test_another_address_is_next_however_many_callers_are_waiting() -> None:
    queue = filled(9, *[FLOOD] * 6, Holder("ann's", "ann"), Holder("bob's", "bob"), Holder("bob's", "bob"))
    assert [queue.take() for _ in range(5)] == ["mallory 0", "ann 6", "bob 7", "mallory 1", "bob 8"]


def test_using_many_accounts_does_not_give_an_address_more_turns() -> None:
    queue = filled(9, *(Holder("flood", f"user-{n}") for n in range(6)), Holder("ann's", "ann"))
    assert queue.take() == "user-0 0"
    assert queue.take() == "ann 6"


def test_behind_one_address_the_accounts_take_turns() -> None:
    queue = filled(9, *[FLOOD] * 6, Holder(FLOOD.address, "neighbour"))
    assert [queue.take() for _ in range(3)] == ["mallory 0", "neighbour 6", "mallory 1"]


def test_new_addresses_do_not_overtake_those_who_wait() -> None:
    queue = filled(9, Holder("ann's", "ann"), Holder("ann's", "ann"))
    for number in range(5):
        queue.put(Holder(f"new-{number}", "new"), f"new {number}")
    assert [queue.take() for _ in range(3)] == ["ann 0", "new 0", "new 1"]
    assert "ann 1" in [queue.take() for _ in range(4)]


def test_one_address_may_have_all_places_while_nobody_else_wants_any() -> None:
    queue = filled(4, *[FLOOD] * 4)
    assert queue.put(FLOOD, "one more") == Refused("one more", took_too_much=True)
    assert len(queue) == 4


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param([FLOOD] * 4, id="one account at one address"),
        pytest.param([Holder("flood", f"user-{n}") for n in range(4)], id="many accounts at one address"),
        pytest.param([Holder(f"address-{n}", "mallory") for n in range(4)], id="one account at many addresses"),
        pytest.param([*[FLOOD] * 2, *[Holder("flood", "eve")] * 2], id="two floods"),
    ],
)
def test_when_the_places_are_full_the_newest_request_of_the_largest_holder_gives_way(flood: list[Holder]) -> None:
    queue = filled(4, *flood)
    refused = queue.put(Holder("ann's", "ann"), "ann")
    assert refused is not None
    assert refused.took_too_much
    waiting = taken(queue)
    assert "ann" in waiting
    assert refused.item not in waiting
    assert len(waiting) == 4


def test_behind_the_flooders_own_address_another_account_gets_a_place() -> None:
    queue = filled(4, *[FLOOD] * 4)
    assert queue.put(Holder(FLOOD.address, "neighbour"), "neighbour") == Refused("mallory 3", took_too_much=True)


def test_nobody_gives_way_to_a_caller_that_would_hold_as_many_places() -> None:
    queue = filled(4, *[FLOOD] * 2, Holder("ann's", "ann"), Holder("bob's", "bob"))
    assert queue.put(Holder("bob's", "bob"), "one more") == Refused("one more", took_too_much=True)


def test_when_everybody_holds_one_place_the_newcomer_is_refused_and_takes_none() -> None:
    queue = filled(3, *(Holder(f"address-{n}", f"user-{n}") for n in range(3)))
    assert queue.put(Holder("ann's", "ann"), "ann") == Refused("ann", took_too_much=False)


def test_without_places_nobody_waits() -> None:
    queue: FairQueue[str] = FairQueue(0)
    assert queue.put(FLOOD, "one") == Refused("one", took_too_much=False)
    assert not queue


def test_a_removed_request_frees_its_place_and_leaves_nothing_behind() -> None:
    queue = filled(2, FLOOD, FLOOD)
    queue.remove(FLOOD, "mallory 0")
    assert queue.put(FLOOD, "again") is None
    assert taken(queue) == ["mallory 1", "again"]
    assert queue._waiting == {}, "names that do not wait are forgotten"
