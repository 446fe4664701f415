# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m installer.render [--check]``: writes the generated files of the tree, or says which are stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from installer.matrix.load import load
from installer.matrix.reader import MatrixError
from installer.render.outputs import stale, write

TREE = Path(__file__).resolve().parents[2]


def main() -> int:
    """Exit status 1: a file is stale (``--check``), or matrix.yaml is wrong."""
    parser = argparse.ArgumentParser(prog="python -m installer.render", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a file is stale")
    options = parser.parse_args()
    try:
        matrix = load(TREE / "matrix.yaml")
    except MatrixError as wrong:
        print(f"installer.render: {wrong}", file=sys.stderr)
        return 1
    if options.check:
        names = stale(TREE, matrix)
        for name in names:
            print(f"installer.render: {name} is stale; run: python -m installer.render", file=sys.stderr)
        return 1 if names else 0
    for name in write(TREE, matrix):
        print(f"written: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
