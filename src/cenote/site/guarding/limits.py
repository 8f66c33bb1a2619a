"""How often something may be done: one row a key in the store, so that every process of the site counts together."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.store.reader_tables import limits


@dataclass(frozen=True)
class Limit:
    """So many times at once, and as many again within each such time; the allowance comes back evenly."""

    times: int
    within: dt.timedelta

    @property
    def pause(self) -> float:
        """Seconds after which one more is allowed."""
        return self.within.total_seconds() / self.times


def take(connection: Connection, key: str, limit: Limit, now: dt.datetime) -> float:
    """Do something once more; return 0 if it is allowed, else the seconds after which it will be.

    It is one statement (the generic cell rate algorithm), so of several that ask at once no more are allowed than of
    several that ask in turn. What is not allowed does not count.

    Args:
        connection: One that may write.
        key: What is done by whom, see ``limit_key``.
        limit: How often it may be.
        now: The present moment, with its zone.
    """
    moment = now.timestamp()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    greatest = func.max if connection.dialect.name == "sqlite" else func.greatest
    statement = insert(limits).values(key=key, full_at=moment + limit.pause)
    later = greatest(limits.c.full_at, moment) + limit.pause
    within = later <= moment + limit.within.total_seconds() + 1e-6
    upsert = statement.on_conflict_do_update(index_elements=[limits.c.key], set_={"full_at": later}, where=within)
    if connection.execute(upsert.returning(limits.c.full_at)).first() is not None:
        return 0.0
    full_at = connection.scalar(select(limits.c.full_at).where(limits.c.key == key)) or moment
    return max(1e-3, full_at + limit.pause - limit.within.total_seconds() - moment)


def forget_limits(connection: Connection, now: dt.datetime) -> int:
    """Take out what does not limit anybody any more; return how many rows that were."""
    return connection.execute(delete(limits).where(limits.c.full_at < now.timestamp())).rowcount


def limit_key(secret: str, what: str, who: str) -> str:
    """Return the key of something done by somebody, from which neither an address nor an IP can be read."""
    return hmac.new(secret.encode(), f"{what}\0{who}".encode(), hashlib.sha256).hexdigest()


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the 64 bits of IPv6 that one subscriber has.

    Example:
        >>> network_of("2001:db8:1:2:3::4"), network_of("192.0.2.7"), network_of("testclient")
        ('2001:db8:1:2::/64', '192.0.2.7', 'testclient')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
