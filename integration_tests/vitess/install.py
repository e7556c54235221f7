"""Installs Vitess and MySQL into a cache directory outside the repository, once.

Vitess is built from Go's module proxy with the module of its release; MySQL comes from Debian's packages and
is the same for every release. Each directory's name carries a hash of the files that say how it is made, so
a change of any of them makes a new one.
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

from integration_tests.vitess import debian, flags, mysql_data
from integration_tests.vitess.debian import install_mysql
from integration_tests.vitess.flags import take_flags_with_dashes
from integration_tests.vitess.mysql_data import make_template
from integration_tests.vitess.prerequisites import (
    MissingPrerequisiteError,
    progress,
    require_command,
    run,
)
from integration_tests.vitess.releases import Release, chosen_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The Go command of 1.21 and later fetches by itself the version that a release asks for.
GO = "Go 1.26.7 (or 1.21 and later with access to Go's module proxy)"

MYSQL_RECIPE = (Path(debian.__file__),)
VITESS_RECIPE = (*MYSQL_RECIPE, Path(mysql_data.__file__), Path(flags.__file__), Path(__file__))

COMMANDS = ("mysqlctl", "vtcombo", "vtctld", "vtctldclient", "vtgate", "vttablet", "vttestserver")

CACHE_VARIABLE = "SOURCE_PLANETSCALE_CACHE"

# Options in Vitess's settings for tests that MySQL 9 refuses to start with.
REFUSED_OPTIONS = ("innodb_log_file_size", "slave_net_timeout")


@dataclass(frozen=True)
class Installation:
    """A complete installation.

    Attributes:
        release: Which Vitess it is.
        root: Vitess's root directory: `bin/`, `config/`, and the data directory of a new MySQL server in
            `template/`.
        mysql: MySQL's root directory: `bin/`, `sbin/`, and the unpacked packages in `prefix/`.
    """

    release: Release
    root: Path
    mysql: Path

    @property
    def template(self) -> Path:
        """The data directory of a new MySQL server with Vitess's users."""
        return self.root / "template"

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
    """Returns the installation of the chosen release, making it first where there is none yet.

    Safe to call from several processes at once: one makes it, the others wait.

    Raises:
        MissingPrerequisiteError: This machine lacks something, or it cannot be downloaded.
    """
    require_platform()
    release = chosen_release()
    mysql = kept(f"mysql-{recipe_hash(MYSQL_RECIPE)}", make_mysql)
    recipe = (*release.lock_files, *VITESS_RECIPE)
    root = kept(
        f"vitess-{release.version}-{recipe_hash(recipe)}", lambda place: make_vitess(release, mysql, place)
    )
    return Installation(release, root, mysql)


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


def recipe_hash(recipe: Iterable[Path]) -> str:
    """A short hash of all the files that decide what a directory holds."""
    digest = hashlib.sha256()
    for path in recipe:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Returns a directory of the cache, made beside its place and moved there when it is complete.

    Args:
        name: Its name, which says what it holds.
        make: Fills a new directory.
    """
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / name
    with locked(cache / f"{name}.lock"):
        if root.exists():
            return root
        # What a killed installation left; the lock says that none is at work.
        for leftover in cache.glob(f"{name}-*"):
            shutil.rmtree(leftover)
        progress(f"installing into {root}, once; this takes some minutes")
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=cache) as temporary:
            unfinished = Path(temporary) / "root"
            unfinished.mkdir()
            # The servers' user gets at the unfinished one too.
            Path(temporary).chmod(0o755)
            make(unfinished)
            unfinished.rename(root)
        progress("installed")
    return root


def make_mysql(root: Path) -> None:
    """Unpacks MySQL's packages."""
    install_mysql(root)
    shutil.rmtree(root / "apt")


def make_vitess(release: Release, mysql: Path, root: Path) -> None:
    """Builds a release, and makes the data directory of a MySQL server with its users."""
    require_command("go", f"to build Vitess: {GO}")
    build_vitess(release, root)
    make_template(mysql, root / "config" / "init_db.sql", root / "template")


def build_vitess(release: Release, root: Path) -> None:
    """Builds Vitess's commands, and etcd, and copies Vitess's configuration."""
    environment = {**os.environ, **({"GOTOOLCHAIN": release.toolchain} if release.toolchain else {})}
    run(["go", "version"], f"Vitess is built with {GO}", cwd=release.module, env=environment)
    progress(f"building etcd and the servers and commands of Vitess {release.version}")
    run(
        ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", f"{root / 'bin'}/", "tool"],
        "Vitess cannot be built",
        cwd=release.module,
        env=environment,
    )
    # Go names a command after the directory of its package.
    (root / "bin" / "server").rename(root / "bin" / "etcd")
    module = run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "vitess.io/vitess"],
        "Vitess's module cannot be found",
        cwd=release.module,
        env=environment,
    )
    # Go's module cache is read-only, so contents are copied without modes.
    shutil.copytree(Path(module.strip()) / "config", root / "config", copy_function=shutil.copyfile)
    for directory in [root / "config", *(root / "config").rglob("*/")]:
        directory.chmod(0o755)
    drop_refused_options(root / "config" / "mycnf" / "test-suite.cnf")
    if not release.dashes_flags:
        take_flags_with_dashes(root, COMMANDS)


def drop_refused_options(settings: Path) -> None:
    """Removes the options that keep MySQL from starting."""
    kept_lines = [
        line
        for line in settings.read_text().splitlines(keepends=True)
        if not line.startswith(REFUSED_OPTIONS)
    ]
    settings.write_text("".join(kept_lines))
