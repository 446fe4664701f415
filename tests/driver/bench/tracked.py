"""A hash of what Git has in the tree: a key for what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.driver.bench.cache import digest
from tests.driver.bench.run import run


def tree_key(tree: Path, names: Sequence[str]) -> str:
    """Of these files and directories as they stand there, new ones included; of .md files nothing depends."""
    listed = run(["git", "ls-files", "-co", "--exclude-standard", *names], cwd=tree).stdout.splitlines()
    files = sorted(name for name in listed if (tree / name).is_file() and not name.endswith(".md"))
    return digest(*(f"{name}\0{(tree / name).read_text(encoding='utf-8', errors='replace')}" for name in files))
