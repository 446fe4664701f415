"""Debian version numbers, ordered as dpkg orders them."""

from __future__ import annotations

import functools
import re
from itertools import zip_longest


def _rank(char: str) -> int:
    """Sort order of one character: ~ before the end, the end before letters, letters first."""
    if char == "~":
        return -1
    if not char:
        return 0
    return ord(char) if char.isalpha() else ord(char) + 256


def _compare_part(left: str, right: str) -> int:
    """Compare an upstream version or a revision: text and numbers in turn."""
    # re.split with a group yields text, number, text, number, ... and ends with text.
    pieces = zip_longest(re.split(r"(\d+)", left), re.split(r"(\d+)", right), fillvalue="")
    for index, (one, two) in enumerate(pieces):
        if index % 2:
            difference = int(one or 0) - int(two or 0)
            if difference:
                return difference
            continue
        for a, b in zip_longest(one, two, fillvalue=""):
            difference = _rank(a) - _rank(b)
            if difference:
                return difference
    return 0


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), upstream, revision


def compare(left: str, right: str) -> int:
    """Negative, zero or positive, as left is older than, equal to or newer than right."""
    (epoch1, upstream1, revision1), (epoch2, upstream2, revision2) = _split(left), _split(right)
    return epoch1 - epoch2 or _compare_part(upstream1, upstream2) or _compare_part(revision1, revision2)


sort_key = functools.cmp_to_key(compare)
