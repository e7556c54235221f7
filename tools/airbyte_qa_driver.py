"""Runs every check of Airbyte's QA suite on a connector and prints the results as JSON.

Runs inside the suite's own virtual environment, in a directory laid out as Airbyte's repository.
The checks ask the network for what has been published; a connector that has never been published
has nothing there, so those questions are answered here.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from airbyte_ops_mcp import metadata_validator
from airbyte_ops_mcp.connector_ops.utils import Connector
from airbyte_ops_mcp.connector_qa.checks import ENABLED_CHECKS, metadata, version

if TYPE_CHECKING:
    from collections.abc import Callable

# Documentation content is held to the standard of certified connectors (sl 300), although a
# community connector's is not.
CERTIFIED: dict[str, Any] = {"ab_internal_sl": 300, "support_level": "certified"}
UNPUBLISHED: dict[str, Any] = {"is_released": False, "cloud_usage": None}


def main() -> None:
    """Runs the checks on the connector named on the command line."""
    for name, value in {**CERTIFIED, **UNPUBLISHED}.items():
        setattr(Connector, name, property(constant(value)))
    options = metadata_validator.ValidatorOptions
    metadata.ValidatorOptions = lambda docs_path: options(docs_path=docs_path, disable_dockerhub_checks=True)
    version.CheckVersionIncrement._get_master_metadata = lambda *_: None

    connector = Connector(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        results = [check.run(connector) for check in ENABLED_CHECKS]
    print(
        json.dumps(
            [
                {"check": type(r.check).__name__, "result": r.status.name, "message": r.message}
                for r in results
            ]
        )
    )


def constant(value: object) -> Callable[[object], object]:
    """Returns a getter that answers the value."""
    return lambda _: value


if __name__ == "__main__":
    main()
