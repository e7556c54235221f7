"""What the connector makes of a saved configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import certifi
import pytest

from source_planetscale.config import FIELDS, Config, InvalidPositionPolicy, normalise
from source_planetscale.config.encryption import Encryption
from source_planetscale.endpoint import TabletType, Tls
from source_planetscale.errors import ConfigError, SourceError

MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "pw-1234"}
UUID = "6ca9ebda-e590-11f1-936a-02fc00000001"
GTIDS = {"shop": {"-80": f"MySQL56/{UUID}:1-5", "80-": f"MySQL56/{UUID}:1-7"}}


def parse(**fields: Any) -> Config:
    return Config.parse({**MINIMAL, **fields})


def refusal(raw: Any) -> str:
    with pytest.raises(SourceError) as caught:
        Config.parse(raw)
    assert isinstance(caught.value, ConfigError)
    return caught.value.message


def test_four_fields_are_a_whole_configuration() -> None:
    assert Config.parse(MINIMAL) == Config("db.example.com", "shop", "u", "pw-1234")


def test_keys_match_in_any_case_and_the_exact_one_wins() -> None:
    assert Config.parse({"HOST": "h", "Database": "d", "userName": "u", "PASSWORD": "p"}) == Config(
        "h", "d", "u", "p"
    )
    assert parse(HOST="other").host == "db.example.com"
    assert Config.parse({"HOST": "other", **MINIMAL}).host == "db.example.com"


def test_null_means_unset() -> None:
    nulls = {name: None for name in FIELDS if name not in MINIMAL}
    assert parse(**nulls) == Config.parse(MINIMAL)


def test_unknown_keys_are_ignored() -> None:
    assert parse(colour="blue", nested={"a": 1}) == Config.parse(MINIMAL)


def test_a_missing_login_is_an_empty_one() -> None:
    config = Config.parse({"host": "h", "database": "d"})
    assert (config.username, config.password) == ("", "")


def test_every_field_arrives() -> None:
    ca = Path(certifi.where()).read_text(encoding="utf-8")
    config = parse(
        use_replica=True,
        shards="-80",
        include_metadata=True,
        include_cdc_columns=True,
        starting_gtids=json.dumps(GTIDS),
        max_retries=5,
        timeout_seconds=600,
        use_gtid_with_table_pks=True,
        options={"do_not_treat_tiny_int_as_boolean": True},
        mysql_port=15306,
        grpc_port=15991,
        mysql_tls=False,
        grpc_tls=True,
        tls_ca_certificate=ca,
        cells=" zone1 ",
        keyspaces="users",
        invalid_cdc_cursor_position_behavior="Re-sync data",
        checkpoint_target_interval_seconds=5,
    )
    assert config == Config(
        "db.example.com",
        "shop",
        "u",
        "pw-1234",
        tablet_type=TabletType.REPLICA,
        shards=("-80",),
        include_metadata=True,
        include_cdc_columns=True,
        starting_gtids=GTIDS,
        max_retries=5,
        timeout_seconds=600.0,
        tinyint1_as_boolean=False,
        mysql_port=15306,
        grpc_port=15991,
        encryption=Encryption(mysql=None, grpc=Tls(authority=ca.strip() + "\n")),
        cells="zone1",
        further_keyspaces=("users",),
        invalid_position_policy=InvalidPositionPolicy.RESYNC,
        checkpoint_seconds=5.0,
    )


@pytest.mark.parametrize(
    ("replica", "rdonly", "expected"),
    [
        (False, False, TabletType.PRIMARY),
        (True, False, TabletType.REPLICA),
        (False, True, TabletType.RDONLY),
        (True, True, TabletType.RDONLY),
    ],
)
def test_rdonly_wins_over_replica(replica: bool, rdonly: bool, expected: TabletType) -> None:
    assert parse(use_replica=replica, use_rdonly=rdonly).tablet_type is expected


@pytest.mark.parametrize(
    ("text", "shards"),
    [
        ("", ()),
        (" , ", ()),
        ("-", ("-",)),
        ("-80, 80-", ("-80", "80-")),
        ("-80,", ("-80",)),
        ("80-,-80,80-", ("80-", "-80")),
    ],
)
def test_shard_names_are_trimmed_and_unique(text: str, shards: tuple[str, ...]) -> None:
    assert parse(shards=text).shards == shards


@pytest.mark.parametrize(
    ("options", "as_boolean"),
    [
        (None, True),
        ("Public Web", True),
        ({}, True),
        ({"storage": "HTTPS"}, True),
        ({"do_not_treat_tiny_int_as_boolean": None}, True),
        ({"do_not_treat_tiny_int_as_boolean": False}, True),
        ({"do_not_treat_tiny_int_as_boolean": True}, False),
        ({"storage": "HTTPS", "Do_Not_Treat_Tiny_Int_As_Boolean": True}, False),
    ],
)
def test_every_saved_form_of_the_tinyint_option_is_understood(options: Any, as_boolean: bool) -> None:
    assert parse(options=options).tinyint1_as_boolean is as_boolean


@pytest.mark.parametrize("text", ["", "  ", "null", "{}"])
def test_no_starting_positions(text: str) -> None:
    assert parse(starting_gtids=text).starting_gtids == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        '"MySQL56/a:1"',
        '{"shop": null}',
        '{"shop": "MySQL56/a:1"}',
        '{"shop": {"-80": 5}}',
        '{"shop": {"-80": ""}}',
        '{"shop": {"-80": "a:1-5"}}',
        '{"shop": {"-80": "MySQL56/a:1-5"}}',
    ],
)
def test_starting_positions_of_another_shape_are_refused(text: str) -> None:
    assert "starting_gtids must be a JSON text" in refusal({**MINIMAL, "starting_gtids": text})


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("aws.connect.psdb.cloud", "aws.connect.psdb.cloud"),
        ("  aws.connect.psdb.cloud\n", "aws.connect.psdb.cloud"),
        ("https://aws.connect.psdb.cloud/", "aws.connect.psdb.cloud"),
        ("aws.connect.psdb.cloud:3306", "aws.connect.psdb.cloud"),
        ("https://aws.connect.psdb.cloud:443", "aws.connect.psdb.cloud"),
        ("mysql://localhost", "localhost"),
        ("10.1.2.3:443", "10.1.2.3"),
        ("::1", "::1"),
        ("[::1]:3306", "::1"),
    ],
)
def test_a_pasted_address_is_cut_down_to_the_host(text: str, host: str) -> None:
    assert parse(host=text).host == host


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:pw-1234@h/shop",
        "u@h",
        "h/shop",
        "h?x=1",
        "h#x",
        "h:pw-1234",
        "h:99999",
        "a b",
        "https://",
        ":3306",
        "[::1",
    ],
)
def test_a_host_with_more_than_a_host_is_refused_without_repeating_it(text: str) -> None:
    message = refusal({**MINIMAL, "host": text})
    assert "host must be a bare host name" in message
    assert "pw-1234" not in message


def test_a_port_in_the_host_that_contradicts_the_fields_is_refused() -> None:
    assert "names port 15306" in refusal({**MINIMAL, "host": "h:15306"})
    assert parse(host="h:15306", mysql_port=15306).host == "h"


@pytest.mark.parametrize("name", ["host", "database"])
@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_host_or_database_is_refused(name: str, empty: str | None) -> None:
    assert f"{name} is missing" in refusal({**MINIMAL, name: empty})


@pytest.mark.parametrize("name", ["shop@replica", "shop:-80", "shop/-80"])
def test_a_target_is_no_database(name: str) -> None:
    assert "use_replica and use_rdonly" in refusal({**MINIMAL, "database": name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", True),
        ("max_retries", "3"),
        ("max_retries", float("inf")),
        ("timeout_seconds", 0),
        ("timeout_seconds", -1),
        ("checkpoint_target_interval_seconds", 0),
        ("mysql_port", 0),
        ("mysql_port", 65536),
        ("grpc_port", -1),
        ("invalid_cdc_cursor_position_behavior", "Panic"),
        ("tls_ca_certificate", "not a certificate"),
        ("tls_ca_certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        ("options", 5),
        ("options", {"do_not_treat_tiny_int_as_boolean": "yes"}),
    ],
)
def test_a_value_outside_the_rules_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    message = refusal({**MINIMAL, name: value})
    nested = "do_not_treat_tiny_int_as_boolean" in message
    assert name in message or (name == "options" and nested)
    assert message.endswith("Correct it and try again.")


@pytest.mark.parametrize("name", FIELDS)
def test_a_list_is_wrong_for_every_field(name: str) -> None:
    assert f"field {name} " in refusal({**MINIMAL, name: ["pw-1234"]})


def test_zero_retries_are_allowed() -> None:
    assert parse(max_retries=0).max_retries == 0


def test_a_whole_float_counts_as_an_integer() -> None:
    assert parse(timeout_seconds=600.0, mysql_port=3307.0).mysql_port == 3307


def test_a_certificate_with_written_out_line_ends_is_read() -> None:
    pem = Path(certifi.where()).read_text(encoding="utf-8").strip()
    written_out = parse(tls_ca_certificate=pem.replace("\n", "\\n"))
    assert written_out.mysql.tls == Tls(authority=pem + "\n")


@pytest.mark.parametrize("raw", [[], "text", None, 5])
def test_a_configuration_that_is_no_object_is_refused(raw: Any) -> None:
    assert "must be a JSON object" in refusal(raw)


def test_the_password_is_not_shown() -> None:
    assert "pw-1234" not in repr(Config.parse(MINIMAL))


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [["s3cr3t"], {"do_not_treat_tiny_int_as_boolean": "s3cr3t"}])
def test_no_refusal_repeats_a_value(name: str, value: Any) -> None:
    assert "s3cr3t" not in refusal({**MINIMAL, name: value})


def test_normalising_twice_changes_nothing_more() -> None:
    once = normalise({"HOST": "h", "options": {"storage": "HTTPS"}, "shards": None, "extra": 1})
    assert once == {
        "host": "h",
        "username": "",
        "password": "",
        "options": {"do_not_treat_tiny_int_as_boolean": False},
        "extra": 1,
    }
    assert normalise(once) == once
