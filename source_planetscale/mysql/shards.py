"""Which shards of a keyspace are read, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.endpoint import Keyspace


@dataclass(frozen=True)
class KeyRange:
    """The keyspace ids that a shard named `START-END` holds.

    Attributes:
        start: The first id, without zeros at its end; empty means from the lowest on.
        end: The first id beyond, in the same form; None means to the highest.
    """

    start: bytes
    end: bytes | None

    @classmethod
    def parse(cls, name: str) -> KeyRange | None:
        """Reads a range as Vitess does (go/vt/key `ParseKeyRangeParts`): hexadecimal, in any case.

        Returns:
            The range, or None for a name that is none, such as the `0` of an unsharded keyspace.
        """
        start, dash, end = name.partition("-")
        try:
            first, last = _bound(start), _bound(end)
        except ValueError:
            return None
        if not dash or (end and last <= first):
            return None
        return cls(first, last or None)

    def contains(self, other: KeyRange) -> bool:
        """Tells whether the other range lies inside this one."""
        ends_inside = self.end is None or (other.end is not None and other.end <= self.end)
        return self.start <= other.start and ends_inside

    def overlaps(self, other: KeyRange) -> bool:
        """Tells whether any id lies in both."""
        return _begins_before(self.start, other.end) and _begins_before(other.start, self.end)


_EVERYTHING = KeyRange(b"", None)


def selected_shards(keyspace: Keyspace, known: Sequence[str]) -> list[str]:
    """Decides which shards to read.

    Args:
        keyspace: What is configured: names of shards in any spelling, also with the keyspace before them
            (`shop/-80`), and ranges that stand for every shard inside them. None of them means all.
        known: The shards that serve the keyspace.

    Returns:
        The shards in the order of `known`.

    Raises:
        ConfigError: An entry names no shard, or a range divides one.
    """
    chosen = {shard for entry in keyspace.shards for shard in _shards_of(entry, keyspace, known)}
    return [shard for shard in known if not keyspace.shards or shard in chosen]


def key_range_order(shard: str) -> tuple[bytes, str]:
    """Gives the sort key of a shard's name, such as `-80`: the key range's start comes first."""
    key_range = KeyRange.parse(shard)
    return (key_range.start if key_range else b"", shard)


def _shards_of(entry: str, keyspace: Keyspace, known: Sequence[str]) -> list[str]:
    name = entry.removeprefix(f"{keyspace.name}/").removeprefix(f"{keyspace.name}:")
    if name in known:
        return [name]
    wanted = KeyRange.parse(name)
    if wanted == _EVERYTHING:
        return list(known)
    ranges = {shard: key_range for shard in known if (key_range := KeyRange.parse(shard))}
    inside = [shard for shard, key_range in ranges.items() if wanted and wanted.contains(key_range)]
    divided = [
        shard
        for shard, key_range in ranges.items()
        if wanted and wanted.overlaps(key_range) and shard not in inside
    ]
    its_shards = f"Its shards are {', '.join(known)}: correct the field 'shards' or leave it empty."
    if divided:
        raise ConfigError(
            f"The range {entry} in the field 'shards' divides shard(s) {', '.join(divided)} of keyspace "
            f"{keyspace.name}, and a shard is read as a whole. {its_shards}"
        )
    if not inside:
        raise ConfigError(
            f"The configuration lists shard(s) {entry}, which keyspace {keyspace.name} does not have. "
            f"{its_shards}"
        )
    return inside


def _bound(text: str) -> bytes:
    # Vitess pads a bound of an odd number of digits on the right, and zeros at the end change nothing.
    if not all(digit in "0123456789abcdefABCDEF" for digit in text):
        raise ValueError("no hexadecimal number")
    return bytes.fromhex(text + "0" * (len(text) % 2)).rstrip(b"\0")


def _begins_before(start: bytes, end: bytes | None) -> bool:
    return end is None or start < end
