"""Rows made up by type, and a small shop to look at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from embedded_database.schema import BLOBS, INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_database.database import EmbeddedDatabase
    from embedded_database.schema import Column, Table

_FIRST_NAMES = ["Ada", "Grace", "Edsger", "Barbara", "Alan", "Radia", "Tony", "Frances", "Ken", "Margaret"]
_CITIES = ["Lisbon", "Oslo", "Nairobi", "Quito", "Hanoi", "Perth", "Austin", "Kyoto"]
_STATES = ("new", "paid", "shipped", "returned")
_ORDERS_PER_CUSTOMER = 5

SHOP_TABLES = (
    (
        "create table customers (id bigint primary key, name varchar(100) not null, email varchar(200),"
        " city varchar(80), vip tinyint(1) not null default 0, profile json, created_at datetime(6) not null)"
    ),
    (
        "create table orders (id bigint primary key, customer_id bigint not null,"
        " status enum('new','paid','shipped','returned') not null, total decimal(12,2) not null,"
        " note text, ordered_at timestamp not null, key by_customer (customer_id))"
    ),
)


def load_shop(database: EmbeddedDatabase, keyspace: str, customers: int) -> None:
    """Creates and fills the tables of the shop in a keyspace."""
    for ddl in SHOP_TABLES:
        database.execute(ddl, keyspace)
    database.load(keyspace, "customers", map(_customer, range(1, customers + 1)))
    orders = range(1, customers * _ORDERS_PER_CUSTOMER + 1)
    database.load(keyspace, "orders", (_order(number, customers) for number in orders))


def _moment(number: int) -> str:
    return f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}:00"


def _customer(number: int) -> tuple[object, ...]:
    name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} {number}"
    profile = json.dumps({"newsletter": number % 2 == 0, "visits": number % 97})
    city = _CITIES[number % len(_CITIES)]
    return number, name, f"c{number}@example.com", city, number % 10 == 0, profile, _moment(number)


def _order(number: int, customers: int) -> tuple[object, ...]:
    total = f"{number * 7919 % 100000 / 100:.2f}"
    note = None if number % 3 else f"Ring twice, order {number}"
    customer = number % customers + 1
    return number, customer, _STATES[number % len(_STATES)], total, note, _moment(number)


def generated_rows(table: Table, count: int, first: int) -> Iterator[list[object]]:
    """Rows whose values follow from their number and the columns' types."""
    for number in range(first, first + count):
        yield [_generated(column, number) for column in table.columns]


def _generated(column: Column, number: int) -> object:
    kind = column.data_type
    if kind in INTEGERS:
        return number % 2 ** (INTEGERS[kind][0] - 1)
    if column.labels:
        return column.labels[number % len(column.labels)]
    if kind in ("decimal", "float", "double", "bit"):
        return number % 2
    if kind in ("date", "datetime", "timestamp"):
        return _moment(number)
    if kind in ("time", "year"):
        return "12:34:56" if kind == "time" else 2024
    if kind == "json":
        return json.dumps({"number": number})
    if kind in BLOBS or kind in ("binary", "varbinary"):
        return str(number).encode()[: column.character_length]
    return f"value {number}"[: column.character_length] if column.charset else None
