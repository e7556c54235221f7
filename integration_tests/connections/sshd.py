"""OpenSSH's server: the machine's own, or the one of its Debian release, unpacked into the cache."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integration_tests.vitess.install import cache_directory, locked
from integration_tests.vitess.prerequisites import MissingPrerequisiteError, require_command, run
from integration_tests.vitess.processes import Processes, free_ports, wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"
# libwrap0 is the one library of it that a slim image lacks.
PACKAGES = ("openssh-server", "libwrap0")
START_SECONDS = 30.0

# A server that is not root takes its own user alone; without PAM it would call that account locked.
SETTINGS = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding {forwarding}
PidFile none
"""


@dataclass(frozen=True)
class Program:
    """An installed server.

    Attributes:
        path: The program.
        libraries: Where its own libraries lie, or nothing for the system's.
    """

    path: str
    libraries: str = ""


def installed() -> Program:
    """Finds the server, or fetches it.

    Raises:
        MissingPrerequisiteError: There is none, and its packages cannot be had.
    """
    own = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if own:
        return Program(own)
    require_command("apt-get", "to fetch the SSH server from Debian's packages")
    require_command("dpkg", "to unpack the SSH server")
    root = cache_directory() / "sshd"
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.parent / "sshd.lock"):
        if not root.exists():
            with tempfile.TemporaryDirectory(dir=root.parent, prefix="sshd-") as name:
                run(
                    ["apt-get", "-qq", "download", *PACKAGES],
                    "Debian's SSH server cannot be downloaded",
                    cwd=Path(name),
                )
                for archive in Path(name).glob("*.deb"):
                    run(["dpkg", "-x", str(archive), name], f"{archive.name} cannot be unpacked")
                Path(name).chmod(0o755)
                shutil.copytree(name, root, symlinks=True)
    libraries = next(root.glob("usr/lib/*-linux-gnu"), None)
    if libraries is None:
        raise MissingPrerequisiteError("Debian's package libwrap0 has an unknown layout.")
    return Program(str(root / "usr/sbin/sshd"), str(libraries))


class Sshd:
    """A running server that lets its own user in with a key; use it in a `with` statement.

    Attributes:
        port: Where it listens on 127.0.0.1.
        user: The user.
    """

    def __init__(self, *, forwarding: bool = True) -> None:
        """Starts it.

        Args:
            forwarding: Whether it forwards connections.

        Raises:
            MissingPrerequisiteError: There is no such server, nor can it be had.
        """
        program = installed()
        require_command("ssh-keygen", "to make keys for the SSH server")
        self._processes = Processes({"LD_LIBRARY_PATH": program.libraries} if program.libraries else {})
        folder = self._processes.directory
        self._folder = folder
        self.user = pwd.getpwuid(folder.stat().st_uid).pw_name
        self.port = free_ports(1)
        for key in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
        self._user_key = (folder / "user_key").read_text()
        forwards = "yes" if forwarding else "no"
        settings = folder / "settings"
        settings.write_text(SETTINGS.format(port=self.port, folder=folder, forwarding=forwards))
        for path in folder.iterdir():
            shutil.chown(path, self.user)
        self._command = [program.path, "-D", "-e", "-f", str(settings)]
        self.start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server and removes its files."""
        self._processes.stop()

    def start(self) -> None:
        """Starts it, again after `kill`, and waits until it listens."""
        self._pid = self._processes.start(self._command)
        wait_until(self._listens, "the SSH server listens", START_SECONDS)

    def kill(self) -> None:
        """Kills the server; connections that are open go on, each has a process of its own."""
        self._processes.kill(self._pid)

    def fields(self, **changes: Any) -> dict[str, Any]:
        """The connector's `tunnel_method` for this server."""
        return {
            "tunnel_method": "SSH_KEY_AUTH",
            "tunnel_host": HOST,
            "tunnel_port": self.port,
            "tunnel_user": self.user,
            "ssh_key": self._user_key,
            "tunnel_host_key": (self._folder / "host_key.pub").read_text(),
            **changes,
        }

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex((HOST, self.port)) == 0
