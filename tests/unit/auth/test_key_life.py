"""The life of a signing key: which key signs, which are published, and the effect of a rotation or removal."""

import random

import pytest

from services.auth.keys.life import (
    PUBLISHED,
    Create,
    KeyLife,
    KeyState,
    Policy,
    Promote,
    rotation,
    states,
    succession,
)

POLICY = Policy(publish=120, retire=360)
FIRST, SECOND = KeyLife("first", 1, 0), KeyLife("second", 2, 1000)


def of(now: float, *lives: KeyLife) -> list[str]:
    state = states(lives, now, POLICY)
    return [state[life.kid].name for life in lives]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (999, ["SIGNING", "PENDING"]),
        (1000, ["RETIRING", "SIGNING"]),
        (1359, ["RETIRING", "SIGNING"]),
        (1360, ["RETIRED", "SIGNING"]),
    ],
)
def test_j17_a_key_starts_to_sign_on_time_and_its_predecessor_retires(now: float, expected: list[str]) -> None:
    assert of(now, FIRST, SECOND) == expected
    assert of(now, SECOND, FIRST) == expected[::-1]  # the order of the rows says nothing


def test_j17_a_rotation_publishes_first_and_happens_once() -> None:
    assert rotation([FIRST], 880, POLICY) == Create(1000)
    assert rotation([FIRST, SECOND], 999, POLICY) == SECOND
    assert rotation([FIRST, SECOND], 1000, POLICY) == Create(1120)


def test_j17_a_removed_signer_is_replaced_at_once_and_no_earlier_key_returns() -> None:
    removed = KeyLife("second", 2, 1000, removed_at=1100)
    assert of(1100, FIRST, removed) == ["RETIRING", "REMOVED"]
    assert succession([FIRST, removed], 1100) == Create(1000)
    third = KeyLife("third", 3, 1000)
    assert of(1100, FIRST, removed, third) == ["RETIRING", "REMOVED", "SIGNING"]
    assert of(1000, FIRST, removed, third)[2] == "SIGNING"  # also where the clock is behind
    assert succession([FIRST, removed, third], 1100) is None
    assert of(1360, FIRST, removed, third)[0] == "RETIRED"


def test_j17_a_pending_key_replaces_a_removed_signer() -> None:
    lives = [KeyLife("second", 2, 1000, removed_at=1100), KeyLife("third", 3, 1150), KeyLife("fourth", 4, 1200)]
    assert succession(lives, 1100) == Promote("third", 1000)


def test_j17_a_removed_key_that_did_not_sign_needs_no_successor() -> None:
    retiring, pending = KeyLife("first", 1, 0, removed_at=1100), KeyLife("third", 3, 1200, removed_at=1100)
    assert succession([retiring, SECOND, pending], 1100) is None
    assert of(1300, retiring, SECOND, pending) == ["REMOVED", "SIGNING", "REMOVED"]


def test_the_first_key_signs_at_once() -> None:
    assert succession([], 5) == Create(5)


class Table:
    """Applies decisions as `KeyRotation` does."""

    def __init__(self) -> None:
        self.lives: list[KeyLife] = []

    def create(self, active_from: float) -> None:
        self.lives.append(KeyLife(f"key-{len(self.lives)}", len(self.lives) + 1, active_from))

    def settle(self, now: float) -> None:
        match succession(self.lives, now):
            case Create(active_from=active_from):
                self.create(active_from)
            case Promote(kid=kid, active_from=active_from):
                self._change(kid, active_from=active_from)
        assert succession(self.lives, now) is None

    def remove(self, kid: str, now: float) -> None:
        self._change(kid, removed_at=now)

    def _change(self, kid: str, active_from: float | None = None, removed_at: float | None = None) -> None:
        old = next(life for life in self.lives if life.kid == kid)
        self.lives.remove(old)
        when = old.active_from if active_from is None else active_from
        self.lives.append(KeyLife(kid, old.serial, when, removed_at or old.removed_at))


def in_state(table: Table, now: float, *wanted: KeyState) -> set[str]:
    return {kid for kid, state in states(table.lives, now, POLICY).items() if state in wanted}


def test_j17_planned_rotations_sign_only_with_published_keys_and_keep_keys_with_live_tokens() -> None:
    chance, table = random.Random(17), Table()
    table.settle(0)
    published_since: dict[str, float] = {}
    last_used: dict[str, float] = {}
    for now in range(6000):
        if chance.random() < 0.2:
            match rotation(table.lives, now, POLICY):
                case Create(active_from=active_from):
                    table.create(active_from)
        if chance.random() < 0.01:
            for kid in in_state(table, now, KeyState.PENDING):
                table.remove(kid, now)
        published = in_state(table, now, *PUBLISHED)
        (signer,) = in_state(table, now, KeyState.SIGNING)
        for kid in published:
            published_since.setdefault(kid, now)
        assert signer == "key-0" or now - published_since[signer] >= POLICY.publish
        last_used[signer] = now
        assert {kid for kid, used in last_used.items() if now - used < POLICY.retire} <= published
    assert len(last_used) > 20  # keys did change


def test_j17_whatever_is_removed_exactly_one_key_signs_and_no_removed_key_returns() -> None:
    chance, table = random.Random(18), Table()
    was_signer: list[str] = []
    for now in range(3000):
        if table.lives and chance.random() < 0.05:
            table.remove(chance.choice(table.lives).kid, now)
        table.settle(now)
        if chance.random() < 0.05 and isinstance(create := rotation(table.lives, now, POLICY), Create):
            table.create(create.active_from)
        (signer,) = in_state(table, now, KeyState.SIGNING)
        if signer not in was_signer[-1:]:
            assert signer not in was_signer
            was_signer.append(signer)
        removed = {life.kid for life in table.lives if life.removed_at is not None}
        assert removed.isdisjoint(in_state(table, now, *PUBLISHED))
    assert len(was_signer) > 20
