"""`python -m bench`: starts a Vitess, measures, and prints one table."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from bench.report import conditions, write_plot, write_results
from bench.sections import KEYSPACES, SECTIONS, Bench, measure
from bench.terms import QUICK, Size
from integration_tests.vitess.cluster import VitessCluster
from integration_tests.vitess.prerequisites import MissingPrerequisiteError
from tools import pages

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the sections that the arguments name; all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and one round")
    parser.add_argument("--rows", type=int, help="rows of the largest table")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the results and the plot of docs/performance.md"
    )
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, help="these alone; ratios to the copy need start_up and copy"
    )
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else Size()
    if options.rows:
        size = replace(size, many_rows=options.rows)
    load = [os.getloadavg()[0]]
    try:
        cluster = VitessCluster.start(KEYSPACES, replicas=1)
    except MissingPrerequisiteError as error:
        sys.exit(f"NOT RUN: {error}")
    with cluster:
        bench = Bench(cluster, size)
        lines = []
        for line in measure(bench, options.only or SECTIONS):
            sys.stderr.write(f"  {line.what}: {line.figures}\n")
            lines.append(line)
    load.append(os.getloadavg()[0])
    measured = conditions(size, load)
    sys.stdout.write(pages.results(measured, [asdict(line) for line in lines]))
    if options.write_docs:
        write_results(measured, lines, bench.profile)
        sys.stderr.write("written; `make docs` puts it into the page\n")
        if bench.curves and not write_plot(bench.curves):
            sys.stderr.write("no plot: matplotlib is not installed\n")


if __name__ == "__main__":
    main()
