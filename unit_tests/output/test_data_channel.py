"""Which channel the environment asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from source_planetscale.errors import ConfigError
from source_planetscale.output.data_channel import DataChannel, Medium, Serialization

PATHS = "/var/run/sockets/1.sock,/var/run/sockets/2.sock"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"DATA_CHANNEL_MEDIUM": "", "DATA_CHANNEL_FORMAT": ""},
        {"DATA_CHANNEL_MEDIUM": "STDIO", "DATA_CHANNEL_FORMAT": "JSONL"},
        {"DATA_CHANNEL_SOCKET_PATHS": PATHS},
    ],
)
def test_nothing_and_stdio_mean_stdout(environment: dict[str, str]) -> None:
    assert DataChannel.of(environment) == DataChannel()
    assert DataChannel().medium is Medium.STDIO


@pytest.mark.parametrize("form", Serialization)
def test_sockets_come_in_the_order_of_their_paths(form: Serialization) -> None:
    environment = {
        "DATA_CHANNEL_MEDIUM": "SOCKET",
        "DATA_CHANNEL_FORMAT": form.value,
        "DATA_CHANNEL_SOCKET_PATHS": PATHS,
    }
    paths = (Path("/var/run/sockets/1.sock"), Path("/var/run/sockets/2.sock"))
    assert DataChannel.of(environment) == DataChannel(Medium.SOCKET, form, paths)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DATA_CHANNEL_MEDIUM": "socket"}, "'socket', where STDIO or SOCKET"),
        ({"DATA_CHANNEL_FORMAT": "AVRO"}, "'AVRO', where JSONL or PROTOBUF"),
        ({"DATA_CHANNEL_FORMAT": "PROTOBUF"}, "needs DATA_CHANNEL_MEDIUM=SOCKET"),
        ({"DATA_CHANNEL_MEDIUM": "SOCKET"}, "in DATA_CHANNEL_SOCKET_PATHS"),
        (
            {"DATA_CHANNEL_MEDIUM": "SOCKET", "DATA_CHANNEL_SOCKET_PATHS": " , "},
            "in DATA_CHANNEL_SOCKET_PATHS",
        ),
        ({"DATA_CHANNEL_MEDIUM": "SOCKET", "DATA_CHANNEL_SOCKET_PATHS": "/a,/a"}, "twice"),
    ],
)
def test_what_cannot_be_is_a_sentence_that_names_the_variable(
    environment: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        DataChannel.of(environment)
