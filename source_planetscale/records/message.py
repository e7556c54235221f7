"""Batches of records, each as one message that passes through the CDK."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type

# The protocol's own package has no marker for type checkers.
from airbyte_protocol_dataclasses.models import (  # type: ignore[import-untyped]
    AirbyteRecordMessageMeta,
    AirbyteRecordMessageMetaChange,
    Change,
    Reason,
)

from source_planetscale.records.jsonl import RecordLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from source_planetscale.records.batches import BatchMaker
    from source_planetscale.records.encoded import EncodedRows
    from source_planetscale.records.layout import Layout
    from source_planetscale.vstream.table_reader import RowRun


class Batch(AirbyteMessage):
    """Records of one shard of a stream that pass through the CDK's loops as one RECORD message.

    `record` holds the stream and the namespace, which is what the CDK reads of it; its data is empty.

    Attributes:
        stream: The stream's name.
        namespace: Its namespace; None if it has none.
        shard: The shard that the rows come from.
        copied: Whether all rows come from the copy, so that none of them is a change of another.
        count: The number of records.
    """

    def __init__(
        self, *, stream: str, namespace: str | None, shard: str, copied: bool, count: int, emitted_at: int
    ) -> None:
        """Takes what is said of the records; `emitted_at` is in milliseconds since the epoch."""
        record = AirbyteRecordMessage(stream=stream, namespace=namespace, data={}, emitted_at=emitted_at)
        super().__init__(type=Type.RECORD, record=record)
        self.stream = stream
        self.namespace = namespace
        self.shard = shard
        self.copied = copied
        self.count = count


class FinishedBatch(Batch):
    """Records that are laid out already, in a partition of their own.

    Attributes:
        data: The records as they are to leave; valid until `free` is called.
        partition: Their partition.
        closes: Whether the partition ends with them, so that the next state has to name it.
        free: Gives back the place of the data; has to be called, and may be called when they have left.
    """

    def __init__(
        self,
        data: memoryview,
        *,
        partition: str,
        closes: bool,
        free: Callable[[], None],
        stream: str,
        namespace: str | None,
        shard: str,
        copied: bool,
        count: int,
    ) -> None:
        """Takes the data and what is said of them."""
        super().__init__(
            stream=stream,
            namespace=namespace,
            shard=shard,
            copied=copied,
            count=count,
            emitted_at=time.time_ns() // 1_000_000,
        )
        self.data = data
        self.partition = partition
        self.closes = closes
        self.free = free

    def drop(self) -> None:
        """Lets go of the records; the end of the partition stays."""
        self.free()
        self.data, self.count, self.free = memoryview(b""), 0, _nothing


class RecordBatch(Batch):
    """Records that are laid out where they leave the process.

    Attributes:
        rows: The rows, in order.
    """

    def __init__(
        self, rows: Sequence[EncodedRows], *, stream: str, namespace: str | None, shard: str, copied: bool
    ) -> None:
        """Takes at least one run of rows."""
        super().__init__(
            stream=stream,
            namespace=namespace,
            shard=shard,
            copied=copied,
            count=sum(run.count for run in rows),
            emitted_at=rows[0].emitted_at_ms,
        )
        self.rows = rows

    @property
    def text(self) -> bytes:
        """The records as lines of JSON."""
        return self.laid_out(_lines(self.stream, self.namespace))

    def laid_out(self, layout: Layout, partition: str | None = None) -> bytes:
        """The records in a layout; the arguments are those of `Layout.records`."""
        return b"".join([layout.records(run, partition) for run in self.rows])

    def joined(self, later: Sequence[RecordBatch]) -> RecordBatch:
        """This batch with later ones of the same shard behind it, as one batch."""
        batches = [self, *later]
        return RecordBatch(
            [run for batch in batches for run in batch.rows],
            stream=self.stream,
            namespace=self.namespace,
            shard=self.shard,
            copied=all(batch.copied for batch in batches),
        )

    def messages(self) -> Iterator[AirbyteMessage]:
        """The same records as plain messages, for users of the source as a library.

        Numbers are Python's: a decimal with more digits than a float holds is exact in `text` alone.
        """
        for line in self.text.splitlines():
            record = orjson.loads(line)["record"]
            if "meta" in record:
                record["meta"] = _meta_message(record["meta"]["changes"])
            yield AirbyteMessage(type=Type.RECORD, record=AirbyteRecordMessage(**record))


def _nothing() -> None:
    """There is no place to be given back."""


def batch_of(
    maker: BatchMaker, runs: Sequence[RowRun], shard: str, namespace: str | None = None
) -> RecordBatch | None:
    """Makes one batch of runs of rows, in order; None for no rows.

    Args:
        maker: Encodes the rows.
        runs: The runs.
        shard: The shard that they come from.
        namespace: The namespace of the records; they have none if None.
    """
    rows = maker.rows(runs)
    if not rows:
        return None
    copied = all(run.copied for run in runs)
    return RecordBatch(rows, stream=maker.table.name, namespace=namespace, shard=shard, copied=copied)


@lru_cache(maxsize=1024)
def _lines(stream: str, namespace: str | None) -> RecordLines:
    return RecordLines(stream, namespace)


def _meta_message(changes: list[dict[str, str]]) -> AirbyteRecordMessageMeta:
    return AirbyteRecordMessageMeta(
        changes=[
            AirbyteRecordMessageMetaChange(
                field=change["field"],
                change=Change(change["change"]),
                reason=Reason(change["reason"]),
            )
            for change in changes
        ]
    )
