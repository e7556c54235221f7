"""One value for each case of each MySQL type: how it is written in SQL and what its record has to hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A column with one value.

    Attributes:
        column_type: As in CREATE TABLE.
        literal: The value in SQL.
        json: The value in the record, as JSON text; `null` if it cannot be represented.
    """

    column_type: str
    literal: str
    json: str

    @property
    def is_nulled(self) -> bool:
        """Whether the record has to say that the value was left out."""
        return self.json == "null"


WIDE_DECIMAL = "12345678901234567890123456789012345.123456789012345678901234567890"

NUMBERS = [
    Case("tinyint", "-128", "-128"),
    Case("tinyint unsigned", "255", "255"),
    Case("tinyint(1)", "0", "false"),
    Case("tinyint(1)", "1", "true"),
    Case("tinyint(1)", "-5", "true"),
    Case("tinyint(1) unsigned", "1", "1"),
    Case("bool", "true", "true"),
    Case("smallint", "-32768", "-32768"),
    Case("mediumint unsigned", "16777215", "16777215"),
    Case("int", "-2147483648", "-2147483648"),
    Case("int(5) unsigned zerofill", "7", "7"),
    Case("int zerofill", "0", "0"),
    Case("bigint", "-9223372036854775808", "-9223372036854775808"),
    Case("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    Case("decimal(65,30)", WIDE_DECIMAL, WIDE_DECIMAL),
    Case("decimal(20,0)", "99999999999999999999", "99999999999999999999"),
    Case("decimal(10,2)", "-0.50", "-0.50"),
    Case("decimal(10,2)", ".5", "0.50"),
    Case("decimal(8,3) unsigned zerofill", "1.5", "1.500"),
    Case("float", "3.14159", "3.14159"),
    Case("float", "16777217", "16777200.0"),
    Case("float", "123456.789", "123457.0"),
    Case("float", "0.1", "0.1"),
    Case("float(7,3)", "1234.5678", "1234.568"),
    Case("double", "2.718281828459045", "2.718281828459045"),
    Case("double", "1e300", "1e300"),
    Case("double", "0.1", "0.1"),
    Case("double", "-2.5e-8", "-2.5e-8"),
    Case("year", "2024", "2024"),
    Case("year", "0", "0"),
    Case("bit(1)", "b'0'", "false"),
    Case("bit(1)", "b'1'", "true"),
    Case("bit(8)", "x'ff'", '"/w=="'),
    Case("bit(12)", "b'101010101010'", '"Cqo="'),
    Case("bit(64)", "x'8000000000000001'", '"gAAAAAAAAAE="'),
]

TIMES = [
    Case("date", "'2024-02-29'", '"2024-02-29"'),
    Case("date", "'9999-12-31'", '"9999-12-31"'),
    Case("date", "'0000-00-00'", "null"),
    Case("date", "'2020-00-10'", "null"),
    Case("date", "'0000-01-01'", "null"),
    Case("date", "'2024-02-31'", "null"),
    Case("datetime", "'2024-02-29 12:34:56'", '"2024-02-29T12:34:56.000000"'),
    Case("datetime(3)", "'2024-02-29 12:34:56.789'", '"2024-02-29T12:34:56.789000"'),
    Case("datetime(6)", "'1000-01-01 00:00:00.000001'", '"1000-01-01T00:00:00.000001"'),
    Case("datetime", "'0000-00-00 00:00:00'", "null"),
    Case("datetime(3)", "'0000-00-00 00:00:00'", "null"),
    Case("datetime", "'2024-00-00 00:00:00'", "null"),
    Case("timestamp null", "'2024-02-29 12:34:56+00:00'", '"2024-02-29T12:34:56.000000+00:00"'),
    Case("timestamp(6) null", "'2024-02-29 12:34:56.789012+00:00'", '"2024-02-29T12:34:56.789012+00:00"'),
    Case("timestamp null", "'0000-00-00 00:00:00'", "null"),
    Case("time", "'12:34:56'", '"12:34:56"'),
    Case("time(3)", "'23:59:59.250'", '"23:59:59.250"'),
    Case("time", "'-838:59:59'", "null"),
    Case("time(3)", "'100:00:00.000'", "null"),
    Case("time(6)", "'-00:00:00.500000'", "null"),
]

TEXTS = [
    Case("char(5)", "'ab  '", '"ab"'),
    Case("varchar(9)", "'tail  '", '"tail  "'),
    Case("varchar(9)", "''", '""'),
    Case("varchar(20)", r"""'q"b\\c\n\t\0'""", r'"q\"b\\c\n\t\u0000"'),
    Case("tinytext", "'<&>'", '"<&>"'),
    Case("text", "'é 漢 😀'", '"é 漢 😀"'),
    Case("mediumtext", "'null'", '"null"'),
    Case("longtext", "'true'", '"true"'),
    Case("enum('a','b')", "'b'", '"b"'),
    Case("enum('2','1')", "'2'", '"2"'),
    Case("enum('2','1')", "'1'", '"1"'),
    Case("enum('x,y','it''s','(p)','1')", "'1'", '"1"'),
    Case("enum('x,y','it''s','(p)','1')", "'x,y'", '"x,y"'),
    Case("enum('x,y','it''s','(p)','1')", "'it''s'", '"it\'s"'),
    Case("enum('a','b')", "'nothing of it'", '""'),
    Case("enum('é','a') character set latin1", "'é'", '"é"'),
    Case("set('r','b')", "'b,r'", '"r,b"'),
    Case("set('a','9')", "'9'", '"9"'),
    Case("set('a','9')", "''", '""'),
    Case("set('é','it''s') character set latin1", "'é,it''s'", '"é,it\'s"'),
    Case("json", """'{"a": [1, null, "é"]}'""", r'"{\"a\": [1, null, \"é\"]}"'),
    Case("json", "'null'", '"null"'),
    Case("json", "'18446744073709551615'", '"18446744073709551615"'),
    Case("json", "'\"text\"'", r'"\"text\""'),
]

BYTES = [
    Case("binary(4)", "x'00ff41'", '"AP9BAA=="'),
    Case("varbinary(8)", "x''", '""'),
    Case("varbinary(8)", "x'fbff'", '"+/8="'),
    Case("tinyblob", "x'00'", '"AA=="'),
    Case("blob", "'text'", '"dGV4dA=="'),
    Case("mediumblob", "x'ff'", '"/w=="'),
    Case("longblob", "x'80'", '"gA=="'),
    Case("point", "st_geomfromtext('point(1 2)')", '"AQEAAAAAAAAAAADwPwAAAAAAAABA"'),
    # The well-known binary form has no SRID, and longitude before latitude as MySQL stores them.
    Case("geometry", "st_geomfromtext('point(2 1)', 4326)", '"AQEAAAAAAAAAAADwPwAAAAAAAABA"'),
    Case(
        "linestring",
        "st_geomfromtext('linestring(0 0, 1 2)')",
        '"AQIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAAAEA="',
    ),
    Case("vector(2)", "string_to_vector('[0.1,1.5]')", "[0.1,1.5]"),
]

CASES = [*NUMBERS, *TIMES, *TEXTS, *BYTES]

# A text of each character set of MySQL that has one.
CHARSETS = {
    "armscii8": "Ա",
    "ascii": "a~",
    "big5": "中文",
    "cp1250": "ł€",
    "cp1251": "Жђ",
    "cp1256": "ش",
    "cp1257": "ž",
    "cp850": "é",
    "cp852": "ł",
    "cp866": "Ж",
    "cp932": "日本",
    "dec8": "é",
    "eucjpms": "日本",
    "euckr": "한국",
    "gb18030": "中文😀",
    "gb2312": "中文",
    "gbk": "中文",
    "geostd8": "ა",
    "greek": "λ",
    "hebrew": "ש",
    "hp8": "é",
    "keybcs2": "ř",
    "koi8r": "Ж",
    "koi8u": "ї",
    "latin1": "café €",
    "latin2": "ł",
    "latin5": "ş",
    "latin7": "ž",
    "macce": "ł",
    "macroman": "é",
    "sjis": "日本",
    "swe7": "å",
    "tis620": "ไทย",
    "ucs2": "é漢",
    "ujis": "日本",
    "utf16": "é漢😀",
    "utf16le": "é漢😀",
    "utf32": "é漢😀",
    "utf8mb3": "é漢",
    "utf8mb4": "é漢😀",
}
