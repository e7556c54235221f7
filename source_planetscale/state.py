"""The saved state of a stream: a cursor per shard, in the form of PlanetScale's connectors.

`{"shards": {SHARD: {"cursor": base64 of TableCursor}}}` is what the Go connector writes and reads. What
this connector adds stands in sibling keys, which the Go connector ignores, so that a state can travel in
both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from source_planetscale.errors import ConfigError
from source_planetscale.shape import Shape, ShapeColumn
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


VERSION = 1
LEGACY_TYPE = "LEGACY"


@dataclass(frozen=True)
class Reshard:
    """How a shard ended: what its journal says.

    Attributes:
        number: Tells reshards apart.
        participants: The shards that it ended.
        positions: The positions at which the new shards begin, by shard.
    """

    number: int
    participants: tuple[str, ...]
    positions: Mapping[str, str]


@dataclass
class StreamState:
    """The state of one stream.

    Attributes:
        cursors: The cursor of every shard by its name; of a shard that has ended, the last one before that.
        reshards: How shards ended that have been read to their end, by shard. They stand here until the new
            shards take their place, which is when all shards that were replaced together have ended.
        cdc_cursor: No record after this state has a smaller or equal `_ab_cdc_cursor`; 0 if none had one.
        full_refresh: The state belongs to a full refresh that has not ended.
        generation: The platform's number of the full refresh that it belongs to; None for other states.
    """

    cursors: dict[str, Cursor] = field(default_factory=dict)
    reshards: dict[str, Reshard] = field(default_factory=dict)
    cdc_cursor: int = 0
    full_refresh: bool = False
    generation: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it belongs to a full refresh that has ended."""
        return self.generation is not None and not self.full_refresh

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, keyspace: str, stream: str) -> StreamState:
        """Reads the state of one stream.

        Args:
            raw: The stream's state object; empty for a stream that was never read.
            keyspace: The configured keyspace.
            stream: The stream's name, for errors.

        Returns:
            The state; shards that it does not name are left out.

        Raises:
            ConfigError: It is damaged, of another source or of a later version.
        """
        if not raw:
            return cls()
        if not _is_supported(raw.get("version", VERSION)):
            raise _damaged(stream, None, "it was written by a newer version of this connector: upgrade it")
        shards = _plain(raw.get("shards"))
        if not isinstance(shards, dict):
            raise _damaged(stream, None, 'it has no "shards" object, so another source wrote it')
        shapes = _parse_shapes(_plain(raw.get("shapes", {})), stream)
        state = cls(full_refresh=bool(raw.get("full_refresh")))
        state.generation = _parse_generation(raw.get("generation"), stream)
        state.cdc_cursor = _parse_cdc_cursor(raw.get("cdc_cursor", 0), stream)
        # Of two spellings of a shard's name the one without blanks was read.
        for name in sorted(shards, key=lambda name: name == name.strip()):
            saved = _plain(shards[name])
            cursor = _parse_shard(saved, shapes, keyspace=keyspace, shard=name, stream=stream)
            state.cursors[cursor.shard] = cursor
            reshard = _parse_reshard(saved, stream, cursor.shard)
            if reshard is not None:
                state.reshards[cursor.shard] = reshard
        return state

    def to_json(self) -> dict[str, Any]:
        """The state in its saved form; shapes that several shards share stand in it once."""
        shapes: dict[Shape, str] = {}
        shards = {
            name: _shard_to_json(cursor, self.reshards.get(name), shapes)
            for name, cursor in self.cursors.items()
        }
        saved: dict[str, Any] = {"shards": shards, "version": VERSION}
        if shapes:
            saved["shapes"] = {key: [list(column) for column in shape] for shape, key in shapes.items()}
        if self.cdc_cursor:
            saved["cdc_cursor"] = self.cdc_cursor
        if self.full_refresh:
            saved["full_refresh"] = True
        if self.generation is not None:
            saved["generation"] = self.generation
        return saved


def state_messages(saved: object) -> list[dict[str, Any]]:
    """Brings a state file's content into the form of protocol v2.

    Args:
        saved: The parsed JSON: an array of state messages, the Go connector's object (with or without its
            `data` wrapper), an empty object, or null.

    Returns:
        A list of state objects of type STREAM; empty for a fresh start.

    Raises:
        ConfigError: The content is of no known form.
    """
    if not saved:
        return []
    if isinstance(saved, list):
        return [message for item in saved for message in _item_messages(item)]
    if isinstance(saved, dict):
        return _item_messages(saved)
    raise ConfigError(
        "The state file holds neither a list of states nor an object. Clear the state to start again."
    )


def _item_messages(item: object) -> list[dict[str, Any]]:
    if isinstance(item, dict):
        if item.get("type") in ("STREAM", "GLOBAL"):
            _check_parts(item)
            return [item]
        if item.get("type") == "STATE" and isinstance(item.get("state"), dict):
            return _item_messages(item["state"])
        if isinstance(item.get("data"), dict):
            return _item_messages(item["data"])
        if isinstance(item.get("streams"), dict):
            return _legacy_messages(item["streams"])
        if item.get("type") == LEGACY_TYPE or item == {"data": None}:
            return []
    raise _unknown_form()


def _unknown_form() -> ConfigError:
    return ConfigError(
        "The state is of no form that this connector knows (a list of STREAM states, or the object with "
        '"streams" of the previous connector). Check that it belongs to this connection, or clear it.'
    )


def _check_parts(message: Mapping[str, Any]) -> None:
    # The CDK passes over what is no state of a stream, which would copy that stream from the start.
    shared = message.get("global")
    parts = shared.get("stream_states") if isinstance(shared, dict) else [message.get("stream")]
    for part in parts if isinstance(parts, list) else [None]:
        if not isinstance(part, dict):
            raise _unknown_form()
        descriptor = part.get("stream_descriptor")
        name = descriptor.get("name") if isinstance(descriptor, dict) else None
        if not isinstance(name, str):
            raise _unknown_form()
        _check_stream_state(part.get("stream_state"), name)


def _check_stream_state(saved: object, stream: str) -> None:
    if saved is not None and not isinstance(saved, dict):
        raise _damaged(stream, None, "it is no object")


def _legacy_messages(streams: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for key, saved in streams.items():
        # A keyspace's name has no colon, a table's may have.
        namespace, colon, name = key.partition(":")
        if not colon:
            raise ConfigError(
                f"The state names the stream {key!r} without its keyspace. Clear the state to start again."
            )
        _check_stream_state(saved, name)
        messages.append(
            {
                "type": "STREAM",
                "stream": {
                    "stream_descriptor": {"name": name, "namespace": namespace},
                    "stream_state": saved or {},
                },
            }
        )
    return messages


def _shard_to_json(cursor: Cursor, reshard: Reshard | None, shapes: dict[Shape, str]) -> dict[str, Any]:
    """Gives the saved form of a shard; a shape that is not in `shapes` is put there."""
    saved: dict[str, Any] = {"cursor": cursor.encode()}
    if cursor.shape is not None:
        saved["shape"] = shapes.setdefault(cursor.shape, str(len(shapes) + 1))
    if reshard is not None:
        saved["reshard"] = {
            # A number beyond 2**53 would not come back from every reader of JSON.
            "number": str(reshard.number),
            "participants": list(reshard.participants),
            "positions": dict(reshard.positions),
        }
    return saved


def _parse_reshard(saved: object, stream: str, shard: str) -> Reshard | None:
    raw = _plain(saved.get("reshard")) if isinstance(saved, dict) else None
    if raw is None:
        return None
    try:
        participants, positions = raw["participants"], _plain(raw["positions"])
        if not isinstance(participants, list) or shard not in participants or not positions:
            raise ValueError
        for position in positions.values():
            Position.parse(position)
        return Reshard(int(raw["number"]), tuple(participants), dict(positions))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(stream, shard, "the reshard that ended it cannot be read") from None


def _parse_shard(
    saved: object, shapes: Mapping[str, Shape], *, keyspace: str, shard: str, stream: str
) -> Cursor:
    text = saved.get("cursor") if isinstance(saved, dict) else None
    if not isinstance(saved, dict) or not isinstance(text, str):
        raise _damaged(stream, shard, "it has no cursor")
    try:
        cursor = Cursor.decode(text, keyspace=keyspace, shard=shard)
    except ValueError as error:
        raise _damaged(stream, shard, str(error)) from None
    return replace(cursor, shape=_shape_of_shard(saved, shapes, shard, stream))


def _shape_of_shard(
    saved: Mapping[str, Any], shapes: Mapping[str, Shape], shard: str, stream: str
) -> Shape | None:
    key = saved.get("shape")
    if key is None:
        return None
    if not isinstance(key, str) or key not in shapes:
        raise _damaged(stream, shard, "the table shape that it names is missing")
    return shapes[key]


def _parse_shapes(saved: object, stream: str) -> dict[str, Shape]:
    try:
        return {str(key): tuple(_parse_column(column) for column in shape) for key, shape in _items(saved)}
    except (TypeError, ValueError):
        raise _damaged(stream, None, "its table shapes cannot be read") from None


def _items(saved: object) -> Iterable[tuple[str, Any]]:
    if not isinstance(saved, dict):
        raise TypeError("expected an object")
    return saved.items()


def _parse_column(saved: Any) -> ShapeColumn:
    name, column_type, charset = saved
    return ShapeColumn(str(name), str(column_type), str(charset))


def _parse_cdc_cursor(saved: object, stream: str) -> int:
    if not isinstance(saved, int) or isinstance(saved, bool) or saved < 0:
        raise _damaged(stream, None, "its cdc_cursor is not a number")
    return saved


def _parse_generation(saved: object, stream: str) -> int | None:
    if saved is not None and (not isinstance(saved, int) or isinstance(saved, bool)):
        raise _damaged(stream, None, "its generation is not a number")
    return saved


def _is_supported(version: object) -> bool:
    return isinstance(version, int) and version <= VERSION


def _plain(value: Any) -> Any:
    # The CDK hands nested objects of a state over as AirbyteStateBlob.
    return vars(value) if hasattr(value, "__dict__") and not isinstance(value, dict) else value


def _damaged(stream: str, shard: str | None, reason: str) -> ConfigError:
    where = f"shard {shard!r} of stream {stream!r}" if shard is not None else f"stream {stream!r}"
    return ConfigError(
        f"The saved state of {where} cannot be used: {reason}. Nothing was read. "
        "Restore the state of this connection, or clear the stream's data to copy it again."
    )
