"""One table of what a column can hold: the value in SQL, its bytes on the wire in both phases, and its JSON.

The contract proves on the embedded database and on a real Vitess (24, over MySQL 9) that SQL gives these
bytes, the package's unit tests that these bytes give this JSON, and the tests of values that SQL gives it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Zero dates and days that do not exist, and labels that an ENUM lacks, are values of servers that allow them.
LENIENT = "/*+ set_var(sql_mode='ALLOW_INVALID_DATES') */"


class Case(NamedTuple):
    """A column with one value.

    Attributes:
        definition: The column's definition after its name, as in CREATE TABLE.
        literal: The value in SQL.
        json: The value in the record, as JSON text; `null` if it cannot be represented.
        copy: The bytes of the copy phase; None for NULL.
        binlog: The bytes of a binlog event where they differ from those of the copy phase.
        json_of_change: The value in the record of a change where it differs.
        before_23: The bytes of a binlog event in Vitess before 23, where they differ.
    """

    definition: str
    literal: str
    json: str
    copy: bytes | None
    binlog: bytes | None = None
    json_of_change: str | None = None
    before_23: bytes | None = None

    @property
    def changed(self) -> bytes | None:
        """The bytes of a binlog event."""
        return self.copy if self.binlog is None else self.binlog

    def changed_by(self, major: int) -> bytes | None:
        """The bytes of a binlog event that comes from this major version of Vitess."""
        return self.changed if major >= 23 or self.before_23 is None else self.before_23

    @property
    def is_nulled(self) -> bool:
        """Whether the record has to say that the value was left out."""
        return self.json == "null" and self.copy is not None

    @property
    def charset(self) -> str:
        """The character set that the definition names; utf8mb4 if it names none."""
        named = re.search(r"(?:character set|collate) ([a-z0-9]+)", self.definition)
        return named[1] if named else "utf8mb4"


NUMBERS = [
    Case("tinyint", "-128", "-128", b"-128"),
    Case("tinyint", "-5", "-5", b"-5"),
    Case("tinyint unsigned", "255", "255", b"255"),
    Case("tinyint(1)", "0", "false", b"0"),
    Case("tinyint(1)", "1", "true", b"1"),
    Case("tinyint(1)", "-5", "true", b"-5"),
    Case("tinyint(1)", "127", "true", b"127"),
    Case("bool", "true", "true", b"1"),
    Case("smallint", "-32768", "-32768", b"-32768"),
    Case("smallint unsigned", "65535", "65535", b"65535"),
    Case("mediumint", "-8388608", "-8388608", b"-8388608"),
    Case("mediumint unsigned", "16777215", "16777215", b"16777215"),
    Case("int", "-2147483648", "-2147483648", b"-2147483648"),
    Case("int(5) unsigned zerofill", "7", "7", b"00007", b"7"),
    Case("int(5) unsigned zerofill", "0", "0", b"00000", b"0"),
    Case("int not null", "7", "7", b"7"),
    Case("int unsigned", "4294967295", "4294967295", b"4294967295"),
    Case("int(11)", "0", "0", b"0"),
    Case("bigint", "-9223372036854775808", "-9223372036854775808", b"-9223372036854775808"),
    Case("bigint unsigned", "18446744073709551615", "18446744073709551615", b"18446744073709551615"),
    Case(
        "decimal(65,30)",
        "12345678901234567890123456789012345.123456789012345678901234567890",
        "12345678901234567890123456789012345.123456789012345678901234567890",
        b"12345678901234567890123456789012345.123456789012345678901234567890",
    ),
    Case("decimal(65,30)", "1.5", "1.500000000000000000000000000000", b"1.500000000000000000000000000000"),
    Case("decimal(20,0)", "99999999999999999999", "99999999999999999999", b"99999999999999999999"),
    Case("decimal(10,2)", "-0.50", "-0.50", b"-0.50", before_23=b"-.50"),
    Case("decimal(10,2)", ".5", "0.50", b"0.50", before_23=b".50"),
    Case("decimal(10,2)", "0.5", "0.50", b"0.50", before_23=b".50"),
    Case("decimal(10,2)", "-.5", "-0.50", b"-0.50", before_23=b"-.50"),
    Case("decimal(10,0) unsigned", "3", "3", b"3", before_23=b"000000003"),
    Case("decimal(5,5)", "-0.00001", "-0.00001", b"-0.00001", before_23=b"-.00001"),
    Case("decimal(5,5)", "0", "0.00000", b"0.00000", before_23=b".00000"),
    Case("float", "3.14159", "3.14159", b"3.14159", b"3.14159E+00"),
    Case("float", "16777217", "16777200.0", b"16777200", b"1.6777216E+07"),
    Case("float", "123456.789", "123457.0", b"123457", b"1.2345679E+05"),
    Case("float", "0.1", "0.1", b"0.1", b"1E-01"),
    Case("float", "1234567.8", "1234570.0", b"1234570", b"1.2345678E+06"),
    Case("float", "3.4e38", "3.4e+38", b"3.4e38", b"3.4E+38"),
    Case("float", "1e-7", "1e-7", b"0.0000001", b"1E-07"),
    Case("float", "0.12345649", "0.123456", b"0.123456", b"1.2345649E-01"),
    Case("float(7,3)", "1234.5678", "1234.568", b"1234.568", b"1.234568E+03"),
    Case("float(7,3)", "1.5", "1.5", b"1.500", b"1.5E+00"),
    Case("float(10,2)", "12345678", "12345678.0", b"12345678.00", b"1.2345678E+07"),
    Case("double", "2.718281828459045", "2.718281828459045", b"2.718281828459045", b"2.718281828459045E+00"),
    Case("double", "1e300", "1e+300", b"1e300", b"1E+300"),
    Case("double", "0.1", "0.1", b"0.1", b"1E-01"),
    Case("double", "-2.5e-8", "-2.5e-8", b"-0.000000025", b"-2.5E-08"),
    Case("double", "1e15", "1000000000000000.0", b"1e15", b"1E+15"),
    Case(
        "double",
        "123456789012345678",
        "1.2345678901234568e+17",
        b"1.2345678901234568e17",
        b"1.2345678901234568E+17",
    ),
    Case("double", "5e-324", "5e-324", b"5e-324", b"5E-324"),
    Case("double(8,2)", "1.25", "1.25", b"1.25", b"1.25E+00"),
    Case("double(10,3)", "123456.891", "123456.891", b"123456.891", b"1.23456891E+05"),
    Case("year", "2024", "2024", b"2024"),
    Case("year", "0", "0", b"0000"),
    Case("year", "1901", "1901", b"1901"),
    Case("bit(1)", "b'0'", "false", b"\x00"),
    Case("bit(1)", "b'1'", "true", b"\x01"),
    Case("bit(8)", "x'ff'", '"/w=="', b"\xff"),
    Case("bit(12)", "b'101010101010'", '"Cqo="', b"\n\xaa"),
    Case("bit(64)", "x'8000000000000001'", '"gAAAAAAAAAE="', b"\x80\x00\x00\x00\x00\x00\x00\x01"),
    Case(
        "bit(64)",
        "b'1000000000000000000000000000000000000000000000000000000000000001'",
        '"gAAAAAAAAAE="',
        b"\x80\x00\x00\x00\x00\x00\x00\x01",
    ),
    Case("bit(9)", "b'101010101'", '"AVU="', b"\x01U"),
    Case("bit(5)", "b'10101'", '"FQ=="', b"\x15"),
]

TIMES = [
    Case("date", "'2024-02-29'", '"2024-02-29"', b"2024-02-29"),
    Case("date", "'9999-12-31'", '"9999-12-31"', b"9999-12-31"),
    Case("date", "'0000-00-00'", "null", b"0000-00-00"),
    Case("date", "'2020-00-10'", "null", b"2020-00-10"),
    Case("date", "'0000-01-01'", "null", b"0000-01-01"),
    Case("date", "'2024-02-31'", "null", b"2024-02-31"),
    Case("date", "'0001-01-01'", '"0001-01-01"', b"0001-01-01"),
    Case("datetime", "'2024-02-29 12:34:56'", '"2024-02-29T12:34:56.000000"', b"2024-02-29 12:34:56"),
    Case("datetime", "'0000-00-00 00:00:00'", "null", b"0000-00-00 00:00:00"),
    Case("datetime", "'2024-00-00 00:00:00'", "null", b"2024-00-00 00:00:00"),
    Case("datetime", "'2024-01-02 03:04:05'", '"2024-01-02T03:04:05.000000"', b"2024-01-02 03:04:05"),
    Case("datetime", "'2020-01-00'", "null", b"2020-01-00 00:00:00"),
    Case("datetime", "'2024-02-31'", "null", b"2024-02-31 00:00:00"),
    Case(
        "datetime(3)", "'2024-02-29 12:34:56.789'", '"2024-02-29T12:34:56.789000"', b"2024-02-29 12:34:56.789"
    ),
    Case("datetime(3)", "'0000-00-00 00:00:00'", "null", b"0000-00-00 00:00:00.000"),
    Case(
        "datetime(3)", "'2024-01-02 03:04:05.12'", '"2024-01-02T03:04:05.120000"', b"2024-01-02 03:04:05.120"
    ),
    Case(
        "datetime(6)",
        "'1000-01-01 00:00:00.000001'",
        '"1000-01-01T00:00:00.000001"',
        b"1000-01-01 00:00:00.000001",
    ),
    Case(
        "datetime(6)",
        "'2024-01-02 03:04:05.000001'",
        '"2024-01-02T03:04:05.000001"',
        b"2024-01-02 03:04:05.000001",
    ),
    Case("datetime(6)", "'0000-01-01'", "null", b"0000-01-01 00:00:00.000000"),
    Case("datetime(1)", "'2024-01-02 03:04:05.1'", '"2024-01-02T03:04:05.100000"', b"2024-01-02 03:04:05.1"),
    Case(
        "timestamp null",
        "'2024-02-29 12:34:56+00:00'",
        '"2024-02-29T12:34:56.000000+00:00"',
        b"2024-02-29 12:34:56",
    ),
    Case("timestamp null", "'0000-00-00 00:00:00'", "null", b"0000-00-00 00:00:00"),
    Case(
        "timestamp null",
        "'2024-01-02 03:04:05'",
        '"2024-01-02T03:04:05.000000+00:00"',
        b"2024-01-02 03:04:05",
    ),
    Case(
        "timestamp(6) null",
        "'2024-02-29 12:34:56.789012+00:00'",
        '"2024-02-29T12:34:56.789012+00:00"',
        b"2024-02-29 12:34:56.789012",
    ),
    Case(
        "timestamp(3) null",
        "'2024-01-02 03:04:05.5'",
        '"2024-01-02T03:04:05.500000+00:00"',
        b"2024-01-02 03:04:05.500",
    ),
    Case(
        "timestamp(3) null",
        "'2038-01-19 03:14:07.499+00:00'",
        '"2038-01-19T03:14:07.499000+00:00"',
        b"2038-01-19 03:14:07.499",
    ),
    Case("time", "'12:34:56'", '"12:34:56"', b"12:34:56"),
    Case("time", "'-838:59:59'", "null", b"-838:59:59"),
    Case("time", "'-00:00:01'", "null", b"-00:00:01"),
    Case("time", "'00:00:00'", '"00:00:00"', b"00:00:00"),
    Case("time", "'24:00:00'", "null", b"24:00:00"),
    Case("time", "'838:59:59'", "null", b"838:59:59"),
    Case("time(3)", "'23:59:59.250'", '"23:59:59.250"', b"23:59:59.250"),
    Case("time(3)", "'100:00:00.000'", "null", b"100:00:00.000"),
    Case("time(6)", "'-00:00:00.500000'", "null", b"-00:00:00.500000"),
    Case("time(6)", "'838:59:59'", "null", b"838:59:59.000000"),
    Case("time(6)", "'23:59:59.999999'", '"23:59:59.999999"', b"23:59:59.999999"),
    Case("time(6)", "'-00:00:00.000001'", "null", b"-00:00:00.000001"),
    Case("time(2)", "'-00:00:00.5'", "null", b"-00:00:00.50"),
    Case("time(2)", "'12:34:56.7'", '"12:34:56.70"', b"12:34:56.70"),
]

TEXTS = [
    Case("char(5)", "'ab  '", '"ab"', b"ab"),
    Case("char(5)", "'ab '", '"ab"', b"ab"),
    Case("char(5)", "'  ab'", '"  ab"', b"  ab"),
    Case("char(4) collate utf8mb4_bin", "'ab '", '"ab"', b"ab"),
    Case("varchar(9)", "'tail  '", '"tail  "', b"tail  "),
    Case("varchar(9)", "''", '""', b""),
    Case("varchar(20)", "'q\"b\\\\c\\n\\t\\0'", '"q\\"b\\\\c\\n\\t\\u0000"', b'q"b\\c\n\t\x00'),
    Case("varchar(10)", "'h\\'i '", '"h\'i "', b"h'i "),
    Case("varchar(10) not null default ''", "''", '""', b""),
    Case("varchar(10) character set latin1", "'é€'", '"é€"', b"\xe9\x80"),
    Case("varchar(10) collate utf8mb4_bin", "'Ab'", '"Ab"', b"Ab"),
    Case("varchar(10) character set utf8mb3", "'u3'", '"u3"', b"u3"),
    Case("varchar(5) character set utf16", "'u16'", '"u16"', b"\x00u\x001\x006"),
    Case("varchar(5) character set sjis", "'ソ'", '"ソ"', b"\x83\\"),
    Case("varchar(5) character set gbk", "'中'", '"中"', b"\xd6\xd0"),
    Case("varchar(5) character set ascii", "'as'", '"as"', b"as"),
    Case("varchar(5) collate utf8mb4_general_ci", "'gc'", '"gc"', b"gc"),
    Case("varchar(5) character set latin1 collate latin1_bin", "'lb'", '"lb"', b"lb"),
    Case("varchar(3)", "null", "null", None),
    Case("tinytext", "'<&>'", '"<&>"', b"<&>"),
    Case("tinytext", "'tt'", '"tt"', b"tt"),
    Case("text", "'é 漢 😀'", '"é 漢 😀"', b"\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80"),
    Case("text", "'text'", '"text"', b"text"),
    Case("text", "'😀 \u2028 é'", '"😀 \u2028 é"', b"\xf0\x9f\x98\x80 \xe2\x80\xa8 \xc3\xa9"),
    Case("text collate utf8mb4_bin", "'text'", '"text"', b"text"),
    Case("text character set latin1", "'é'", '"é"', b"\xe9"),
    Case("mediumtext", "'null'", '"null"', b"null"),
    Case("mediumtext", "'mt'", '"mt"', b"mt"),
    Case("longtext", "'true'", '"true"', b"true"),
    Case("longtext", "'lt'", '"lt"', b"lt"),
    Case("enum('a','b')", "'b'", '"b"', b"b"),
    Case("enum('2','1')", "'2'", '"2"', b"2"),
    Case("enum('2','1')", "'1'", '"1"', b"1"),
    Case("enum('x,y','it''s','(p)','1')", "'1'", '"1"', b"1"),
    Case("enum('x,y','it''s','(p)','1')", "'x,y'", '"x,y"', b"x,y"),
    Case("enum('x,y','it''s','(p)','1')", "'it''s'", '"it\'s"', b"it's"),
    Case("enum('é','a') character set latin1", "'é'", '"é"', b"\xe9", b"\xc3\xa9"),
    Case("enum('a','b','it''s')", "'it''s'", '"it\'s"', b"it's"),
    Case("enum('x') character set latin1 not null", "'x'", '"x"', b"x"),
    Case("enum('é','ü')", "'ü'", '"ü"', b"\xc3\xbc"),
    Case("set('r','b')", "'b,r'", '"r,b"', b"r,b"),
    Case("set('a','9')", "'9'", '"9"', b"9"),
    Case("set('a','9')", "''", '""', b""),
    Case("set('é','it''s') character set latin1", "'é,it''s'", '"é,it\'s"', b"\xe9,it's", b"\xc3\xa9,it's"),
    Case("set('x','y','z')", "'x,z'", '"x,z"', b"x,z"),
    Case("set('x','y')", "''", '""', b""),
    Case("set('é','ü')", "'ü'", '"ü"', b"\xc3\xbc"),
    Case(
        "json",
        '\'{"a": [1, null, "é"]}\'',
        '"{\\"a\\": [1, null, \\"é\\"]}"',
        b'{"a": [1, null, "\xc3\xa9"]}',
    ),
    Case("json", "'null'", '"null"', b"null"),
    Case("json", "'18446744073709551615'", '"18446744073709551615"', b"18446744073709551615"),
    Case("json", "'\"text\"'", '"\\"text\\""', b'"text"'),
    Case(
        "json",
        '\'{"b": 1, "a": [1, 2.50], "aa": null, "é": 1e2}\'',
        '"{\\"a\\": [1, 2.5], \\"b\\": 1, \\"aa\\": null, \\"é\\": 100.0}"',
        b'{"a": [1, 2.5], "b": 1, "aa": null, "\xc3\xa9": 100.0}',
        b'{"a": [1, 2.5], "aa": null, "b": 1, "\xc3\xa9": 100.0}',
        json_of_change='"{\\"a\\": [1, 2.5], \\"aa\\": null, \\"b\\": 1, \\"é\\": 100.0}"',
    ),
    Case("json", '\'"x\\\\"y"\'', '"\\"x\\\\\\"y\\""', b'"x\\"y"'),
    Case(
        "json",
        "'[18446744073709551615, 1.0, -0.0, 1e300, 1e-7, 100000000000000000000, true]'",
        '"[18446744073709551615, 1.0, -0.0, 1e300, 0.0000001, 1e20, true]"',
        b"[18446744073709551615, 1.0, -0.0, 1e300, 0.0000001, 1e20, true]",
    ),
]

BYTES = [
    Case("binary(4)", "x'00ff41'", '"AP9BAA=="', b"\x00\xffA\x00"),
    Case("binary(4)", "x''", '"AAAAAA=="', b"\x00\x00\x00\x00"),
    Case("binary(8)", "x'00ff'", '"AP8AAAAAAAA="', b"\x00\xff\x00\x00\x00\x00\x00\x00"),
    Case("varbinary(8)", "x''", '""', b""),
    Case("varbinary(8)", "x'fbff'", '"+/8="', b"\xfb\xff"),
    Case("varbinary(8)", "null", "null", None),
    Case("varbinary(9)", "x'00ff'", '"AP8="', b"\x00\xff"),
    Case("tinyblob", "x'00'", '"AA=="', b"\x00"),
    Case("tinyblob", "'x'", '"eA=="', b"x"),
    Case("blob", "'text'", '"dGV4dA=="', b"text"),
    Case("blob", "'bl\\0ob'", '"YmwAb2I="', b"bl\x00ob"),
    Case("mediumblob", "x'ff'", '"/w=="', b"\xff"),
    Case("mediumblob", "'y'", '"eQ=="', b"y"),
    Case("longblob", "x'80'", '"gA=="', b"\x80"),
    Case("longblob", "'z'", '"eg=="', b"z"),
    Case(
        "point",
        "st_geomfromtext('point(1 2)')",
        '"AQEAAAAAAAAAAADwPwAAAAAAAABA"',
        b"\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
    ),
    Case(
        "point",
        "ST_GeomFromText('POINT(1 2)')",
        '"AQEAAAAAAAAAAADwPwAAAAAAAABA"',
        b"\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
    ),
    Case(
        "linestring",
        "st_geomfromtext('linestring(0 0, 1 2)')",
        '"AQIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAAAEA="',
        b"\x00\x00\x00\x00\x01\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
    ),
    Case("vector(2)", "string_to_vector('[0.1,1.5]')", "[0.1,1.5]", b"\xcd\xcc\xcc=\x00\x00\xc0?"),
    Case("vector(3)", "string_to_vector('[1,2,3]')", "[1,2,3]", b"\x00\x00\x80?\x00\x00\x00@\x00\x00@@"),
    Case(
        "vector(3)",
        "string_to_vector('[0.1,-1.5,3.4028235e38]')",
        "[0.1,-1.5,3.4028235e+38]",
        b"\xcd\xcc\xcc=\x00\x00\xc0\xbf\xff\xff\x7f\x7f",
    ),
    Case(
        "geometry",
        "ST_GeomFromText('LINESTRING(0 0,1 1)')",
        '"AQIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8="',
        b"\x00\x00\x00\x00\x01\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0?",
    ),
]

# What the embedded database does not do as MySQL does.
VITESS_ALONE = [
    Case("tinyint(1) unsigned", "1", "1", b"1"),
    Case("int zerofill", "0", "0", b"0000000000", b"0"),
    Case("decimal(8,3) unsigned zerofill", "1.5", "1.500", b"00001.500", b"1.500"),
    Case(
        "decimal(65,0)",
        "99999999999999999999999999999999999999999999999999999999999999999",
        "99999999999999999999999999999999999999999999999999999999999999999",
        b"99999999999999999999999999999999999999999999999999999999999999999",
    ),
    Case("float", "'-0'", "-0.0", b"-0", b"-0E+00"),
    Case("float", "3.4028234e38", "3.40282e+38", b"3.40282e38", b"3.4028235E+38"),
    Case("double", "'-0'", "-0.0", b"-0", b"-0E+00"),
    Case("double unsigned zerofill", "2.5", "2.5", b"00000000000000000002.5", b"2.5E+00"),
    Case(
        "geometrycollection",
        "st_geomfromtext('geometrycollection(point(1 2))')",
        '"AQcAAAABAAAAAQEAAAAAAAAAAADwPwAAAAAAAABA"',
        b"\x00\x00\x00\x00\x01\x07\x00\x00\x00\x01\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
    ),
    Case("enum('a','b')", "'nothing of it'", '""', b""),
    Case("varchar(9) character set eucjpms", "'①髙'", '"①髙"', b"\xad\xa1\x8f\xf4\xfb"),
    Case("varchar(9) character set ujis", "'日'", '"日"', b"\xc6\xfc"),
    Case(
        "geometry",
        "st_geomfromtext('point(2 1)', 4326)",
        '"AQEAAAAAAAAAAADwPwAAAAAAAABA"',
        b"\xe6\x10\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
    ),
]

CONTRACT = [*NUMBERS, *TIMES, *TEXTS, *BYTES]
CASES = [*CONTRACT, *VITESS_ALONE]
