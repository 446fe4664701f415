# SPDX-License-Identifier: GPL-2.0-or-later
"""The keeper as a process, and hot copies that leave out what is free, whose stores grow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from hotcopy.driver import Driver
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import CREATED, copies, remove

NAME = "hcp-keeper"


def registered() -> bool:
    """Whether the driver has one."""
    with Driver() as driver:
        return driver.wait(0, 0).keepers == 1


def processes() -> list[int]:
    """Every process of that name, those included that let a store grow."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    text = file.read()
            except OSError:
                continue
            name, state = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2]
            if name == NAME and state != "Z":
                found.append(int(entry))
    return sorted(found)


def keeper() -> int:
    """The keeper: the one whose parent is none."""
    for number in processes():
        with open(f"/proc/{number}/stat") as file:
            text = file.read()
        if int(text[text.rindex(")") + 2 :].split()[1]) not in processes():
            return number
    raise AssertionError(f"no keeper among {processes()}")


def take_bare(origin: str, *words: str) -> str:
    """A new hot copy as hcp makes it by itself, not mounted."""
    text = hcp("--skip-mount", *words, origin)
    match = CREATED.search(text)
    assert match, text
    return match[1]


@contextlib.contextmanager
def hot_copy(origin: str, *words: str) -> Iterator[str]:
    """One for the time of a with block."""
    node = take_bare(origin, *words)
    try:
        yield node
    finally:
        if any(copy.node == node for copy in copies()):
            remove(node)
