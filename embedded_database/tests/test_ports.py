"""Who gets in, how, and what is left when the embedded database stops."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import grpc
import pymysql
import pytest

from embedded_database import EmbeddedDatabase
from embedded_database.cli import key_ranges, parse_keyspaces
from embedded_database.contract.recording import METHOD, Request
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = {"ada": "right"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[EmbeddedDatabase]:
    with EmbeddedDatabase({"src": ["0"]}, users=USERS, tls=True) as database:
        database.create_table("src", "create table t (id int primary key)")
        yield database


def first_event(database: EmbeddedDatabase, *metadata: tuple[str, str]) -> int:
    assert database.certificates
    credentials = grpc.ssl_channel_credentials(database.certificates.authority)
    with grpc.secure_channel(f"127.0.0.1:{database.grpc_port}", credentials) as channel:
        call = channel.unary_stream(
            METHOD,
            request_serializer=wire.VStreamRequest.SerializeToString,
            response_deserializer=wire.VStreamResponse.FromString,
        )
        request = Request("src", {"0": "current"}, {"t": "select * from t"}).message()
        for response in call(request, metadata=metadata, timeout=30):
            return int(response.events[0].type)
    raise AssertionError("the stream ended without a response")


def basic(user: str, password: str) -> tuple[str, str]:
    return "authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "metadata",
    [(basic("ada", "right"),), (("username", "ada"), ("password", "right"))],
    ids=["PlanetScale's header", "vtgate's keys"],
)
def test_both_forms_of_credentials_open_a_stream_over_tls(
    guarded: EmbeddedDatabase, metadata: tuple[tuple[str, str], ...]
) -> None:
    assert first_event(guarded, *metadata) == wire.VGTID


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((basic("ada", "wrong"),), grpc.StatusCode.PERMISSION_DENIED),
        ((("username", "eve"), ("password", "right")), grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["none", "wrong password", "unknown user"],
)
def test_other_credentials_are_refused(
    guarded: EmbeddedDatabase, metadata: tuple[tuple[str, str], ...], code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        first_event(guarded, *metadata)

    assert refusal.value.code() is code


def test_the_mysql_door_takes_the_right_password_over_tls(guarded: EmbeddedDatabase) -> None:
    assert guarded.execute("select 1", "src") == [(1,)]


@pytest.mark.parametrize(("user", "password"), [("ada", "wrong"), ("eve", "right"), ("ada", "")])
def test_the_mysql_door_refuses_others(guarded: EmbeddedDatabase, user: str, password: str) -> None:
    assert guarded.certificates
    with pytest.raises(pymysql.OperationalError) as refusal:
        pymysql.connect(
            host="127.0.0.1",
            port=guarded.mysql_port,
            user=user,
            password=password,
            database="src",
            ssl=guarded.certificates.client_context(),
        )

    assert refusal.value.args[0] == 1045


def test_the_configuration_trusts_the_certificate(guarded: EmbeddedDatabase) -> None:
    config = guarded.config("src", shards="0")

    assert config["mysql_tls"]
    assert config["grpc_tls"]
    assert config["tls_ca_certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert config["shards"] == "0"


def test_nothing_runs_on_after_the_stop() -> None:
    before = set(threading.enumerate())
    with EmbeddedDatabase(users={}) as database:
        database.execute("select 1", "src")
        connection = database.connect("src")
        connection.cursor().execute("begin")
    connection.close()

    assert [t for t in threading.enumerate() if t not in before and t.is_alive()] == []


def test_the_command_tells_its_ports_and_stops_when_told() -> None:
    command = [sys.executable, "-m", "embedded_database", "--sample", "3", "--no-auth"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        connection = pymysql.connect(
            host="127.0.0.1", port=ready["mysql_port"], user="any", password="any", database="shop"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from orders")
            counted = cursor.fetchall()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    assert counted == ((15,),)
    assert ready["keyspaces"] == {"shop": ["-80", "80-"], "src": ["0"]}


def test_keyspaces_are_split_into_equal_key_ranges() -> None:
    assert parse_keyspaces("shop:4,src:1") == {"shop": ["-40", "40-80", "80-c0", "c0-"], "src": ["0"]}
    assert len(key_ranges(16)) == 16
