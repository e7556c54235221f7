"""Reads the options of a table, which CREATE TABLE and ALTER TABLE share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.ddl.clauses import Clause, DefaultCharset
from source_planetscale.ddl.type_parser import accept_charset, read_collation

if TYPE_CHECKING:
    from source_planetscale.ddl.reader import Reader

# Options with one value. ALGORITHM and LOCK are no properties of the table, but look the same.
_VALUED = (
    *("algorithm", "auto_increment", "autoextend_size", "avg_row_length", "checksum", "comment"),
    *("compression", "connection", "delay_key_write", "encryption", "engine", "engine_attribute"),
    *("insert_method", "key_block_size", "lock", "max_rows", "min_rows", "pack_keys", "password"),
    *("row_format", "secondary_engine", "secondary_engine_attribute", "stats_auto_recalc"),
    *("stats_persistent", "stats_sample_pages", "storage", "table_checksum", "tablespace", "type"),
)


def accept_option(reader: Reader, clauses: list[Clause]) -> bool:
    """Takes an option if one is next.

    Args:
        reader: Stands where an option may stand.
        clauses: Gets what the option says of later columns.

    Returns:
        Whether there was one.

    Raises:
        GrammarError: It has no value.
    """
    reader.accept("default")
    if accept_charset(reader):
        reader.accept("=")
        charset = None if reader.accept("default") else read_collation(reader, is_charset=True)
        clauses.append(DefaultCharset(charset))
    elif reader.accept("collate"):
        reader.accept("=")
        clauses.append(DefaultCharset(read_collation(reader)))
    elif reader.accept("union"):
        reader.accept("=")
        reader.skip_parentheses()
    elif (
        reader.accept("data", "directory")
        or reader.accept("index", "directory")
        or reader.accept_any(*_VALUED)
    ):
        reader.accept("=")
        reader.take()
    else:
        return False
    return True
