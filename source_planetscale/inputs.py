"""The files that a command is given, in whatever encoding a shell or an editor wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from source_planetscale.errors import ConfigError


def read_text(path: str, what: str) -> str:
    """Reads a text file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    PowerShell's `>` writes UTF-16, some editors put a mark before UTF-8.

    Args:
        path: The file.
        what: What it holds, for errors: "configuration", "catalog" or "state".

    Raises:
        ConfigError: It cannot be read, or is no text.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"The {what} file {path} cannot be read: {error.strerror}.") from None
    try:
        # A JSON text begins with ASCII, so its first bytes tell one encoding from the other.
        return raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        raise _no_json(path, what) from None


def read_json(path: str, what: str) -> Any:
    """Reads a file that holds one JSON value.

    Args:
        path: The file.
        what: As `read_text`.

    Raises:
        ConfigError: It cannot be read, or holds something else.
    """
    return parse_json(read_text(path, what), path, what)


def parse_json(text: str, path: str, what: str) -> Any:
    """Parses the text of a file.

    Args:
        text: What the file holds.
        path: The file, for the error.
        what: As `read_text`.

    Raises:
        ConfigError: It is no JSON.
    """
    try:
        # Deep nesting overflows the parser's stack.
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _no_json(path, what) from None


def _no_json(path: str, what: str) -> ConfigError:
    return ConfigError(f"The {what} file {path} is not JSON. Check that it is the right one.")
