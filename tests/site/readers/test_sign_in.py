"""Links that sign in: once, in time, and nobody else."""

from __future__ import annotations

import datetime as dt
import re
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from cenote.site.readers.operating import block, unblock
from cenote.site.readers.sessions import LASTS, close_sessions, open_session, reader_of
from cenote.site.readers.sign_in import LINK_LASTS, link_address, new_link, use_link
from cenote.site.store.reader_tables import readers, sessions, sign_in_links

from .conftest import NOW, Store

ADA = "ada@example.org"
SECOND = dt.timedelta(seconds=1)


def test_a_link_signs_in_once(store: Store) -> None:
    with store.database.write() as connection:
        token = new_link(connection, ADA, NOW)
        assert link_address(connection, token, NOW) == ADA
        assert link_address(connection, token, NOW) == ADA  # looking uses nothing
        session = use_link(connection, token, NOW)
        assert session is not None
        assert use_link(connection, token, NOW) is None
        assert link_address(connection, token, NOW) is None
        found = reader_of(connection, session, NOW)
        assert found is not None
        assert (found.address, found.created) == (ADA, NOW)


def test_several_links_stand_beside_each_other_and_end_in_time(store: Store) -> None:
    with store.database.write() as connection:
        first, second, third = (new_link(connection, ADA, NOW) for _ in range(3))
        assert use_link(connection, second, NOW) is not None
        assert use_link(connection, first, NOW + LINK_LASTS - SECOND) is not None
        assert link_address(connection, third, NOW + LINK_LASTS) is None
        assert use_link(connection, third, NOW + LINK_LASTS) is None


def test_a_forged_token_is_none(store: Store) -> None:
    with store.database.write() as connection:
        token = new_link(connection, ADA, NOW)
        stored = connection.scalar(select(sign_in_links.c.token_hash))
        for forged in ("", token[:-1], token + "A", token.swapcase(), str(stored), "\0", "\udcff"):
            assert use_link(connection, forged, NOW) is None
        assert token not in str(connection.execute(select(sign_in_links)).all())


def test_the_first_name_says_nothing_of_the_address_and_one_address_is_one_reader(store: Store) -> None:
    first, again = store.reader(), store.reader(now=NOW + dt.timedelta(days=40))
    assert (first.id, first.name) == (again.id, again.name)
    assert re.fullmatch(r"reader-[0-9a-f]{6}", first.name)
    with store.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(readers)) == 1
        assert connection.scalar(select(readers.c.seen)) == NOW + dt.timedelta(days=40)


def test_of_several_who_use_one_link_at_once_one_is_signed_in(store: Store) -> None:
    with store.database.write() as connection:
        token = new_link(connection, ADA, NOW)

    def use(_: int) -> str | None:
        with store.database.write() as connection:
            return use_link(connection, token, NOW)

    with ThreadPoolExecutor(8) as pool:
        used = [session for session in pool.map(use, range(8)) if session]
    assert len(used) == 1


def test_sessions_end(store: Store) -> None:
    reader = store.reader()
    with store.database.write() as connection:
        session = open_session(connection, reader.id, NOW)
        assert reader_of(connection, session, NOW + LASTS - SECOND) == reader
        assert reader_of(connection, session, NOW + LASTS) is None
        assert close_sessions(connection, reader.id) == 2
        assert reader_of(connection, session, NOW) is None


def test_a_blocked_address_neither_signs_in_nor_stays(store: Store) -> None:
    olga, ada = store.reader("olga@example.org"), store.reader()
    with store.database.write() as connection:
        token = new_link(connection, ADA, NOW)
        block(connection, ADA, olga, NOW)
        assert use_link(connection, token, NOW) is None
        assert connection.scalar(select(func.count()).where(sessions.c.reader == ada.id)) == 0
        later = new_link(connection, ADA, NOW)  # one that was being made at the same moment
        assert link_address(connection, later, NOW) is None
        assert use_link(connection, later, NOW) is None
        opened = open_session(connection, ada.id, NOW)
        assert reader_of(connection, opened, NOW) is None
        unblock(connection, ADA, olga, NOW)
        assert reader_of(connection, opened, NOW) == ada
