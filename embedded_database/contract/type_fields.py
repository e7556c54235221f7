"""The Field that Vitess 24 over MySQL 9 sends of a column, by its definition."""

from __future__ import annotations

from typing import NamedTuple

from source_planetscale.vstream.wire import vstream_pb2 as wire


class Attributes(NamedTuple):
    """What of a Field depends on the definition."""

    type: int
    column_type: str
    length: int
    charset: int
    decimals: int
    flags: int


FIELDS = {
    "tinyint": Attributes(wire.INT8, "tinyint", 4, 63, 0, 32768),
    "tinyint unsigned": Attributes(wire.UINT8, "tinyint unsigned", 3, 63, 0, 32800),
    "tinyint(1)": Attributes(wire.INT8, "tinyint(1)", 1, 63, 0, 32768),
    "tinyint(1) unsigned": Attributes(wire.UINT8, "tinyint unsigned", 1, 63, 0, 32800),
    "bool": Attributes(wire.INT8, "tinyint(1)", 1, 63, 0, 32768),
    "smallint": Attributes(wire.INT16, "smallint", 6, 63, 0, 32768),
    "mediumint unsigned": Attributes(wire.UINT24, "mediumint unsigned", 8, 63, 0, 32800),
    "int": Attributes(wire.INT32, "int", 11, 63, 0, 32768),
    "int(5) unsigned zerofill": Attributes(wire.UINT32, "int(5) unsigned zerofill", 5, 63, 0, 32864),
    "int zerofill": Attributes(wire.UINT32, "int(10) unsigned zerofill", 10, 63, 0, 32864),
    "bigint": Attributes(wire.INT64, "bigint", 20, 63, 0, 32768),
    "bigint unsigned": Attributes(wire.UINT64, "bigint unsigned", 20, 63, 0, 32800),
    "decimal(65,30)": Attributes(wire.DECIMAL, "decimal(65,30)", 67, 63, 30, 32768),
    "decimal(20,0)": Attributes(wire.DECIMAL, "decimal(20,0)", 21, 63, 0, 32768),
    "decimal(10,2)": Attributes(wire.DECIMAL, "decimal(10,2)", 12, 63, 2, 32768),
    "decimal(8,3) unsigned zerofill": Attributes(
        wire.DECIMAL, "decimal(8,3) unsigned zerofill", 9, 63, 3, 32864
    ),
    "float": Attributes(wire.FLOAT32, "float", 12, 63, 31, 32768),
    "float(7,3)": Attributes(wire.FLOAT32, "float(7,3)", 7, 63, 3, 32768),
    "double": Attributes(wire.FLOAT64, "double", 22, 63, 31, 32768),
    "year": Attributes(wire.YEAR, "year", 4, 63, 0, 32864),
    "bit(1)": Attributes(wire.BIT, "bit(1)", 1, 63, 0, 32),
    "bit(8)": Attributes(wire.BIT, "bit(8)", 8, 63, 0, 32),
    "bit(12)": Attributes(wire.BIT, "bit(12)", 12, 63, 0, 32),
    "bit(64)": Attributes(wire.BIT, "bit(64)", 64, 63, 0, 32),
    "smallint unsigned": Attributes(wire.UINT16, "smallint unsigned", 5, 63, 0, 32800),
    "mediumint": Attributes(wire.INT24, "mediumint", 9, 63, 0, 32768),
    "int not null": Attributes(wire.INT32, "int", 11, 63, 0, 36865),
    "int unsigned": Attributes(wire.UINT32, "int unsigned", 10, 63, 0, 32800),
    "bit(9)": Attributes(wire.BIT, "bit(9)", 9, 63, 0, 32),
    "decimal(10,0) unsigned": Attributes(wire.DECIMAL, "decimal(10,0) unsigned", 10, 63, 0, 32800),
    "double(8,2)": Attributes(wire.FLOAT64, "double(8,2)", 8, 63, 2, 32768),
    "decimal(5,5)": Attributes(wire.DECIMAL, "decimal(5,5)", 7, 63, 5, 32768),
    "int(11)": Attributes(wire.INT32, "int", 11, 63, 0, 32768),
    "decimal(65,0)": Attributes(wire.DECIMAL, "decimal(65,0)", 66, 63, 0, 32768),
    "float(10,2)": Attributes(wire.FLOAT32, "float(10,2)", 10, 63, 2, 32768),
    "double(10,3)": Attributes(wire.FLOAT64, "double(10,3)", 10, 63, 3, 32768),
    "double unsigned zerofill": Attributes(wire.FLOAT64, "double unsigned zerofill", 22, 63, 31, 32864),
    "bit(5)": Attributes(wire.BIT, "bit(5)", 5, 63, 0, 32),
    "geometrycollection": Attributes(wire.GEOMETRY, "geomcollection", 4294967295, 63, 0, 144),
    "date": Attributes(wire.DATE, "date", 10, 63, 0, 128),
    "datetime": Attributes(wire.DATETIME, "datetime", 19, 63, 0, 128),
    "datetime(3)": Attributes(wire.DATETIME, "datetime(3)", 23, 63, 3, 128),
    "datetime(6)": Attributes(wire.DATETIME, "datetime(6)", 26, 63, 6, 128),
    "timestamp null": Attributes(wire.TIMESTAMP, "timestamp", 19, 63, 0, 128),
    "timestamp(6) null": Attributes(wire.TIMESTAMP, "timestamp(6)", 26, 63, 6, 128),
    "time": Attributes(wire.TIME, "time", 10, 63, 0, 128),
    "time(3)": Attributes(wire.TIME, "time(3)", 14, 63, 3, 128),
    "time(6)": Attributes(wire.TIME, "time(6)", 17, 63, 6, 128),
    "timestamp(3) null": Attributes(wire.TIMESTAMP, "timestamp(3)", 23, 63, 3, 128),
    "time(2)": Attributes(wire.TIME, "time(2)", 13, 63, 2, 128),
    "datetime(1)": Attributes(wire.DATETIME, "datetime(1)", 21, 63, 1, 128),
    "char(5)": Attributes(wire.CHAR, "char(5)", 20, 255, 0, 0),
    "varchar(9)": Attributes(wire.VARCHAR, "varchar(9)", 36, 255, 0, 0),
    "varchar(20)": Attributes(wire.VARCHAR, "varchar(20)", 80, 255, 0, 0),
    "tinytext": Attributes(wire.TEXT, "tinytext", 1020, 255, 0, 16),
    "text": Attributes(wire.TEXT, "text", 262140, 255, 0, 16),
    "mediumtext": Attributes(wire.TEXT, "mediumtext", 67108860, 255, 0, 16),
    "longtext": Attributes(wire.TEXT, "longtext", 4294967295, 255, 0, 16),
    "enum('a','b')": Attributes(wire.ENUM, "enum('a','b')", 4, 255, 0, 256),
    "enum('2','1')": Attributes(wire.ENUM, "enum('2','1')", 4, 255, 0, 256),
    "enum('x,y','it''s','(p)','1')": Attributes(wire.ENUM, "enum('x,y','it''s','(p)','1')", 16, 255, 0, 256),
    "enum('é','a') character set latin1": Attributes(wire.ENUM, "enum('é','a')", 4, 8, 0, 256),
    "set('r','b')": Attributes(wire.SET_TYPE, "set('r','b')", 12, 255, 0, 2048),
    "set('a','9')": Attributes(wire.SET_TYPE, "set('a','9')", 12, 255, 0, 2048),
    "set('é','it''s') character set latin1": Attributes(wire.SET_TYPE, "set('é','it''s')", 24, 8, 0, 2048),
    "json": Attributes(wire.JSON, "json", 4294967295, 63, 0, 144),
    "varchar(10)": Attributes(wire.VARCHAR, "varchar(10)", 40, 255, 0, 0),
    "varchar(10) not null default ''": Attributes(wire.VARCHAR, "varchar(10)", 40, 255, 0, 1),
    "varchar(10) character set latin1": Attributes(wire.VARCHAR, "varchar(10)", 40, 8, 0, 0),
    "varchar(10) collate utf8mb4_bin": Attributes(wire.VARBINARY, "varchar(10)", 40, 46, 0, 128),
    "char(4) collate utf8mb4_bin": Attributes(wire.BINARY, "char(4)", 16, 46, 0, 128),
    "text collate utf8mb4_bin": Attributes(wire.BLOB, "text", 262140, 46, 0, 144),
    "text character set latin1": Attributes(wire.TEXT, "text", 262140, 8, 0, 16),
    "enum('a','b','it''s')": Attributes(wire.ENUM, "enum('a','b','it''s')", 16, 255, 0, 256),
    "set('x','y','z')": Attributes(wire.SET_TYPE, "set('x','y','z')", 20, 255, 0, 2048),
    "varchar(10) character set utf8mb3": Attributes(wire.VARCHAR, "varchar(10)", 40, 33, 0, 0),
    "varchar(5) character set utf16": Attributes(wire.VARCHAR, "varchar(5)", 20, 54, 0, 0),
    "varchar(5) character set sjis": Attributes(wire.VARCHAR, "varchar(5)", 20, 13, 0, 0),
    "varchar(5) character set gbk": Attributes(wire.VARCHAR, "varchar(5)", 20, 0, 0, 0),
    "varchar(5) character set ascii": Attributes(wire.VARCHAR, "varchar(5)", 20, 11, 0, 0),
    "varchar(5) collate utf8mb4_general_ci": Attributes(wire.VARCHAR, "varchar(5)", 20, 45, 0, 0),
    "varchar(5) character set latin1 collate latin1_bin": Attributes(
        wire.VARBINARY, "varchar(5)", 20, 47, 0, 128
    ),
    "enum('x') character set latin1 not null": Attributes(wire.ENUM, "enum('x')", 4, 8, 0, 4353),
    "set('x','y')": Attributes(wire.SET_TYPE, "set('x','y')", 12, 255, 0, 2048),
    "varchar(3)": Attributes(wire.VARCHAR, "varchar(3)", 12, 255, 0, 0),
    "set('é','ü')": Attributes(wire.SET_TYPE, "set('é','ü')", 12, 255, 0, 2048),
    "enum('é','ü')": Attributes(wire.ENUM, "enum('é','ü')", 4, 255, 0, 256),
    "varchar(9) character set eucjpms": Attributes(wire.VARCHAR, "varchar(9)", 36, 97, 0, 0),
    "varchar(9) character set ujis": Attributes(wire.VARCHAR, "varchar(9)", 36, 12, 0, 0),
    "binary(4)": Attributes(wire.BINARY, "binary(4)", 4, 63, 0, 128),
    "varbinary(8)": Attributes(wire.VARBINARY, "varbinary(8)", 8, 63, 0, 128),
    "tinyblob": Attributes(wire.BLOB, "tinyblob", 255, 63, 0, 144),
    "blob": Attributes(wire.BLOB, "blob", 65535, 63, 0, 144),
    "mediumblob": Attributes(wire.BLOB, "mediumblob", 16777215, 63, 0, 144),
    "longblob": Attributes(wire.BLOB, "longblob", 4294967295, 63, 0, 144),
    "point": Attributes(wire.GEOMETRY, "point", 4294967295, 63, 0, 144),
    "geometry": Attributes(wire.GEOMETRY, "geometry", 4294967295, 63, 0, 144),
    "linestring": Attributes(wire.GEOMETRY, "linestring", 4294967295, 63, 0, 144),
    "vector(2)": Attributes(wire.VECTOR, "vector(2)", 8, 63, 31, 144),
    "binary(8)": Attributes(wire.BINARY, "binary(8)", 8, 63, 0, 128),
    "varbinary(9)": Attributes(wire.VARBINARY, "varbinary(9)", 9, 63, 0, 128),
    "vector(3)": Attributes(wire.VECTOR, "vector(3)", 12, 63, 31, 144),
}
