"""What a table looks like: plain values that discovery fills in and every later room reads."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: The column's name, as the table spells it.
        column_type: MySQL's full type text in lower case apart from labels, such as `int unsigned`,
            `varchar(20)`, `enum('a','b')`; the same text in information_schema and in VStream's fields.
        charset: MySQL's character set name (`utf8mb4`, `latin1`), empty where the type has none.
        nullable: Whether the column takes NULL.
    """

    name: str
    column_type: str
    charset: str = ""
    nullable: bool = True


@dataclass(frozen=True)
class WireColumn:
    """One column of rows on the wire.

    Attributes:
        written: The name, the type and the character set that its values were written with.
        decoded: What the server took the column for when it decoded the values, where that differs from
            `written`; None if it does not. A server that no longer knows the column gives it a name such
            as `@3` and no type: integers come signed then.
        target: The column of the table as it is today that takes the values; None if they are dropped.
    """

    written: Column
    decoded: Column | None
    target: Column | None


@dataclass(frozen=True)
class Table:
    """One base table.

    Attributes:
        keyspace: The keyspace that holds it; the namespace of its stream.
        name: The table's bare name; the name of its stream.
        columns: All columns in table order, generated and invisible ones included.
        primary_key: Names of the key's columns in the order of the key. A table without a primary key
            that has a unique key over NOT NULL columns counts that one, as MySQL itself does; empty if
            there is neither.
        estimated_rows: About how many rows one shard holds, as InnoDB estimates it; None if it is not known.
            MySQL lets it be a day old (information_schema_stats_expiry) and far off.
    """

    keyspace: str
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    estimated_rows: int | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """What tells it apart from all others, also from its namesakes in other keyspaces."""
        return table_key(self.keyspace, self.name)


def table_key(keyspace: str, name: str) -> str:
    """Gives `Table.key`; no keyspace has a slash in its name."""
    return f"{keyspace}/{name}"
