"""Plays Airbyte's platform for one connection: jobs and their attempts, states, generations, a destination.

The rules are those of the platform's sources: `AttemptHandler`, `CatalogGenerationSetter`, `StreamRefresher`
and the retries of `ConnectionManagerWorkflowImpl`. Every attempt is also held to the protocol's rules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integration_tests.protocol.conformance import order_faults, state_faults
from integration_tests.support.command import Command, run
from integration_tests.support.destination import CURSOR, DedupedTable, without_added_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from integration_tests.support.command import Json, Run

OVERWRITE = ("full_refresh", "overwrite")
APPEND = ("full_refresh", "append")
INCREMENTAL = ("incremental", "append")
DEDUPED = ("incremental", "append_dedup")


@dataclass
class Stream:
    """One stream of a connection.

    Attributes:
        discovered: The stream as the source shows it.
        mode: Sync mode of the source and of the destination.
        state: What the next attempt is given, or None.
        generation: The number of times that the stream was started anew.
        shown: The records that a reader of the destination sees.
        hidden: Generation and record of those that take the place of all others once a job has succeeded.
    """

    discovered: Json
    mode: tuple[str, str]
    state: Json | None = None
    generation: int = 0
    shown: list[Json] = field(default_factory=list)
    hidden: list[tuple[int, Json]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The stream's name."""
        return str(self.discovered["name"])

    @property
    def is_full_refresh(self) -> bool:
        """Whether each job reads all of it."""
        return self.mode[0] == "full_refresh"

    def start_anew(self) -> None:
        """Forgets the state; what comes from here on is of another generation."""
        self.state = None
        self.generation += 1

    def rows(self) -> list[Json]:
        """What a reader of the destination finds, without the columns that the connector adds."""
        if self.mode != DEDUPED:
            return [without_added_columns(record["data"]) for record in self.shown]
        key = [path[0] for path in self.discovered["source_defined_primary_key"]]
        deduped = DedupedTable(key, CURSOR)
        deduped.load(self.shown)
        return deduped.rows()


class Platform:
    """One connection in the platform's hands."""

    def __init__(
        self,
        config: Mapping[str, Any],
        modes: Mapping[str, tuple[str, str]],
        *,
        resumes_full_refreshes: bool = True,
        namespaces: bool = True,
    ) -> None:
        """Discovers the source's schema.

        Args:
            config: The source's configuration.
            modes: The modes of the streams that are chosen, by name.
            resumes_full_refreshes: The flag `platform.enable-resumable-full-refresh`, with a destination that
                knows generations.
            namespaces: Whether the catalog keeps the streams' namespaces.
        """
        self._config = dict(config)
        self._resumes = resumes_full_refreshes
        self._namespaces = namespaces
        found = self._discover()
        self.streams = {name: Stream(found[name], mode) for name, mode in modes.items()}
        self._jobs = 0

    def sync(self) -> Job:
        """Starts a job that syncs."""
        return self._job(refreshed=(), keeps=True)

    def refresh(self, *streams: str, keeps: bool) -> Job:
        """Starts a job that refreshes streams; `keeps` their records until they are replaced one by one."""
        return self._job(refreshed=streams, keeps=keeps)

    def clear(self, *streams: str) -> None:
        """Clears streams, all if none is named: their records and their states."""
        for name in streams or self.streams:
            stream = self.streams[name]
            stream.start_anew()
            stream.shown, stream.hidden = [], []

    def take_schema(self, *, backfill: bool) -> Job:
        """Takes up the source's schema of today and starts a job, which fills in what is new if so chosen."""
        found = self._discover()
        changed = [name for name, stream in self.streams.items() if stream.discovered != found[name]]
        for name in changed:
            self.streams[name].discovered = found[name]
        return self._job(refreshed=changed if backfill else (), keeps=True)

    def rows(self, stream: str) -> list[Json]:
        """What a reader of the destination finds in a stream."""
        return self.streams[stream].rows()

    def _discover(self) -> dict[str, Json]:
        found = run("discover", config=self._config).of_type("CATALOG")[-1]["catalog"]["streams"]
        if not self._namespaces:
            for stream in found:
                del stream["namespace"]
        return {stream["name"]: stream for stream in found}

    def _job(self, refreshed: Sequence[str], *, keeps: bool) -> Job:
        self._jobs += 1
        for stream in self.streams.values():
            if stream.is_full_refresh or stream.name in refreshed:
                stream.start_anew()
        replaced = {name for name in refreshed if not keeps}
        return Job(self._config, self._jobs, list(self.streams.values()), replaced, resumes=self._resumes)


class Job:
    """One job: attempts until one succeeds, or fails for good.

    Attributes:
        attempts: What each attempt wrote.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        number: int,
        streams: Sequence[Stream],
        replaced: Iterable[str],
        *,
        resumes: bool,
    ) -> None:
        """Starts; see `Platform`. The records of streams that are `replaced` go when it has succeeded."""
        self._config = config
        self._number = number
        self._streams = streams
        self._replaced = set(replaced)
        self._resumes = resumes
        self.attempts: list[Run] = []

    def attempt(
        self,
        overrides: Mapping[str, Any] | None = None,
        *,
        once_read: str = "",
        happens: Callable[[], None] = lambda: None,
    ) -> Run:
        """Makes an attempt and loads what it wrote.

        Args:
            overrides: What is different in the source's configuration.
            once_read: A stream; once a record of it has come, something happens.
            happens: What.
        """
        assert not self.attempts or self.is_tried_again
        for stream in self._streams if self.attempts else ():
            if stream.is_full_refresh and not (self._resumes and stream.discovered["is_resumable"]):
                stream.start_anew()
        catalog = {"streams": [self._configured(stream) for stream in self._streams]}
        states = [stream.state for stream in self._streams if stream.state is not None]
        config = {**self._config, **(overrides or {})}
        with Command(["read"], config, catalog, states, warm=True) as command:
            while once_read and command.next_message("RECORD")["record"]["stream"] != once_read:
                pass
            happens()
            done = command.finish()
        assert order_faults(done, catalog) == []
        assert state_faults(done) == []
        self.attempts.append(done)
        for stream in self._streams:
            self._load(stream, done)
        return done

    @property
    def succeeded(self) -> bool:
        """Whether the last attempt has succeeded."""
        return self.attempts[-1].exit_code == 0

    @property
    def is_tried_again(self) -> bool:
        """Whether another attempt follows: the earliest error decides."""
        errors = [
            message["trace"]
            for message in self.attempts[-1].of_type("TRACE")
            if message["trace"]["type"] == "ERROR"
        ]
        if not errors:
            return False
        first = min(errors, key=lambda trace: float(trace["emitted_at"]))
        return bool(first["error"]["failure_type"] != "config_error")

    def _minimum(self, stream: Stream) -> int:
        """Records of older generations go when the job has succeeded."""
        return stream.generation if stream.mode == OVERWRITE or stream.name in self._replaced else 0

    def _configured(self, stream: Stream) -> Json:
        source, destination = stream.mode
        return {
            "stream": stream.discovered,
            "sync_mode": source,
            "destination_sync_mode": destination,
            "cursor_field": stream.discovered.get("default_cursor_field", []),
            "primary_key": stream.discovered.get("source_defined_primary_key", []),
            "generation_id": stream.generation,
            "minimum_generation_id": self._minimum(stream),
            "sync_id": self._number,
        }

    def _load(self, stream: Stream, done: Run) -> None:
        minimum = self._minimum(stream)
        records = done.record_messages(stream.name)
        stream.hidden = [(number, record) for number, record in stream.hidden if number >= minimum]
        if minimum:
            stream.hidden += [(stream.generation, record) for record in records]
        else:
            stream.shown += records
        states = done.states(stream.name)
        if states:
            kept = {key: value for key, value in states[-1].items() if key != "sourceStats"}
            stream.state = json.loads(json.dumps(kept))
        if done.exit_code == 0:
            assert states, f"{stream.name} would never turn green"
            if minimum:
                stream.shown, stream.hidden = [record for _, record in stream.hidden], []
