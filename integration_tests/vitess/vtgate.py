"""What clients see of a running Vitess, of one process or of many."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import pymysql

from integration_tests.vitess.processes import ClusterError, wait_until
from integration_tests.vitess.topology import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from integration_tests.vitess.install import Installation

SCHEMA_SECONDS = 60.0

CREATED_TABLE = re.compile(r"\s*create\s+table\s+(?:if\s+not\s+exists\s+)?`?(\w+)`?", re.IGNORECASE)


class Vtgate(ABC):
    """A running vtgate, the tablets behind it and their administration.

    Attributes:
        host: The address that it listens on.
        mysql_port: vtgate's MySQL protocol, without TLS; any user and password will do.
        grpc_port: vtgate's gRPC, without TLS or authentication.
        http_port: The status pages of vtgate.
        vtctld_port: The gRPC of the administration.
        major: Vitess's major version.
    """

    host = "127.0.0.1"
    mysql_port: int
    grpc_port: int
    http_port: int
    vtctld_port: int

    def __init__(self, installation: Installation) -> None:
        """Takes the installation whose commands it runs."""
        self._installation = installation
        self.major = installation.release.major

    @abstractmethod
    def shards(self, keyspace: str) -> list[str]:
        """The names of the shards that serve a keyspace, in key order."""

    @abstractmethod
    def is_sharded(self, keyspace: str) -> bool:
        """Whether a keyspace needs vindexes."""

    def config(self, database: str, **overrides: object) -> dict[str, object]:
        """A connector configuration that reads the keyspace `database` of this cluster."""
        return {
            "host": self.host,
            "database": database,
            "username": "user",
            "password": "password",
            "mysql_port": self.mysql_port,
            "grpc_port": self.grpc_port,
            "mysql_tls": False,
            "grpc_tls": False,
            "cells": CELL,
            **overrides,
        }

    def connect(self, target: str) -> pymysql.Connection[Any]:
        """Opens an autocommitting connection to vtgate.

        Args:
            target: `keyspace`, `keyspace:shard` or either with `@replica` and the like.
        """
        return pymysql.connect(
            host=self.host,
            port=self.mysql_port,
            user="user",
            password="password",
            database=target,
            autocommit=True,
            # A cluster may be started with flags that make it ask for a client's certificate over TLS.
            ssl_disabled=True,
        )

    def execute(self, sql: str, target: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Runs one statement through vtgate and returns its rows."""
        with closing(self.connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return list(cursor.fetchall())

    def execute_many(self, sql: str, target: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs one statement through vtgate for each row; inserts go many rows at a time."""
        with closing(self.connect(target)) as connection, connection.cursor() as cursor:
            cursor.executemany(sql, list(rows))

    def create_table(
        self,
        keyspace: str,
        ddl: str,
        vindex_column: str | None = None,
        vindex: str = "hash",
    ) -> None:
        """Creates a table and waits until vtgate can plan any statement on it.

        Args:
            keyspace: Where.
            ddl: A CREATE TABLE statement with an unqualified name.
            vindex_column: The column that decides a row's shard; a sharded keyspace needs it.
            vindex: The vindex's type: `hash` for integers, `xxhash` for anything else.
        """
        created = CREATED_TABLE.match(ddl)
        if not created:
            raise ValueError("not a CREATE TABLE statement")
        sharded = self.is_sharded(keyspace)
        if sharded != bool(vindex_column):
            raise ValueError("a table has a vindex column if its keyspace is sharded, and only then")
        table = created[1]
        self.execute(ddl, keyspace)
        if sharded:
            self.execute(
                f"alter vschema on `{keyspace}`.`{table}`"
                f" add vindex `{vindex}`(`{vindex_column}`) using {vindex}",
                keyspace,
            )
        self.wait_for_schema(keyspace, table)

    def wait_for_schema(self, keyspace: str, table: str) -> None:
        """Waits until every tablet and vtgate know a table's columns, as after an ALTER TABLE."""
        self.vtctldclient("ReloadSchemaKeyspace", "--include-primary", keyspace)
        shard = self.shards(keyspace)[0]
        described = self.execute(f"show columns from `{table}`", f"{keyspace}:{shard}")
        columns = [row[0] for row in described]
        wait_until(
            lambda: self._known_columns(keyspace, table) == columns,
            f"vtgate knows the columns of {keyspace}.{table}",
            SCHEMA_SECONDS,
        )

    def vtctldclient(self, *arguments: str) -> str:
        """Runs Vitess's administration command and returns what it wrote."""
        server = f"--server={self.host}:{self.vtctld_port}"
        done = subprocess.run(
            [self._installation.command("vtctldclient"), server, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last_line = done.stderr.strip().splitlines()[-1]
            raise ClusterError(f"vtctldclient {' '.join(arguments)}: {last_line}")
        return done.stdout

    def wait_until_answering(self, keyspaces: Iterable[str], seconds: float) -> None:
        """Waits until vtgate answers SQL on every shard of the keyspaces, and gRPC."""
        for keyspace in keyspaces:
            wait_until(partial(self._answers, keyspace), f"every shard of {keyspace} answers", seconds)
        with self.grpc_channel() as channel:
            grpc.channel_ready_future(channel).result(seconds)

    def grpc_channel(self) -> grpc.Channel:
        """A new channel to vtgate's gRPC port."""
        return grpc.insecure_channel(f"{self.host}:{self.grpc_port}")

    def _answers(self, keyspace: str) -> bool:
        with suppress(pymysql.MySQLError):
            shards = self.shards(keyspace)
            for shard in shards:
                self.execute("select count(*) from dual", f"{keyspace}:{shard}")
            return bool(shards)
        return False

    def _known_columns(self, keyspace: str, table: str) -> list[str]:
        address = f"http://{self.host}:{self.http_port}/debug/vschema"
        with urllib.request.urlopen(address) as answer:
            tables = json.load(answer)["keyspaces"][keyspace].get("tables", {})
        return [column["name"] for column in tables.get(table, {}).get("columns", [])]
