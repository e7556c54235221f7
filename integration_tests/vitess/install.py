"""Installs Vitess and MySQL into a cache directory outside the repository, once.

Vitess is built from Go's module proxy with the module in `tools/`; MySQL comes from Debian's packages.
The directory's name carries a hash of the files that say how it is made, so a change of any of them
makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.vitess.debian import install_mysql
from integration_tests.vitess.mysql_data import make_template
from integration_tests.vitess.prerequisites import (
    MissingPrerequisiteError,
    progress,
    require_command,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "0.24.3"
# The Go command of 1.21 and later fetches by itself the version that tools/go.mod asks for.
GO = "Go 1.26.7 (or 1.21 and later with access to Go's module proxy)"

HERE = Path(__file__).parent
TOOLS = HERE / "tools"
RECIPE = (TOOLS / "go.mod", TOOLS / "go.sum", HERE / "debian.py", HERE / "mysql_data.py", Path(__file__))

CACHE_VARIABLE = "SOURCE_PLANETSCALE_CACHE"

# Options in Vitess's settings for tests that MySQL 9 refuses to start with.
REFUSED_OPTIONS = ("innodb_log_file_size", "slave_net_timeout")


@dataclass(frozen=True)
class Installation:
    """A complete installation.

    Attributes:
        root: Vitess's root directory: `bin/` and `config/`.
        mysql: MySQL's root directory: `bin/`, `sbin/`, the unpacked packages in `prefix/`, and the data
            directory of a new server in `template/`.
    """

    root: Path

    @property
    def mysql(self) -> Path:
        return self.root / "mysql"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell Vitess's commands where everything is."""
        return {
            "VTROOT": str(self.root),
            "VT_MYSQL_ROOT": str(self.mysql),
            "PATH": f"{self.root}/bin:{self.mysql}/bin:/usr/bin:/bin",
        }

    def command(self, name: str) -> str:
        """The path of one of Vitess's commands."""
        return str(self.root / "bin" / name)


def install() -> Installation:
    """Returns the installation, making it first where there is none yet.

    Safe to call from several processes at once: one makes it, the others wait.

    Raises:
        MissingPrerequisiteError: This machine lacks something, or it cannot be downloaded.
    """
    require_platform()
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"vitess-{VERSION}-{recipe_hash()}"
    with locked(cache / f"{root.name}.lock"):
        if not root.exists():
            # What a killed installation left; the lock says that none is at work.
            for leftover in cache.glob(f"{root.name}-*"):
                shutil.rmtree(leftover)
            make(root)
    return Installation(root)


def require_platform() -> None:
    """Raises MissingPrerequisiteError unless this is Linux on a processor that all parts exist for."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise MissingPrerequisiteError(
            f"Vitess is run on Linux on x86-64 or ARM64; this is {sys.platform} on {platform.machine()}."
        )


def cache_directory() -> Path:
    """Where installations are kept.

    Root's home directory is closed to the ordinary user that the servers run as then, so root's cache
    is the system's.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/source-planetscale")
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "source-planetscale"


def recipe_hash() -> str:
    """A short hash of everything that decides what an installation holds."""
    digest = hashlib.sha256()
    for path in RECIPE:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(root: Path) -> None:
    """Makes an installation beside its place and moves it there when it is complete."""
    require_command("go", f"to build Vitess: {GO}")
    progress(f"installing Vitess {VERSION} and MySQL into {root}, once; this takes some minutes")
    with tempfile.TemporaryDirectory(prefix=f"{root.name}-", dir=root.parent) as temporary:
        unfinished = Path(temporary) / "root"
        (unfinished / "mysql").mkdir(parents=True)
        install_mysql(unfinished / "mysql")
        build_vitess(unfinished)
        shutil.rmtree(unfinished / "mysql" / "apt")
        # The servers' user gets at the unfinished one too.
        Path(temporary).chmod(0o755)
        make_template(unfinished / "mysql", unfinished / "config" / "init_db.sql")
        unfinished.rename(root)
    progress("installed")


def build_vitess(root: Path) -> None:
    """Builds Vitess's commands, and etcd, and copies Vitess's configuration."""
    run(["go", "version"], f"Vitess is built with {GO}", cwd=TOOLS)
    progress("building etcd and Vitess's servers and commands")
    run(
        ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", f"{root / 'bin'}/", "tool"],
        "Vitess cannot be built",
        cwd=TOOLS,
    )
    # Go names a command after the directory of its package.
    (root / "bin" / "server").rename(root / "bin" / "etcd")
    module = run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "vitess.io/vitess"],
        "Vitess's module cannot be found",
        cwd=TOOLS,
    )
    # Go's module cache is read-only, so contents are copied without modes.
    shutil.copytree(Path(module.strip()) / "config", root / "config", copy_function=shutil.copyfile)
    for directory in [root / "config", *(root / "config").rglob("*/")]:
        directory.chmod(0o755)
    drop_refused_options(root / "config" / "mycnf" / "test-suite.cnf")


def drop_refused_options(settings: Path) -> None:
    """Removes the options that keep MySQL from starting."""
    kept = [
        line
        for line in settings.read_text().splitlines(keepends=True)
        if not line.startswith(REFUSED_OPTIONS)
    ]
    settings.write_text("".join(kept))
