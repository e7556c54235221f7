"""Which Vitess the tests run on: the newest one, or an older one that the environment names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

VARIABLE = "VITESS_VERSION"
"""The environment variable with the major version."""


@dataclass(frozen=True)
class Release:
    """A release of Vitess and how it is built.

    Attributes:
        major: Its major version.
        module: The directory of the Go module whose tools are Vitess's commands and etcd.
        toolchain: The Go version that it needs; empty where every one from that of its `go.mod` on will do.
    """

    major: int
    module: Path
    toolchain: str = ""

    @property
    def version(self) -> str:
        """The version of the Go module `vitess.io/vitess`, such as `0.24.3`."""
        found = re.search(r"^\s*vitess\.io/vitess v(\S+)", self.lock_files[0].read_text(), re.MULTILINE)
        if found is None:
            raise AssertionError(f"{self.module} does not require Vitess")
        return found[1]

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """What pins everything that is built."""
        return self.module / "go.mod", self.module / "go.sum"

    @property
    def reloads_schema(self) -> bool:
        """Whether tablets learn of a table that was made past Vitess, or on the primary alone.

        Vitess 21 asks for its tables with a GROUP BY that MySQL 9 refuses.
        """
        return self.major >= 22

    @property
    def tells_partial_json(self) -> bool:
        """Whether a change that MySQL logs as a part of a JSON value is in the stream at all."""
        return self.major >= 22

    @property
    def dashes_flags(self) -> bool:
        """Whether every flag is spelled with dashes."""
        return self.major >= 23


NEWEST = Release(24, HERE / "tools")

# Vitess 21 and 22 reach into Go's runtime, which is another one from Go 1.26 on.
RELEASES = {
    release.major: release
    for release in (
        NEWEST,
        Release(23, HERE / "older" / "23"),
        Release(22, HERE / "older" / "22", toolchain="go1.25.7"),
        Release(21, HERE / "older" / "21", toolchain="go1.25.7"),
    )
}


def chosen_release() -> Release:
    """The release that `VITESS_VERSION` names, by default the newest one.

    Raises:
        ValueError: There is none of that name.
    """
    name = os.environ.get(VARIABLE) or str(NEWEST.major)
    for major, release in RELEASES.items():
        if name == str(major):
            return release
    known = ", ".join(str(major) for major in sorted(RELEASES))
    raise ValueError(f"{VARIABLE} is {name!r}; the tests know Vitess {known}.")
