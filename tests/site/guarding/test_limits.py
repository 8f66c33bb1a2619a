"""How often something may be done, against a simulation that counts in whole seconds."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cenote.site.guarding.limits import Limit, forget_limits, limit_key, network_of, take
from cenote.site.store.database import Database

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


class Bucket:
    """So many tokens at most, which come back evenly; each time takes one."""

    def __init__(self, limit: Limit) -> None:
        self.most, self.rate = limit.times, Fraction(limit.times, int(limit.within.total_seconds()))
        self.tokens, self.at = Fraction(limit.times), 0

    def take(self, at: int) -> Fraction:
        """Seconds to wait; 0 if it is allowed."""
        self.tokens, self.at = min(Fraction(self.most), self.tokens + (at - self.at) * self.rate), at
        if self.tokens >= 1:
            self.tokens -= 1
            return Fraction(0)
        return (1 - self.tokens) / self.rate


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.integers(1, 12),
    seconds=st.integers(1, 5_000),
    pauses=st.lists(st.integers(0, 900) | st.just(0), min_size=1, max_size=40),
)
def test_the_arithmetic_is_that_of_a_bucket(database: Database, times: int, seconds: int, pauses: list[int]) -> None:
    limit, key, at = Limit(times, dt.timedelta(seconds=seconds)), uuid4().hex, 0
    bucket = Bucket(limit)
    with database.write() as connection:
        for pause in pauses:
            at += pause
            wait = take(connection, key, limit, NOW + dt.timedelta(seconds=at))
            assert wait == pytest.approx(float(bucket.take(at)), abs=2e-3)


def test_the_wait_that_is_told_is_long_enough_and_no_longer(database: Database) -> None:
    limit = Limit(3, dt.timedelta(minutes=1))
    with database.write() as connection:
        assert [take(connection, "key", limit, NOW) for _ in range(3)] == [0, 0, 0]
        wait = take(connection, "key", limit, NOW)
        assert wait == pytest.approx(20)
        assert take(connection, "key", limit, NOW + dt.timedelta(seconds=wait - 1)) > 0  # asking costs nothing
        assert take(connection, "key", limit, NOW + dt.timedelta(seconds=wait)) == 0
        assert take(connection, "another", limit, NOW) == 0


def test_who_asks_at_once_is_allowed_no_more_than_who_asks_in_turn(database: Database) -> None:
    limit = Limit(7, dt.timedelta(hours=1))

    def ask(_: int) -> bool:
        with database.write() as connection:
            return take(connection, "key", limit, NOW) == 0

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(50))) == 7


def test_what_is_forgotten_would_have_been_allowed(database: Database) -> None:
    limit = Limit(2, dt.timedelta(minutes=10))
    with database.write() as connection:
        take(connection, "key", limit, NOW)
        take(connection, "key", limit, NOW)
        assert forget_limits(connection, NOW + dt.timedelta(minutes=9)) == 0
        assert take(connection, "key", limit, NOW + dt.timedelta(minutes=4)) > 0
        assert forget_limits(connection, NOW + dt.timedelta(minutes=10, seconds=1)) == 1


def test_keys_tell_neither_what_nor_who() -> None:
    key = limit_key("secret" * 8, "sign-in", "ada@example.org")
    assert len(key) == 64
    assert key != limit_key("secret" * 8, "sign-in", "bob@example.org")
    assert key != limit_key("secret" * 8, "sign-", "in\0ada@example.org")
    assert key != limit_key("terces" * 8, "sign-in", "ada@example.org")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:DB8:1:2::1", "2001:db8:0001:0002::7", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_one_client_is_an_address_or_the_half_of_one(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
