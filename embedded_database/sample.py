"""A small shop to look at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from embedded_database.columns.generated import moment

if TYPE_CHECKING:
    from embedded_database.database import EmbeddedDatabase

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


def _customer(number: int) -> tuple[object, ...]:
    name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} {number}"
    profile = json.dumps({"newsletter": number % 2 == 0, "visits": number % 97})
    city = _CITIES[number % len(_CITIES)]
    return number, name, f"c{number}@example.com", city, number % 10 == 0, profile, moment(number)


def _order(number: int, customers: int) -> tuple[object, ...]:
    total = f"{number * 7919 % 100000 / 100:.2f}"
    note = None if number % 3 else f"Ring twice, order {number}"
    customer = number % customers + 1
    return number, customer, _STATES[number % len(_STATES)], total, note, moment(number)
