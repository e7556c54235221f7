"""Discovery without a server: rows to tables, names, shards, and which server is asked for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from source_planetscale.config import Config
from source_planetscale.config.encryption import Encryption
from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.mysql.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def database_of(config: Config) -> Database:
    return Database(config.mysql, config.keyspace)


PLAIN = Encryption(None, None)
DATABASE = database_of(Config("db.example.com", "shop", "u", "pw-1234", encryption=PLAIN))
UUID = "6ace8bcef73211ea87e9f875a4d24e90"
NO_TABLET = pymysql.OperationalError(
    1105, 'target: shop.-80.primary: no healthy tablet available for \'keyspace:"shop" shard:"-80"\''
)
DENIED = pymysql.OperationalError(1105, "rpc error: code = PermissionDenied desc = not for you")


class FakeServer:
    """Answers statements by their first match and remembers what it was asked at which target.

    An answer is a list of rows, an error to raise, or a function of the target that gives either.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []
        self.arguments: list[Any] = []
        self.options: dict[str, Any] = {}
        self.open = 0

    def connect(self, **options: Any) -> FakeConnection:
        self.options = options
        self.open += 1
        return FakeConnection(self, options["database"])

    def targets(self, part: str) -> list[str]:
        return [target for target, sql in self.asked if part in sql]


class FakeConnection:
    """The little of PyMySQL's connection and cursor that is used."""

    def __init__(self, server: FakeServer, target: str) -> None:
        self.server = server
        self.target = target
        self.rows: Sequence[tuple[Any, ...]] = ()

    def cursor(self) -> FakeConnection:
        return self

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.rows = ()

    def close(self) -> None:
        self.server.open -= 1

    def execute(self, sql: str, arguments: Sequence[str] | None = None) -> None:
        self.server.asked.append((self.target, sql))
        self.server.arguments.append(arguments)
        answer = next((answer for part, answer in self.server.answers.items() if part in sql), ())
        rows = answer(self.target) if callable(answer) else answer
        if isinstance(rows, Exception):
            raise rows
        self.rows = rows

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self.rows


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], FakeServer]:
    def start(answers: Mapping[str, Any]) -> FakeServer:
        fake = FakeServer(answers)
        monkeypatch.setattr(pymysql, "connect", fake.connect)
        return fake

    return start


SCHEMA: dict[str, Any] = {
    "vitess_shards": [("shop/80-",), ("shop/-80",), ("shop2/0",), ("my_shop/-",), ("shopping/0",)],
    "information_schema.tables": [("b", 20), ("a", None), ("_orders_old", 0)],
    "information_schema.columns": [
        ("b", 2, "y", "varchar(9)", "latin1", "YES", ""),
        ("b", 1, "x", "int", None, "NO", "PRI"),
        ("a", 1, "id", "int", None, "NO", "PRI"),
        ("_orders_old", 1, "id", "int", None, "NO", "PRI"),
        ("a_view", 1, "id", "int", None, "NO", ""),
    ],
    "information_schema.statistics": [("a", "PRIMARY", 1, "id"), ("b", "PRIMARY", 1, "x")],
}


def test_only_shards_of_exactly_this_keyspace_are_listed(serve: Any) -> None:
    server = serve(SCHEMA)
    assert DATABASE.shards() == ["-80", "80-"]
    assert server.targets("vitess_shards") == ["shop@primary"]
    assert server.open == 0


def test_shards_come_from_the_tablets_where_the_list_is_not_permitted(serve: Any) -> None:
    tablets = [
        ("c", "shop", "80-", "PRIMARY", "SERVING", "t-1", "", ""),
        ("c", "shop", "80-", "REPLICA", "SERVING", "t-2", "", ""),
        ("c", "shop", "-80", "PRIMARY", "SERVING", "t-3", "", ""),
        ("c", "shop", "c0-", "PRIMARY", "NOT_SERVING", "t-4", "", ""),
        ("c", "shop2", "0", "PRIMARY", "SERVING", "t-5", "", ""),
    ]
    serve({"vitess_shards": DENIED, "vitess_tablets": tablets})
    assert DATABASE.shards() == ["-80", "80-"]


def test_a_keyspace_without_shards_is_a_config_error(serve: Any) -> None:
    serve({"vitess_shards": [("shop2/0",)]})
    with pytest.raises(SourceError, match="'shop' has no serving shards") as caught:
        DATABASE.shards()
    assert isinstance(caught.value, ConfigError)


def test_tables_come_with_an_estimate_of_their_rows_where_there_is_one(serve: Any) -> None:
    serve(SCHEMA)
    assert [table.estimated_rows for table in DATABASE.tables()] == [None, 20]


def test_views_and_internal_tables_are_left_out(serve: Any) -> None:
    server = serve(SCHEMA)
    assert [table.name for table in DATABASE.tables()] == ["a", "b"]
    assert "table_type = 'BASE TABLE'" in next(sql for _, sql in server.asked if "schema.tables" in sql)


def test_the_number_of_queries_does_not_grow_with_the_tables(serve: Any) -> None:
    names = [f"t{number:04}" for number in range(3000)]
    server = serve(
        {
            **SCHEMA,
            "information_schema.tables": [(name, 0) for name in names],
            "information_schema.columns": [(n, 1, "id", "int", None, "NO", "PRI") for n in names],
            "information_schema.statistics": [(n, "PRIMARY", 1, "id") for n in names],
        }
    )
    assert [table.name for table in DATABASE.tables()] == names
    assert len(server.targets("information_schema.")) == 3


def test_the_whole_schema_comes_from_one_shard(serve: Any) -> None:
    server = serve(SCHEMA)
    DATABASE.tables()
    assert set(server.targets("information_schema.")) == {"shop:-80@primary"}


def test_the_schema_comes_from_a_configured_shard(serve: Any) -> None:
    server = serve(SCHEMA)
    config = Config("h", "shop", "u", "p", shards=("80-",), tablet_type=TabletType.RDONLY, encryption=PLAIN)
    database_of(config).tables()
    assert set(server.targets("information_schema.")) == {"shop:80-@rdonly"}


def test_another_shard_answers_for_one_that_is_down(serve: Any) -> None:
    def base_tables(target: str) -> Any:
        return NO_TABLET if ":-80" in target else [("a", 1), ("b", 1)]

    server = serve({**SCHEMA, "information_schema.tables": base_tables})
    assert [table.name for table in DATABASE.tables()] == ["a", "b"]
    assert server.targets("information_schema.columns") == ["shop:80-@primary"]
    assert server.open == 0


def test_a_database_that_is_down_is_a_transient_error(serve: Any) -> None:
    serve({**SCHEMA, "information_schema.tables": NO_TABLET})
    with pytest.raises(SourceError, match="No healthy primary tablet") as caught:
        DATABASE.tables()
    assert isinstance(caught.value, TransientError)


def test_a_lost_connection_is_told_without_asking_other_shards(serve: Any) -> None:
    lost = pymysql.OperationalError(2013, "Lost connection to MySQL server")
    server = serve({**SCHEMA, "information_schema.tables": lost})
    with pytest.raises(SourceError, match="failed or was lost"):
        DATABASE.tables()
    assert server.targets("information_schema.tables") == ["shop:-80@primary"]


def test_a_server_that_does_not_address_shards_is_asked_for_the_keyspace(serve: Any) -> None:
    def base_tables(target: str) -> Any:
        unknown = pymysql.OperationalError(1049, "unknown database")
        return unknown if ":" in target else [("a", 1), ("b", 1)]

    server = serve({**SCHEMA, "information_schema.tables": base_tables})
    assert [table.name for table in DATABASE.tables()] == ["a", "b"]
    assert server.targets("information_schema.tables") == ["shop:-80@primary", "shop@primary"]


def test_a_missing_permission_is_told_after_the_keyspace_was_asked(serve: Any) -> None:
    server = serve({**SCHEMA, "information_schema.tables": DENIED})
    with pytest.raises(SourceError, match="may not read database 'shop'"):
        DATABASE.tables()
    assert server.targets("information_schema.tables") == ["shop:-80@primary", "shop@primary"]


def test_named_tables_are_asked_for_and_compared_exactly(serve: Any) -> None:
    server = serve({**SCHEMA, "information_schema.tables": [("a", 1), ("A", 1)]})
    assert [table.name for table in DATABASE.tables(["a", "missing"])] == ["a"]
    asked = [arguments for arguments in server.arguments if arguments]
    assert asked == [["a", "missing"]] * 3


def test_no_names_need_no_server(serve: Any) -> None:
    server = serve(SCHEMA)
    assert DATABASE.tables([]) == []
    assert server.asked == []


def test_the_binlog_status_is_that_of_the_tablet_type_with_sets_on_one_line(serve: Any) -> None:
    server = serve({"gtid_executed": [("a:1-5,\nb:1-7", "a:1-2", "FULL")]})
    assert DATABASE.binlog_status("-80", TabletType.REPLICA) == (
        "a:1-5,b:1-7",
        "a:1-2",
        True,
    )
    assert server.targets("gtid_executed") == ["shop:-80@replica"]


@pytest.mark.parametrize(
    "answer",
    [
        DENIED,
        pymysql.OperationalError(1193, "Unknown system variable 'gtid_purged'"),
        pymysql.OperationalError(1227, "Access denied; you need the SUPER privilege"),
        [],
        [(None, None, None)],
    ],
)
def test_the_binlog_status_is_none_where_the_server_does_not_tell(serve: Any, answer: Any) -> None:
    serve({"gtid_executed": answer})
    assert DATABASE.binlog_status("-80", TabletType.PRIMARY) is None


@pytest.mark.parametrize(
    "answer",
    [
        NO_TABLET,
        pymysql.OperationalError(2013, "Lost connection to MySQL server during query"),
        pymysql.OperationalError(1105, "rpc error: code = Unavailable desc = closing"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
)
def test_a_shard_that_does_not_answer_is_an_error_and_no_answer(serve: Any, answer: Exception) -> None:
    serve({"gtid_executed": answer})
    with pytest.raises(SourceError) as caught:
        DATABASE.binlog_status("-80", TabletType.PRIMARY)
    assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_reduced_row_images_are_part_of_the_binlog_status(serve: Any, image: str) -> None:
    serve({"gtid_executed": [("a:1-5", "", image)]})
    status = DATABASE.binlog_status("-80", TabletType.PRIMARY)
    assert status is not None
    assert not status.full_images


def test_a_ping_has_a_tablet_answer(serve: Any) -> None:
    server = serve({"information_schema": [(1,)]})
    DATABASE.ping()
    assert server.asked == [("shop@primary", "select 1 from information_schema.tables limit 1")]


def test_tls_is_off_only_where_the_configuration_says_so(serve: Any) -> None:
    server = serve({})
    DATABASE.ping()
    assert server.options["ssl_disabled"] is True
    assert server.options["ssl"] is None
    database_of(Config("db.example.com", "shop", "u", "pw-1234")).ping()
    assert getattr(server.options["ssl"], "check_hostname", None) is True
    assert server.options["ssl_disabled"] is False


def test_tables_are_tried_one_after_the_other_and_what_the_server_says_is_kept(serve: Any) -> None:
    denied = pymysql.OperationalError(1142, "SELECT command denied to user 'u' for table 'b'")
    server = serve({"from `b`": denied, "from `a``c`": [(1,)]})
    told = DATABASE.try_tables(["a`c", "b", "d"], "-80", 60)
    assert told == {"a`c": None, "b": "SELECT command denied to user 'u' for table 'b'", "d": None}
    assert set(server.targets("from")) == {"shop:-80@primary"}
    assert server.open == 0


def test_tables_that_there_is_no_time_for_are_left_out(serve: Any) -> None:
    serve({})
    assert DATABASE.try_tables(["a", "b"], "-80", -1) == {}


def test_a_server_that_goes_away_while_tables_are_tried_is_an_error(serve: Any) -> None:
    serve({"from `a`": pymysql.OperationalError(2013, "Lost connection to MySQL server")})
    with pytest.raises(SourceError, match="failed or was lost"):
        DATABASE.try_tables(["a"], "-80", 60)


def test_only_tables_of_the_patterns_are_asked_for_unless_they_are_named(serve: Any) -> None:
    config = Config("h", "shop", "u", "p", table_patterns={"shop": ("a%", "_")}, encryption=PLAIN)
    server = serve(SCHEMA)
    database_of(config).tables()
    asked = [sql for _, sql in server.asked if "information_schema" in sql]
    assert len(asked) == 3
    assert all("and (table_name like %s or table_name like %s)" in sql for sql in asked)
    assert server.arguments.count(["a%", "_"]) == 3
    database_of(config).tables(["b"])
    assert server.arguments.count(["b"]) == 3


def test_a_question_that_a_server_declines_has_no_answer(serve: Any) -> None:
    serve({"vitess_tablets": pymysql.OperationalError(1105, "unsupported"), "a_row": [(1,)]})
    assert DATABASE.ask("show vitess_tablets") is None
    assert DATABASE.ask("a_row", "-80", TabletType.REPLICA) == [(1,)]


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        ([], False),
        ([("online-ddl", "2026-11-26 05:00:00", 1.0)], False),
        ([("online-ddl", "2026-11-26 05:00:00", 1.0), ("vstreamer", "2026-11-26 05:00:00", 0.9)], True),
        ([("rowstreamer", None, "1")], True),
        ([("all", None, "1.0")], True),
        ([("vstreamer", None, 0)], False),
        (pymysql.OperationalError(1064, "syntax error at position 5"), False),
    ],
)
def test_streams_are_throttled_where_the_throttler_lists_them(serve: Any, rows: Any, *, held: bool) -> None:
    server = serve({"vitess_throttled_apps": rows})
    assert DATABASE.throttles_streams("-80") == held
    assert server.asked == [("shop:-80@primary", "show vitess_throttled_apps")]
    assert server.options["read_timeout"] < 10


def test_a_throttler_that_cannot_be_asked_is_an_error(serve: Any) -> None:
    serve({"vitess_throttled_apps": NO_TABLET})
    with pytest.raises(SourceError, match="No healthy primary tablet"):
        DATABASE.throttles_streams("-80")


def test_the_keyspaces_are_listed_without_a_target_of_their_own(serve: Any) -> None:
    server = serve({"show keyspaces": [("src",), ("_vt",), ("mysql",), ("shop",)]})
    assert DATABASE.keyspaces() == ["shop", "src"]
    assert server.targets("show keyspaces") == [""]


def test_a_keyspace_that_is_not_there_is_told_with_both_options_where_there_are_several(serve: Any) -> None:
    config = Config("h", "shop", "u", "p", further_keyspaces=("users",), encryption=PLAIN)
    serve({"": pymysql.OperationalError(1049, "VT05003: unknown database 'shop' in vschema")})
    with pytest.raises(ConfigError, match="Check the spelling of database and keyspaces"):
        database_of(config).tables()
