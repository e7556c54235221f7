"""Compares the table of character sets with a MySQL server.

What a column of a character set can hold (every byte, pair of bytes, triple of the EUC sets, the bytes of
every code point) is decoded here and by the server. What the server has a character for must be the same
here; and a set in which anything has no character must say so. Run it from the checkout after a change of
`columns/charsets.py`, or with a new version of MySQL:

    python -m tools.compare_charsets          # starts a Vitess of its own
    python -m tools.compare_charsets SOCKET   # an administrator's socket of a server that runs

Exit code 1 says that something differs.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pymysql

from integration_tests.vitess.cluster import VitessCluster
from source_planetscale.columns.charsets import CHARSETS, Charset, charset_of_collation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LAST_CODE_POINT: Final = 0x10FFFF
_SHOWN: Final = 20

_BYTES: Final = "unhex(lpad(hex(n), {digits}, '0'))"
_BYTES_OF_CODE_POINT: Final = (
    "cast(convert(convert(unhex(lpad(hex(n), 8, '0')) using utf32) using {charset}) as binary)"
)
# An insertion that is not strict cuts what is not well formed, with a warning.
_INSERTION: Final = """
insert ignore into tried (b, v)
with recursive numbers (n) as (select {first} union all select n + 1 from numbers where n < {last}),
bytes (b) as (select {bytes} from numbers)
select b, b from bytes
"""


class Difference(NamedTuple):
    """Bytes that the server and the table decode differently; None for no text."""

    value: bytes
    server: str | None
    table: str | None


def make_candidates(connection: pymysql.Connection[Any], charset: str) -> None:
    """Makes a temporary table `candidates` of everything that a column of a character set can hold.

    Args:
        connection: A session that is not strict and may recurse as often as there are code points.
        charset: The character set.
    """
    with connection.cursor() as cursor:
        cursor.execute("drop temporary table if exists candidates, tried")
        cursor.execute(f"create temporary table tried (b varbinary(4), v varchar(4) character set {charset})")
        for first, last, made in _bytes_of(connection, charset):
            cursor.execute(_INSERTION.format(first=first, last=last, bytes=made))
        cursor.execute(
            "create temporary table candidates select distinct b, v from tried "
            "where cast(v as binary) = b and b <> ''"
        )
        cursor.execute("drop temporary table tried")


def decoded(connection: pymysql.Connection[Any], charset: Charset) -> Iterator[Difference]:
    """Gives what the server and the table make of everything that a column can hold, differing or not."""
    with connection.cursor() as cursor:
        cursor.execute(f"select cast(convert('?' using {charset.name}) as binary)")
        ((question_mark,),) = cursor.fetchall()
        make_candidates(connection, charset.name)
        cursor.execute("select b, convert(v using utf8mb4) from candidates")
        for value, text in cursor.fetchall():
            # The server writes a question mark, at times U+FFFD, for what has no character in Unicode.
            unknown = not text or text.count(b"?") > value.count(question_mark)
            server, table = None if unknown else text.decode(), _decoded_here(charset, value)
            if server == "\ufffd" != table:
                server = None
            yield Difference(value, server, table)


def _bytes_of(connection: pymysql.Connection[Any], charset: str) -> Sequence[tuple[int, int, str]]:
    """Ranges of numbers, and the SQL that makes bytes of the number `n`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select maxlen from information_schema.character_sets where character_set_name = %s", (charset,)
        )
        ((length,),) = cursor.fetchall()
    single, double, triple, four = (_BYTES.format(digits=digits) for digits in (2, 4, 6, 8))
    if length == 1:
        return [(0, 0xFF, single)]
    if charset == "ucs2":
        return [(0, 0xFFFF, double)]
    ranges = [(0, _LAST_CODE_POINT, _BYTES_OF_CODE_POINT.format(charset=charset))]
    # Halves of surrogate pairs are no characters.
    if charset in ("utf8mb3", "utf8mb4"):
        return [*ranges, (0xEDA080, 0xEDBFBF, triple)]
    if charset in ("utf16", "utf16le"):
        return [*ranges, (0, 0xFFFF, double)]
    if charset == "utf32":
        return [*ranges, (0xD800, 0xDFFF, four)]
    ranges += [(0, 0xFF, single), (0x8000, 0xFFFF, double)]
    if charset in ("ujis", "eucjpms"):
        ranges.append((0x8F0000, 0x8FFFFF, triple))
    if charset == "gb18030":
        ranges.append((0xFE39FE30, 0xFE39FE39, four))
    return ranges


def _decoded_here(charset: Charset, value: bytes) -> str | None:
    try:
        return charset.decode(value)
    except UnicodeDecodeError:
        return None


def _unknown_collations(connection: pymysql.Connection[Any]) -> list[str]:
    """The server's collations whose character set the table does not know, or knows as another."""
    with connection.cursor() as cursor:
        cursor.execute("select id, character_set_name, collation_name from information_schema.collations")
        return [
            collation.decode()
            for number, charset, collation in cursor.fetchall()
            if charset != b"binary" and charset_of_collation(number) != charset.decode()
        ]


def main() -> int:
    """Compares all character sets and prints what differs."""
    with ExitStack() as stack:
        if len(sys.argv) > 1:
            connection = pymysql.connect(unix_socket=sys.argv[1], user="vt_dba", autocommit=True)
        else:
            connection = stack.enter_context(VitessCluster.start({"src": 1})).connect_mysqld()
        stack.callback(connection.close)
        connection.select_db("mysql")
        with connection.cursor() as cursor:
            cursor.execute(
                "set session cte_max_recursion_depth = 2000000, sql_mode = '', character_set_results = binary"
            )
        failed = False
        for charset in CHARSETS:
            found = list(decoded(connection, charset))
            wrong = [each for each in found if each.server is not None and each.server != each.table]
            has_gaps = any(each.table is None for each in found)
            more = sum(each.server is None and each.table is not None for each in found)
            if has_gaps != charset.has_gaps:
                print(f"  but has_gaps is {charset.has_gaps}")
            failed |= bool(wrong) or has_gaps != charset.has_gaps
            print(
                f"{charset.name}: {len(found)} tried, {len(wrong)} differ, {more} known here alone, "
                f"{'some' if has_gaps else 'none'} without character",
                flush=True,
            )
            for each in wrong[:_SHOWN]:
                print(f"  {each.value.hex()}: {each.server!a} on the server, {each.table!a} here")
        unknown = _unknown_collations(connection)
        print(f"unknown collations: {', '.join(unknown) or 'none'}")
    return int(failed or bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
