"""Only the columns that a connection selects travel, and a selection changes no value, on a real Vitess."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from integration_tests.schema.changed_table import ChangedTable
from integration_tests.support.command import configured
from source_planetscale.follow import selections
from source_planetscale.follow.shapes import ShapeFinder
from source_planetscale.source import SourcePlanetscale
from source_planetscale.vstream.client import VStreamCall, VStreamClient
from source_planetscale.vstream.errors import VStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airbyte_cdk.models import AirbyteStateMessage

    from integration_tests.support.command import Json
    from integration_tests.vitess.cluster import VitessCluster
    from source_planetscale.vstream.cursor import Cursor

MADE = "create table changing (id int primary key, a int, b int, x longtext, n int not null default 0)"
FIRST = "insert into changing (id, a, b, x) values (1, 10, 20, 'x1'), (2, 11, 21, 'x2')"
OLD = "insert into changing (id, a, b, x) values (3, 12, 22, 'x3')"
LARGE = 1 << 20


def stream_of(*names: str) -> Json:
    """The stream of the table as a connection has it that selects these columns."""
    return {
        "name": "changing",
        "namespace": "src",
        "json_schema": {"type": "object", "properties": {name: {} for name in (*names, *ADDED)}},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }


ADDED = ("_ab_cdc_updated_at", "_ab_cdc_deleted_at", "_ab_cdc_cursor")


class CutCall:
    """A stream that breaks off after some responses."""

    def __init__(self, call: VStreamCall, responses: int) -> None:
        """Takes the stream."""
        self._call = call
        self._responses = responses

    def __iter__(self) -> Iterator[bytes]:
        """Gives the responses, one after the other."""
        yield from islice(self._call, self._responses)
        raise VStreamError(grpc.StatusCode.UNAVAILABLE, "cut")

    def cancel(self) -> None:
        """Ends the stream."""
        self._call.cancel()


@dataclass
class Spied:
    """Reads in this process, and sees what is asked of vtgate.

    Attributes:
        table: The table.
        lists: The select lists that streams were opened with.
        state: The states of the last read.
        error: What ended the last one, or None.
    """

    table: ChangedTable
    lists: list[tuple[str, ...] | None] = field(default_factory=list)
    state: list[AirbyteStateMessage] = field(default_factory=list)
    error: Exception | None = None

    def read(self, *names: str, state: Sequence[AirbyteStateMessage] | None = None) -> list[Json]:
        """Reads on; gives the records without the added columns."""
        config = self.table.config
        catalog = configured(stream_of(*names), namespace="src")
        catalog["streams"][0]["stream"]["json_schema"]["properties"].update(
            {name: {} for name in (names or self.all_columns)}
        )
        parsed = ConfiguredAirbyteCatalogSerializer.load(catalog)
        self.lists.clear()
        self.error = None
        found = []
        logger = logging.getLogger("test")
        try:
            state = self.state if state is None else list(state)
            for message in SourcePlanetscale().read(logger, config, parsed, list(state)):
                if message.type is Type.RECORD:
                    data = cast("Any", message.record).data
                    deleted = {"deleted": True} if data["_ab_cdc_deleted_at"] else {}
                    found.append({k: v for k, v in data.items() if k not in ADDED} | deleted)
                if message.type is Type.STATE:
                    self.state = [cast("Any", message.state)]
        except AirbyteTracedException as error:
            self.error = error
        return found

    @property
    def all_columns(self) -> list[str]:
        """The columns of today."""
        return list(self.table.discovered()["json_schema"]["properties"])


@pytest.fixture
def spied(vitess: VitessCluster, monkeypatch: pytest.MonkeyPatch) -> Spied:
    """The table, read by a list from the first change on."""
    monkeypatch.setattr(selections, "WORTH_A_STREAM_BYTES", 0)
    spied = Spied(ChangedTable(vitess, MADE, FIRST))
    opened = VStreamClient.open

    def open_(self: VStreamClient, *arguments: Any) -> Any:
        columns = arguments[3] if len(arguments) > 3 else {}
        if not arguments[2].endswith("shapes"):
            spied.lists.append(columns.get("changing"))
        return opened(self, *arguments)

    monkeypatch.setattr(VStreamClient, "open", open_)
    return spied


def before_the_list(spied: Spied, monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    """Runs statements once, after the table was looked at and before the stream with its list is opened."""
    opened: Callable[..., Any] = VStreamClient.open
    left = list(statements)

    def open_(self: VStreamClient, *arguments: Any) -> Any:
        if len(arguments) > 3 and arguments[3] and left:
            spied.table.change(*left)
            left.clear()
        return opened(self, *arguments)

    monkeypatch.setattr(VStreamClient, "open", open_)


def before_the_proof(spied: Spied, monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    """Runs statements once, when rows have come by a list and wait for the proof that it is right."""
    unchanged: Callable[..., Any] = ShapeFinder.unchanged
    left = list(statements)

    def unchanged_(self: ShapeFinder, *arguments: Any) -> Any:
        spied.table.change(*left)
        left.clear()
        return unchanged(self, *arguments)

    monkeypatch.setattr(ShapeFinder, "unchanged", unchanged_)


def test_a_copy_and_its_changes_travel_by_the_selected_columns(spied: Spied) -> None:
    assert spied.read("id", "a", "n") == [{"id": 1, "a": 10, "n": 0}, {"id": 2, "a": 11, "n": 0}]
    assert spied.lists == [("id", "a", "n")]
    spied.table.change(
        "update changing set x = 'other' where id = 1",
        "update changing set a = null where id = 2",
        "update changing set id = 5 where id = 1",
        "delete from changing where id = 2",
    )
    assert spied.read("id", "a", "n") == [
        {"id": 1, "a": 10, "n": 0},
        {"id": 2, "a": None, "n": 0},
        {"id": 1, "a": 10, "n": 0, "deleted": True},
        {"id": 5, "a": 10, "n": 0},
        {"id": 2, "a": None, "n": 0, "deleted": True},
    ]
    assert spied.lists == [("id", "a", "n")]


def test_keys_always_travel_and_a_column_that_tells_reduced_images(spied: Spied) -> None:
    assert spied.read("a") == [{"a": 10}, {"a": 11}]
    assert spied.lists == [("id", "a", "n")]
    spied.table.change(
        "set session binlog_row_image = 'MINIMAL'", "update changing set a = null where id = 1"
    )
    assert spied.read("a") == []
    assert spied.error is not None


def test_a_selection_that_grows_and_shrinks_keeps_the_state(spied: Spied) -> None:
    spied.read("id", "a")
    spied.table.change("update changing set b = 200 where id = 1")
    assert spied.read("id", "a", "b", "x") == [{"id": 1, "a": 10, "b": 200, "x": "x1"}]
    spied.table.change("update changing set b = 201 where id = 1")
    assert spied.read("id") == [{"id": 1}]
    spied.table.change("update changing set b = 202 where id = 1")
    assert spied.read(*("id", "a", "b", "x", "n")) == [{"id": 1, "a": 10, "b": 202, "x": "x1", "n": 0}]
    assert spied.lists == [None]


def test_catch_up_has_a_list_once_it_is_worth_it(spied: Spied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "WORTH_A_STREAM_BYTES", LARGE)
    spied.read("id", "a")
    spied.table.change("update changing set a = 1 where id = 1")
    assert spied.read("id", "a") == [{"id": 1, "a": 1}]
    assert spied.lists == [None]
    changes = 40
    for number in range(changes):
        spied.table.change(f"update changing set a = {number}, x = repeat('x', 200000) where id = 1")  # noqa: S608
    assert spied.read("id", "a") == [{"id": 1, "a": number} for number in range(changes)]
    assert spied.lists == [None, ("id", "a", "n")]


def test_a_copy_that_is_taken_up_goes_on_by_its_list(spied: Spied, monkeypatch: pytest.MonkeyPatch) -> None:
    spied.table.change(
        *(
            f"insert into changing (id, a, x) select id + {2 << n}, id + {2 << n}, '' from changing"  # noqa: S608
            for n in range(15)
        )
    )
    opened: Callable[..., Any] = VStreamClient.open
    changes = ["update changing set x = 'more' where id = 1", "update changing set a = 7 where id = 2"]

    def open_(self: VStreamClient, cursor: Cursor, *arguments: Any) -> Any:
        call = opened(self, cursor, *arguments)
        if not cursor.position:
            return CutCall(call, 4)
        if cursor.last_pk is not None and changes:
            spied.table.change(*changes)
            changes.clear()
        return call

    monkeypatch.setattr(VStreamClient, "open", open_)
    found = spied.read("id", "a")
    assert (spied.error, spied.lists) == (None, [("id", "a", "n")] * 2)
    assert [row for row in found if row["id"] in (1, 2)] == [
        {"id": 1, "a": 10},
        {"id": 2, "a": 11},
        {"id": 1, "a": 10},
        {"id": 2, "a": 7},
    ]
    assert sorted({row["id"] for row in found}) == list(range(1, (2 << 15) + 1))
    spied.table.change("alter table changing modify a int after b", "delete from changing where id = 3")
    assert [row["id"] for row in spied.read("id", "a")] == [3]


# A list is right only for the table that it was made for.

RACES = {
    "two columns of one type change places": ["alter table changing modify a int after b"],
    "and back again": [
        "alter table changing modify a int after b",
        "alter table changing modify b int after a",
    ],
    "a column goes and comes at another place": [
        "alter table changing drop column a",
        "alter table changing add column a int after b",
    ],
    "a selected column goes": ["alter table changing drop column a"],
    "another column goes": ["alter table changing drop column x"],
    "a selected column is renamed": ["alter table changing rename column a to a2"],
    "two columns exchange their names": [
        "alter table changing rename column a to b, rename column b to a",
    ],
    "a column comes in front": ["alter table changing add column z int after id"],
    "a column comes at the end": ["alter table changing add column z int"],
    "another column changes its type": ["alter table changing modify x int"],
    "a selected column changes its type": ["alter table changing modify a bigint unsigned"],
    "the key changes": ["alter table changing drop primary key, add primary key (b)"],
}
NEW = "insert into changing (id, b) values (9, 29)"


@pytest.mark.parametrize("case", RACES)
@pytest.mark.parametrize("when", [before_the_list, before_the_proof])
def test_columns_that_change_under_a_list_leave_every_value_right(
    spied: Spied, monkeypatch: pytest.MonkeyPatch, case: str, when: Callable[..., None]
) -> None:
    spied.table.change("update changing set x = id")
    spied.read("id", "a")
    spied.table.change("insert into changing (id, a, b, x) values (3, 12, 22, '3')")
    when(spied, monkeypatch, *RACES[case], NEW)
    found = spied.read("id", "a")
    assert spied.error is None
    found += spied.read("id", "a")
    # As it was when it was written, as without a selection.
    assert [{"a": None, **row} for row in found] == [{"id": 3, "a": 12}, {"id": 9, "a": None}]
    spied.table.change("insert into changing (id, b) values (10, 30)")
    assert [(row["id"], row["n"]) for row in spied.read()] == [(10, 0)]


@pytest.mark.parametrize("case", RACES)
@pytest.mark.parametrize("when", [before_the_list, before_the_proof])
def test_columns_that_change_under_the_list_of_a_copy_leave_every_value_right(
    spied: Spied, monkeypatch: pytest.MonkeyPatch, case: str, when: Callable[..., None]
) -> None:
    spied.table.change("update changing set x = id")
    when(spied, monkeypatch, *RACES[case])
    found = {row["id"]: row for row in spied.read("id", "a")}
    assert spied.error is None
    saved = spied.state
    spied.table.change(NEW)
    found |= {row["id"]: row for row in spied.read("id", "a")}
    assert spied.error is None
    assert [row["id"] for row in spied.read(state=saved)] == [9]
    spied.state = []
    expected = {row["id"]: row for row in spied.read()}
    assert {key: row.get("a") for key, row in found.items()} == {
        key: row.get("a") for key, row in expected.items()
    }
