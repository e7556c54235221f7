"""MySQL's server from Debian's packages, unpacked into a directory of its own.

Debian's stable releases carry no MySQL server; the development release (sid) does. Nothing is
installed on the system: apt works on lists, a cache and an empty status file inside the target, so it
also brings every library, and the server runs with those.
"""

from __future__ import annotations

import os
from pathlib import Path

from integration_tests.vitess.prerequisites import (
    MissingPrerequisiteError,
    progress,
    require_command,
    run,
)

PACKAGES = ("mysql-server-core", "mysql-client-core")
RELEASE = "sid"
KEYRINGS = Path("/usr/share/keyrings")

# Where glibc's packages put the program loader.
LOADERS = ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1")

# The server needs the libraries of its own release, so its own loader starts it. The prefix is found
# from the script's place because the directory is renamed once it is complete.
WRAPPER = """#!/bin/sh
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")/prefix
exec "$prefix/{loader}" --library-path "$prefix/{libraries}" "$prefix/{program}" "$@"
"""


def install_mysql(target: Path) -> None:
    """Puts MySQL into `target`.

    Creates `prefix/` (the unpacked packages), and `bin/` and `sbin/` with the commands to call.

    Raises:
        MissingPrerequisiteError: Not a Debian system, or its packages cannot be had.
    """
    require_command("apt-get", "to fetch the MySQL server from Debian's packages")
    require_command("dpkg", "to unpack the MySQL server")
    apt = PrivateApt(target / "apt")
    source = debian_source(apt)
    progress(f"fetching the MySQL server from {source} ({RELEASE})")
    archives = apt.download(source)
    progress(f"unpacking {len(archives)} packages")
    prefix = target / "prefix"
    prefix.mkdir()
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(prefix)], f"{archive.name} cannot be unpacked")
        archive.unlink()
    write_wrappers(target, prefix)


def debian_source(apt: PrivateApt) -> str:
    """Finds the address of the Debian archive that the system's own apt sources name."""
    address = apt.system_source(own_lists=False)
    if not address:
        progress("reading the package lists of the system's apt sources")
        address = apt.system_source(own_lists=True)
    if not address:
        raise MissingPrerequisiteError(
            "None of this machine's apt sources is a reachable Debian archive; "
            "the MySQL server comes from there."
        )
    return address


class PrivateApt:
    """An apt that keeps everything it reads and writes in one directory."""

    def __init__(self, directory: Path) -> None:
        """Creates the directory's layout."""
        self._directory = directory
        for name in ("lists/partial", "cache/archives/partial", "sources", "preferences"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()

    def system_source(self, *, own_lists: bool) -> str:
        """Reads the Debian archive's address from the system's sources.

        Args:
            own_lists: Fetch the lists of these sources privately, for a system that has none.

        Returns:
            The address, or nothing where no list was made by Debian.
        """
        options = self._own_state() if own_lists else []
        if own_lists:
            # A source of someone else's that cannot be reached does not matter here.
            run(
                ["sh", "-c", 'apt-get -qq "$@" update || true', "sh", *options],
                "The package lists cannot be read",
            )
        listing = run(
            ["apt-get", *options, "indextargets", "--format", "$(ORIGIN) $(SUITE) $(REPO_URI)"],
            "The machine's apt sources cannot be read",
        )
        for line in listing.splitlines():
            origin, suite, address = line.split(" ", 2)
            if origin == "Debian" and not suite.endswith("-security"):
                return address
        return ""

    def download(self, source: str) -> list[Path]:
        """Downloads MySQL and all that it depends on.

        Returns:
            The packages' files.
        """
        (self._directory / "sources" / "mysql.sources").write_text(
            f"Types: deb\nURIs: {source}\nSuites: {RELEASE}\nComponents: main\n"
            f"Signed-By: {archive_keyring()}\n"
        )
        options = [
            *self._own_state(),
            *options_of(
                {
                    "Dir::Etc::SourceList": "/dev/null",
                    "Dir::Etc::SourceParts": str(self._directory / "sources"),
                    "APT::Install-Recommends": "false",
                }
            ),
        ]
        run(["apt-get", "-qq", *options, "update"], f"Debian's {RELEASE} release cannot be read")
        run(
            ["apt-get", "-qq", "-y", *options, "--download-only", "install", *PACKAGES],
            "Debian's MySQL packages cannot be downloaded",
        )
        return sorted((self._directory / "cache" / "archives").glob("*.deb"))

    def _own_state(self) -> list[str]:
        directory = self._directory
        settings = {
            "Dir::State": str(directory),
            "Dir::State::Lists": str(directory / "lists"),
            "Dir::State::status": str(directory / "status"),
            "Dir::Cache": str(directory / "cache"),
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": str(directory / "preferences"),
        }
        if os.geteuid() == 0:
            # Otherwise apt drops to a user that may not enter the directory.
            settings["APT::Sandbox::User"] = "root"
        return options_of(settings)


def options_of(settings: dict[str, str]) -> list[str]:
    """Spells apt settings as command-line options."""
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def archive_keyring() -> Path:
    """Finds the keys that Debian's archive is signed with."""
    for pattern in ("debian-archive-keyring.*", "debian-archive-*-automatic.*"):
        for keyring in sorted(KEYRINGS.glob(pattern), reverse=True):
            return keyring
    raise MissingPrerequisiteError(f"The package debian-archive-keyring is missing ({KEYRINGS}).")


def write_wrappers(target: Path, prefix: Path) -> None:
    """Writes the commands that start the unpacked programs with their own loader."""
    loader = next((name for name in LOADERS if (prefix / name).exists()), None)
    libraries = next(prefix.glob("usr/lib/*-linux-gnu/libc.so.6"), None)
    if loader is None or libraries is None:
        raise MissingPrerequisiteError("Debian's libc6 package has an unknown layout.")
    for name in ("sbin/mysqld", "bin/mysqld", "bin/mysql"):
        program = "usr/bin/mysql" if name == "bin/mysql" else "usr/sbin/mysqld"
        wrapper = target / name
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(
            WRAPPER.format(loader=loader, libraries=libraries.parent.relative_to(prefix), program=program)
        )
        wrapper.chmod(0o755)
