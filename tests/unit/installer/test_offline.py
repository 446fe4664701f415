# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing is sent anywhere: only package managers talk to other hosts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[3]
# Of Python's own library, what talks to other hosts.
TALKERS = {
    *(
        "asyncio",
        "ftplib",
        "http",
        "imaplib",
        "nntplib",
        "poplib",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "telnetlib",
    ),
    *("urllib", "webbrowser", "wsgiref", "xmlrpc"),
}
LIBRARIES = {"distro", "jinja2", "packaging", "yaml"}
PROGRAMS = {"curl", "wget", "ssh", "scp", "nc", "ncat", "rsync", "ftp", "sendmail", "mail"}
SOURCES = sorted(path for name in ("hotcopy", "installer") for path in (TREE / name).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """The first part of the name of each module that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TREE)))
def test_nothing_of_ours_talks_to_another_host(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set(imported(tree))
    assert not found & TALKERS
    unknown = found - {*sys.stdlib_module_names, *LIBRARIES, "hotcopy", "installer"}
    assert not unknown, "a library that this test does not know"
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not {word for word in words if word.rpartition("/")[2] in PROGRAMS}


def test_what_talks_is_found() -> None:
    assert set(imported(ast.parse("def f():\n    import http.client\nfrom urllib import request"))) == {
        "http",
        "urllib",
    }
