"""Record batches: encoded rows as one message, which is laid out where it leaves the process."""

from __future__ import annotations

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
    from collections.abc import Iterator, Sequence

    from source_planetscale.records.encoded import EncodedRows
    from source_planetscale.records.layout import Layout


class RecordBatch(AirbyteMessage):
    """Records of one shard of a stream that pass through the CDK's loops as one RECORD message.

    `record` holds the stream and the namespace, which is what the CDK reads of it; its data is empty.

    Attributes:
        stream: The stream's name.
        namespace: Its namespace; None if it has none.
        shard: The shard that the rows come from.
        copied: Whether all rows come from the copy, so that none of them is a change of another.
        rows: The rows, in order.
        count: The number of records.
    """

    def __init__(
        self, rows: Sequence[EncodedRows], *, stream: str, namespace: str | None, shard: str, copied: bool
    ) -> None:
        """Takes at least one run of rows."""
        record = AirbyteRecordMessage(
            stream=stream, namespace=namespace, data={}, emitted_at=rows[0].emitted_at_ms
        )
        super().__init__(type=Type.RECORD, record=record)
        self.stream = stream
        self.namespace = namespace
        self.shard = shard
        self.copied = copied
        self.rows = rows
        self.count = sum(run.count for run in rows)

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
