"""Airbyte's rules for what a source writes, each as a function that lists what breaks it.

They stand in for the retired Connector Acceptance Tests where nothing took their place. Every function takes
what the command wrote, and none knows this connector.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any

import jsonschema
from airbyte_cdk.models import AirbyteMessageSerializer
from jsonschema import ValidationError
from serpyco_rs import SchemaValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from integration_tests.support.command import Json, Run

    # Name and namespace.
    Key = tuple[str, str | None]

RATE_LIMITED = "RATE_LIMITED"
_ENDS = ("COMPLETE", "INCOMPLETE")


def unfaithful_lines(run: Run) -> list[str]:
    """Lines of stdout that the protocol's own model does not hold in full: unknown or misplaced fields."""
    return [line for line in run.lines if not _is_faithful(line)]


def _is_faithful(line: str) -> bool:
    message = json.loads(line)
    try:
        loaded = AirbyteMessageSerializer.load(message)
    except SchemaValidationError:
        return False
    dumped = AirbyteMessageSerializer.dump(loaded)
    if loaded.record is not None:
        # The serializer leaves out NULLs, which the model holds.
        dumped["record"]["data"] = loaded.record.data
    return bool(dumped == message)


def stream_events(run: Run) -> Iterator[tuple[Key, str, Json]]:
    """Every message about a stream: the stream, a status or the message's type, and the message's content.

    RUNNING with a reason is `RATE_LIMITED`.
    """
    for message in run.messages:
        if message["type"] == "RECORD":
            record = message["record"]
            yield (record["stream"], record.get("namespace")), "RECORD", record
        elif message["type"] == "STATE":
            yield _key(message["state"]["stream"]["stream_descriptor"]), "STATE", message["state"]
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            word = RATE_LIMITED if status.get("reasons") else status["status"]
            yield _key(status["stream_descriptor"]), word, status


def _key(stream: Mapping[str, Any]) -> Key:
    return stream["name"], stream.get("namespace")


def order_faults(run: Run, catalog: Json) -> list[str]:
    """Streams whose statuses, records and states do not come as the platform expects them.

    STARTED, RUNNING, then records and states, then one end; every configured stream, and no other; records
    end in a state; the exit code is 0 when every stream is complete, and only then.
    """
    said: dict[Key, list[str]] = {_key(each["stream"]): [] for each in catalog["streams"]}
    faults = []
    for stream, word, _ in stream_events(run):
        if stream not in said:
            faults.append(f"{stream} is not in the catalog")
        said.setdefault(stream, []).append(word)
    faults += [f"{stream}: {words}" for stream, words in said.items() if not _is_ordered(words)]
    complete = all(words[-1:] == ["COMPLETE"] for words in said.values())
    if complete != (run.exit_code == 0):
        faults.append(f"exit code {run.exit_code}")
    return faults


def _is_ordered(words: list[str]) -> bool:
    if words[:1] != ["STARTED"] or words[-1] not in _ENDS:
        return False
    inner = words[1:-1]
    if not inner:
        return words[-1] == "INCOMPLETE"
    rest = inner[1:]
    # A stream that was held back says that it goes on.
    goes_on = rest.count("RUNNING") <= rest.count(RATE_LIMITED)
    between = {"RECORD", "STATE", "RUNNING", RATE_LIMITED}
    return inner[0] == "RUNNING" and set(rest) <= between and goes_on and inner[-1] != "RECORD"


def state_faults(run: Run) -> list[str]:
    """States that are not of type STREAM, miscount their records, or say nothing new after records."""
    faults = []
    since: Counter[Key] = Counter()
    last: dict[Key, Json] = {}
    for stream, word, content in stream_events(run):
        if word == "RECORD":
            since[stream] += 1
        if word != "STATE":
            continue
        saved = content["stream"]["stream_state"]
        if content["type"] != "STREAM" or "data" in content or "global" in content:
            faults.append(f"{stream}: a state of type {content.get('type')}")
        if (counted := content["sourceStats"]["recordCount"]) != since[stream]:
            faults.append(f"{stream}: a state counts {counted} records after {since[stream]}")
        if since[stream] and last.get(stream) == saved:
            faults.append(f"{stream}: the same state twice, with records between")
        since[stream], last[stream] = 0, saved
    return faults + [f"{stream}: {left} records without a state" for stream, left in since.items() if left]


def record_faults(run: Run, streams: Sequence[Json]) -> list[str]:
    """Records that do not fit the schema of their stream: a value, a missing or an unknown column."""
    validators = {_key(stream): _validator(stream["json_schema"]) for stream in streams}
    return [
        f"{stream} {record['data']}: {error.message}"
        for stream, word, record in stream_events(run)
        if word == "RECORD"
        for error in validators[stream].iter_errors(record["data"])
    ]


def _validator(schema: Json) -> Any:
    closed = {**schema, "additionalProperties": False, "required": list(schema["properties"])}
    return _VALIDATOR(closed, format_checker=_FORMATS)


# jsonschema itself checks times only with further packages, and knows nothing of Airbyte's types.
def _parses(parse: Callable[[str], object], value: str | None) -> bool:
    return value is None or parse(value) is not None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "date-time": datetime.fromisoformat,
}
_FORMATS = jsonschema.FormatChecker(formats=())
for _name, _parse in _PARSERS.items():
    _FORMATS.checks(_name, raises=ValueError)(partial(_parses, _parse))

_AIRBYTE_TYPES: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: isinstance(value, int),
    "date": lambda value: len(value) == len("2024-02-29"),
    "time_without_timezone": lambda value: time.fromisoformat(value).tzinfo is None,
    "timestamp_without_timezone": lambda value: datetime.fromisoformat(value).tzinfo is None,
    "timestamp_with_timezone": lambda value: datetime.fromisoformat(value).tzinfo is not None,
    "object": lambda value: isinstance(value, dict),
}


def _check_airbyte_type(_: object, name: str, value: Any, __: object) -> Iterator[ValidationError]:
    try:
        fits = value is None or _AIRBYTE_TYPES[name](value)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        yield ValidationError(f"{value!r} is no {name}")


_extend: Callable[..., Any] = jsonschema.validators.extend  # without types in its stubs
_VALIDATOR = _extend(jsonschema.Draft7Validator, {"airbyte_type": _check_airbyte_type})


def rows(run: Run) -> Counter[str]:
    """Stream and data of each record, as texts that can be counted."""
    return Counter(
        json.dumps([stream, record["data"]], sort_keys=True)
        for stream, word, record in stream_events(run)
        if word == "RECORD"
    )


def rows_after_each_state(run: Run) -> Iterator[tuple[list[Json], Counter[str]]]:
    """Yields each state as the platform hands it in, and the rows after it; for runs of a single stream."""
    remaining = rows(run)
    for stream, word, content in stream_events(run):
        if word == "RECORD":
            remaining -= Counter([json.dumps([stream, content["data"]], sort_keys=True)])
        elif word == "STATE":
            yield [content], Counter(remaining)
