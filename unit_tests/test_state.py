"""Saved states: out and in again, those of the Go connector, and everything that may be wrong with one."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.shape import ShapeColumn, shape_of
from source_planetscale.state import Reshard, StreamState, state_messages
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYSPACE, SHARD, TABLE, UUID, gtid, last_key, row

LEGACY = Path(__file__).parent / "legacy_states"
SHAPE = shape_of(TABLE.columns)
MIDDLE = Cursor(KEYSPACE, SHARD, gtid(10), last_key(row(7922, None, None)).SerializeToString())


def parse(raw: dict[str, Any]) -> StreamState:
    return StreamState.parse(raw, keyspace=KEYSPACE, stream="orders")


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(SourceError) as caught:
        parse(raw)
    assert isinstance(caught.value, ConfigError)
    text = str(caught.value)
    assert "'orders'" in text
    assert "clear the stream's data" in text
    return text


def saved(cursor: Cursor = MIDDLE, **more: object) -> dict[str, Any]:
    return {"shards": {cursor.shard: {"cursor": cursor.encode()}}, **more}


# Out and in again.


KEYS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: last_key(row(n, None, None)).SerializeToString()),
)
SHAPES = st.none() | st.lists(
    st.builds(ShapeColumn, st.text(max_size=5), st.sampled_from(["int", "enum('a')"]), st.just("")),
    max_size=3,
).map(tuple)
POSITIONS = st.one_of(st.just(""), st.integers(1, 10**12).map(gtid))
SHARDS = st.sampled_from(["-", "0", "-80", "80-", "-40", "40-80", "c0-"])


RESHARDS = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.lists(SHARDS, max_size=2),
    st.dictionaries(SHARDS, st.integers(1, 10**12).map(gtid), min_size=1),
)
SAVED_SHARDS = st.dictionaries(SHARDS, st.tuples(POSITIONS, KEYS, SHAPES, st.none() | RESHARDS))


@given(shards=SAVED_SHARDS, cdc_cursor=st.integers(0, 2**53), full_refresh=st.booleans())
def test_a_state_comes_back_as_it_was(
    shards: dict[str, tuple[str, bytes | None, Any, Any]], cdc_cursor: int, full_refresh: bool
) -> None:
    state = StreamState(
        {name: Cursor(KEYSPACE, name, *parts) for name, (*parts, _) in shards.items()},
        {
            name: Reshard(ended[0], (name, *ended[1]), ended[2])
            for name, (*_, ended) in shards.items()
            if ended is not None
        },
        cdc_cursor,
        full_refresh,
    )
    assert parse(json.loads(json.dumps(state.to_json()))) == state


def through_the_cdk(state: StreamState) -> StreamState:
    message = {
        "type": "STREAM",
        "stream": {
            "stream_descriptor": {"name": "orders", "namespace": KEYSPACE},
            "stream_state": state.to_json(),
        },
    }
    manager = ConnectorStateManager([AirbyteStateMessageSerializer.load(message)])
    return parse(dict(manager.get_stream_state("orders", KEYSPACE)))


ENDED = Reshard(2**63 - 1, (SHARD, "80-"), {"-": gtid(12)})


@pytest.mark.parametrize("reshards", [{}, {SHARD: ENDED}], ids=["following", "resharded"])
def test_a_state_that_went_through_the_cdk_comes_back_as_it_was(reshards: dict[str, Reshard]) -> None:
    state = StreamState({SHARD: replace(MIDDLE, shape=SHAPE)}, reshards, 5)
    assert through_the_cdk(state) == state


def test_the_end_of_a_shard_stands_beside_its_cursor() -> None:
    written = StreamState({SHARD: MIDDLE}, {SHARD: ENDED}).to_json()
    assert written["shards"][SHARD] == {
        "cursor": MIDDLE.encode(),
        "reshard": {
            "number": "9223372036854775807",
            "participants": [SHARD, "80-"],
            "positions": {"-": gtid(12)},
        },
    }


def test_shards_of_one_shape_share_it() -> None:
    cursors = {name: Cursor(KEYSPACE, name, gtid(1), shape=SHAPE) for name in ("-80", "80-")}
    written = StreamState(cursors).to_json()
    assert written["shapes"] == {"1": [list(column) for column in SHAPE]}
    assert [shard["shape"] for shard in written["shards"].values()] == ["1", "1"]


def test_what_only_this_connector_knows_stands_beside_the_shards() -> None:
    plain = StreamState({SHARD: MIDDLE}).to_json()
    assert plain == {"shards": {SHARD: {"cursor": MIDDLE.encode()}}, "version": 1}


def test_no_state_is_a_fresh_start() -> None:
    assert parse({}) == StreamState()


def test_a_cursor_is_copying_until_it_has_a_position_alone() -> None:
    fresh = Cursor(KEYSPACE, SHARD)
    assert (fresh.copying, MIDDLE.copying) == (True, True)
    assert replace(MIDDLE, position="").copying
    assert not replace(MIDDLE, last_pk=None).copying
    assert replace(MIDDLE, shape=SHAPE).restarted() == fresh


# States of the Go connector.


_GO_UUID = "6ca9ebda-e590-11f1-936a-02fc00000001"


def at(last: int) -> str:
    return f"MySQL56/{_GO_UUID}:1-{last}"


EXPECTED: dict[str, dict[str, dict[str, tuple[str, list[bytes] | None]]]] = {
    "01-single-shard-copied": {"src:go_mut": {"0": (at(1194), None)}},
    "02-single-shard-after-incremental": {"src:go_mut": {"0": (at(1201), None)}},
    "03-two-shards-copied": {"shop:go_x": {"-80": (at(1218), None), "80-": (at(1218), None)}},
    "04-two-shards-after-incremental": {"shop:go_x": {"-80": (at(1220), None), "80-": (at(1220), None)}},
    "05-two-shards-one-not-started": {"shop:go_x": {"-80": (at(1218), None), "80-": ("", None)}},
    "06-mid-copy-single-pk": {"src:go_big": {"0": (at(1260), [b"122592"])}},
    "07-mid-copy-composite-pk": {"src:go_cpk": {"0": (at(24705), [b"dxokhutc", b"15826"])}},
    "08-mid-copy-no-primary-key": {"src:go_nopkbig": {"0": (at(24751), [b"ivrrjcpq", b"1727"])}},
    "09-mid-copy-two-shards": {"shop:go_y": {"-80": (at(24756), None), "80-": (at(24756), [b"7922"])}},
    "10-mid-copy-without-position": {"src:go_big": {"0": ("", [b"103305"])}},
    "11-copy-cut-before-first-pk": {"src:go_big": {"0": (at(24754), None)}},
    "12-mid-copy-resumed-complete": {"src:go_big": {"0": (at(1265), None)}},
    "13-two-streams": {
        "src:go_multipk": {"0": (at(1218), None)},
        "src:go_mut": {"0": (at(1218), None)},
    },
    "14-shard-name-with-space": {"shop:go_x": {"80-": ("", None), "-80": (at(1220), None)}},
    "15-emitted-message": {"shop:go_x": {"-80": (at(1218), None), "80-": (at(1218), None)}},
}


def legacy(name: str) -> Any:
    return json.loads((LEGACY / f"{name}.json").read_text())


def test_every_captured_state_is_tested() -> None:
    assert {path.stem for path in LEGACY.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_state_of_the_go_connector_is_read_as_what_it_means(name: str) -> None:
    found: dict[str, dict[str, tuple[str, list[bytes | None] | None]]] = {}
    for message in state_messages(legacy(name)):
        part = message["stream"]
        descriptor = part["stream_descriptor"]
        state = StreamState.parse(
            part["stream_state"], keyspace=descriptor["namespace"], stream=descriptor["name"]
        )
        found[f"{descriptor['namespace']}:{descriptor['name']}"] = {
            shard: (cursor.position, last_values(cursor)) for shard, cursor in state.cursors.items()
        }
    assert found == EXPECTED[name]


def last_values(cursor: Cursor) -> list[bytes | None] | None:
    if cursor.last_pk is None:
        return None
    return cells(wire.QueryResult.FromString(cursor.last_pk).rows[0])


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "14-shard-name-with-space"])
def test_a_cursor_of_the_go_connector_is_written_back_byte_for_byte(name: str) -> None:
    for message in state_messages(legacy(name)):
        part = message["stream"]
        keyspace = part["stream_descriptor"]["namespace"]
        for shard, content in part["stream_state"]["shards"].items():
            cursor = Cursor.decode(content["cursor"], keyspace=keyspace, shard=shard)
            assert cursor.encode() == content["cursor"]


def test_a_shard_saved_with_a_blank_in_its_name_is_that_shard() -> None:
    (message,) = state_messages(legacy("14-shard-name-with-space"))
    state = StreamState.parse(message["stream"]["stream_state"], keyspace="shop", stream="go_x")
    assert state.cursors["80-"] == Cursor("shop", "80-")
    assert Cursor.decode(state.cursors["80-"].encode(), keyspace="shop", shard="80-").shard == "80-"


@pytest.mark.parametrize("blank_first", [True, False])
def test_of_two_spellings_of_a_shard_the_one_that_was_read_counts(blank_first: bool) -> None:
    read = {SHARD: {"cursor": MIDDLE.encode()}}
    never_read = {f" {SHARD}": {"cursor": Cursor(KEYSPACE, f" {SHARD}").encode()}}
    shards = never_read | read if blank_first else read | never_read
    assert parse({"shards": shards}).cursors == {SHARD: MIDDLE}


# The forms of a state file.


V2 = {
    "type": "STREAM",
    "stream": {"stream_descriptor": {"name": "t", "namespace": "k"}, "stream_state": {"shards": {}}},
}


@pytest.mark.parametrize(
    "nothing", [None, [], {}, {"data": {"streams": {}}}, {"type": "LEGACY"}, {"data": None}]
)
def test_forms_of_nothing_are_a_fresh_start(nothing: object) -> None:
    assert state_messages(nothing) == []


@pytest.mark.parametrize(
    "saved_form", [[V2], V2, {"type": "STATE", "state": V2}, [{"type": "STATE", "state": V2}]]
)
def test_stream_states_are_taken_as_they_are(saved_form: object) -> None:
    assert state_messages(saved_form) == [V2]


def test_a_global_state_is_taken_as_it_is() -> None:
    message = {"type": "GLOBAL", "global": {"stream_states": [V2["stream"]]}}
    assert state_messages([message]) == [message]


STREAMS: dict[str, dict[str, Any]] = {"k:t": {"shards": {}}, "k:with:colon": {"shards": {}}}


@pytest.mark.parametrize(
    "saved_form",
    [
        {"streams": STREAMS},
        {"data": {"streams": STREAMS}},
        {"type": "LEGACY", "data": {"streams": STREAMS}},
        {"type": "STATE", "state": {"data": {"streams": STREAMS}}},
        [{"type": "STATE", "state": {"type": "LEGACY", "data": {"streams": STREAMS}}}],
    ],
)
def test_the_go_connectors_object_is_one_state_per_stream(saved_form: object) -> None:
    descriptors = [message["stream"]["stream_descriptor"] for message in state_messages(saved_form)]
    assert descriptors == [{"name": "t", "namespace": "k"}, {"name": "with:colon", "namespace": "k"}]


def test_a_null_in_the_go_connectors_object_is_a_stream_that_was_never_read() -> None:
    (message,) = state_messages({"streams": {"k:t": None}})
    assert message["stream"]["stream_state"] == {}


@pytest.mark.parametrize(
    "saved_form",
    [
        "text",
        5,
        [5],
        [[V2]],
        {"cursor": "abc"},
        {"type": "OTHER"},
        {"streams": []},
        {"type": "STREAM"},
        {"type": "STREAM", "stream": {"stream_state": {}}},
        {"type": "STREAM", "stream": {"stream_descriptor": {}, "stream_state": {}}},
        {"type": "GLOBAL"},
        {"type": "GLOBAL", "global": {"stream_states": 5}},
        {"streams": {"no keyspace": {}}},
    ],
)
def test_what_is_no_state_is_refused_and_not_taken_for_a_fresh_start(saved_form: object) -> None:
    with pytest.raises(SourceError, match="state"):
        state_messages(saved_form)


@pytest.mark.parametrize("garbage", ["text", 5, ["shards"]])
def test_a_streams_state_that_is_no_object_is_refused_with_its_name(garbage: object) -> None:
    v2 = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "orders"}, "stream_state": garbage}}
    for saved_form in ([v2], {"streams": {"shop:orders": garbage}}):
        with pytest.raises(SourceError, match="'orders'"):
            state_messages(saved_form)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "state", "data", "streams", "stream", "global", "stream_states", "stream_descriptor"]
            ),
            inner | st.sampled_from(["STREAM", "GLOBAL", "STATE", "LEGACY"]),
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_state_or_refused_in_a_sentence(content: object) -> None:
    with suppress(SourceError):
        assert all(message["type"] in ("STREAM", "GLOBAL") for message in state_messages(content))


# Damage.


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"version": 2, "shards": {}}, "newer version"),
        ({"version": "2", "shards": {}}, "newer version"),
        ({"some": "cursor"}, "another source wrote it"),
        ({"shards": []}, "another source wrote it"),
        ({"shards": None}, "another source wrote it"),
        ({"shards": {SHARD: {}}}, "it has no cursor"),
        ({"shards": {SHARD: "abc"}}, "it has no cursor"),
        ({"shards": {SHARD: {"cursor": None}}}, "it has no cursor"),
        (saved(shapes=[]), "table shapes"),
        (saved(shapes={"1": 5}), "table shapes"),
        (saved(shapes={"1": [["a", "int"]]}), "table shapes"),
        (saved(cdc_cursor="5"), "cdc_cursor"),
        (saved(cdc_cursor=-1), "cdc_cursor"),
        (saved(cdc_cursor=True), "cdc_cursor"),
    ],
)
def test_a_damaged_state_is_refused(raw: dict[str, Any], named: str) -> None:
    assert named in refusal(raw)


@pytest.mark.parametrize(
    "reshard",
    [
        "text",
        5,
        [],
        {},
        {"number": "7", "participants": [SHARD]},
        {"number": "x", "participants": [SHARD], "positions": {}},
        {"number": None, "participants": [SHARD], "positions": {}},
        {"number": "7", "participants": 5, "positions": {}},
        {"number": "7", "participants": [SHARD], "positions": ["-40"]},
        {"number": "7", "participants": [SHARD], "positions": {"-40": "garbage"}},
        {"number": "7", "participants": [SHARD], "positions": {"-40": ""}},
        {"number": "7", "participants": [SHARD], "positions": {"-40": None}},
        {"number": "7", "participants": [], "positions": {"-40": gtid(5)}},
        {"number": "7", "participants": [SHARD], "positions": {}},
        {"number": "7", "participants": ["80-"], "positions": {"-40": gtid(5)}},
        {"number": "7", "participants": SHARD, "positions": {"-40": gtid(5)}},
    ],
)
def test_the_end_of_a_shard_that_cannot_be_read_is_damage(reshard: object) -> None:
    text = refusal({"shards": {SHARD: {"cursor": MIDDLE.encode(), "reshard": reshard}}})
    assert "the reshard that ended it cannot be read" in text
    assert f"shard '{SHARD}'" in text


@pytest.mark.parametrize("key", ["2", 1, [], {}])
def test_a_shape_that_is_missing_is_damage_and_not_a_shape_that_is_unknown(key: object) -> None:
    raw = {
        "shards": {SHARD: {"cursor": MIDDLE.encode(), "shape": key}},
        "shapes": {"1": [["id", "bigint", ""]]},
    }
    assert "the table shape that it names is missing" in refusal(raw)


def encoded(*, keyspace: str = KEYSPACE, shard: str = SHARD, position: str = "") -> str:
    message = wire.TableCursor(keyspace=keyspace, shard=shard, position=position)
    return base64.b64encode(message.SerializeToString()).decode()


@pytest.mark.parametrize(
    ("cursor", "named"),
    [
        ("no base64 at all!", "not a cursor"),
        ("é", "not a cursor"),
        ("\ud800", "not a cursor"),
        (MIDDLE.encode()[:-3], "not a cursor"),
        (base64.b64encode(base64.b64decode(MIDDLE.encode())[:-3]).decode(), "not a cursor"),
        (MIDDLE.encode() + "\n", "not a cursor"),
        (base64.b64encode(b"\xff\xff\xff").decode(), "not a cursor"),
        (encoded(keyspace="other"), "keyspace 'other'"),
        (encoded(shard="80-"), "shard '80-'"),
        (encoded(position="garbage"), "its position cannot be read"),
        (encoded(position=f"{UUID}:1-5"), "its position cannot be read"),
    ],
)
def test_a_damaged_cursor_is_refused_with_its_shard(cursor: str, named: str) -> None:
    text = refusal({"shards": {SHARD: {"cursor": cursor}}})
    assert named in text
    assert f"shard '{SHARD}'" in text


def test_an_empty_cursor_is_a_copy_that_has_not_begun() -> None:
    assert parse({"shards": {SHARD: {"cursor": ""}}}).cursors == {SHARD: Cursor(KEYSPACE, SHARD)}


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda raw: base64.b64encode(raw).decode()))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert Cursor.decode(text, keyspace=KEYSPACE, shard=SHARD).shard == SHARD


def test_an_error_about_a_cursor_shows_no_key_value() -> None:
    broken = replace(MIDDLE, shard="80-").encode()
    assert "7922" not in refusal({"shards": {SHARD: {"cursor": broken}}})
