"""The data directory of a new MySQL server with Vitess's users, made once and copied for every tablet."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from integration_tests.vitess.prerequisites import progress, run
from integration_tests.vitess.processes import ordinary_user, private_directory

if TYPE_CHECKING:
    from pathlib import Path

# What decides how large the files are; the servers that use a copy have the same.
SIZES = {
    "innodb_redo_log_capacity": "16M",
    "innodb_doublewrite": "OFF",
    "innodb_use_native_aio": "OFF",
}


def mysql_settings(mysql: Path) -> dict[str, str]:
    """The settings that tell a server of the installation in `mysql` where its files are."""
    prefix = mysql / "prefix" / "usr"
    return {
        "basedir": str(prefix),
        "lc_messages_dir": f"{prefix}/share/mysql",
        "plugin_dir": f"{prefix}/lib/mysql/plugin",
        "character_sets_dir": f"{prefix}/share/mysql/charsets",
    }


def make_template(mysql: Path, users: Path, template: Path) -> None:
    """Makes the data directory.

    Args:
        mysql: MySQL's root directory.
        users: SQL that a new server runs first.
        template: Where to make it; it does not exist yet.

    Raises:
        MissingPrerequisiteError: The server did not start.
    """
    progress("making the data directory of a new MySQL server")
    directory = private_directory()
    files = directory_settings(directory)
    settings = {**mysql_settings(mysql), **SIZES, **files, "init_file": str(users)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = [str(mysql / "sbin" / "mysqld"), "--no-defaults", *options, "--initialize-insecure"]
    try:
        for call in (["mkdir", "-p", *files.values()], command):
            run(call, "MySQL cannot make its data directory", cwd=directory, user=ordinary_user())
        (directory / "data" / "auto.cnf").unlink(missing_ok=True)
        shutil.copytree(directory, template, copy_function=shutil.copyfile)
        # Open to the servers' user, who copies it.
        for path in [template, *template.rglob("*/")]:
            path.chmod(0o755)
    finally:
        shutil.rmtree(directory)


def directory_settings(directory: Path) -> dict[str, str]:
    """The settings for the places of a server's files, as Vitess lays them out in a tablet's directory."""
    return {
        "datadir": f"{directory}/data",
        "innodb_data_home_dir": f"{directory}/innodb/data",
        "innodb_log_group_home_dir": f"{directory}/innodb/logs",
    }
