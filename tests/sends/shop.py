"""A shop that writes orders, each with its SMS in one PostgreSQL transaction, until it is killed: a script.

Told by its arguments: the connection string, the way (psycopg, sqlalchemy, psql), the seed, and where psql is.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable

import psycopg
from sqlalchemy import create_engine, text

from vavasms.outbox import enqueue

NUMBER = "+22507050{:05}"


class RolledBackError(Exception):
    """The shop thought better of it."""


def by_psycopg(url: str, _psql: str) -> Callable[[str, str, bool], None]:
    """Return how an order is written over psycopg."""
    connection = psycopg.connect(url)

    def write(order: str, number: str, goes_wrong: bool) -> None:
        with connection.transaction():
            connection.execute("INSERT INTO public.orders (id) VALUES (%s)", [order])
            enqueue(connection, number, f"Commande {order}", idempotency_key=order)
            if goes_wrong:
                raise RolledBackError

    return write


def by_sqlalchemy(url: str, _psql: str) -> Callable[[str, str, bool], None]:
    """Return how an order is written over SQLAlchemy."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))

    def write(order: str, number: str, goes_wrong: bool) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO public.orders (id) VALUES (:id)"), {"id": order})
            enqueue(connection, number, f"Commande {order}", idempotency_key=order)
            if goes_wrong:
                raise RolledBackError

    return write


def by_psql(url: str, psql: str) -> Callable[[str, str, bool], None]:
    """Return how an order is written in SQL alone."""

    def write(order: str, number: str, goes_wrong: bool) -> None:
        script = (
            f"BEGIN; INSERT INTO public.orders (id) VALUES ('{order}'); "
            f"SELECT vavasms.enqueue('{order}', '{number}', 'Commande {order}'); "
            f"{'ROLLBACK' if goes_wrong else 'COMMIT'};"
        )
        subprocess.run([psql, "-q", "-v", "ON_ERROR_STOP=1", url], input=script, text=True, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    return write


WAYS = {"psycopg": by_psycopg, "sqlalchemy": by_sqlalchemy, "psql": by_psql}


def main() -> None:
    """Write orders until the end."""
    url, way, seed, psql = sys.argv[1:]
    draw, write = random.Random(seed), WAYS[way](url, psql)
    print("open", flush=True)
    for number in range(100_000):
        try:
            write(f"{way}-{seed}-{number}", NUMBER.format(draw.randrange(90_000)), draw.random() < 1 / 3)
        except RolledBackError:
            continue


if __name__ == "__main__":
    main()
