"""Runs SQL statements in the database of a connector's configuration, and shows rows where there are some.

.venv/bin/python examples/sql.py config.json "select count(*) from customers"
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pymysql

_, path, *statements = sys.argv
config = json.loads(Path(path).read_text(encoding="utf-8"))
with closing(
    pymysql.connect(
        host=config["host"],
        port=config.get("mysql_port", 3306),
        user=config["username"],
        password=config["password"],
        database=config["database"],
        autocommit=True,
        ssl={} if config.get("mysql_tls", True) else None,
    )
) as connection:
    for statement in statements:
        with connection.cursor() as cursor:
            changed = cursor.execute(statement)
            lines = cursor.fetchall() if cursor.description else [(f"{changed} rows changed",)]
            sys.stdout.writelines("\t".join(map(str, line)) + "\n" for line in lines)
