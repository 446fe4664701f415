# SPDX-License-Identifier: GPL-2.0-or-later
"""Package versions in dpkg's order; deb-version(7)."""

from __future__ import annotations

import re

_PART = re.compile(r"(\D*)(\d*)")


def dpkg_compare(left: str, right: str) -> int:
    """Below, at or above 0, as ``left`` is older than, the same as or newer than ``right``."""
    left_key, right_key = _key(left), _key(right)
    return (left_key > right_key) - (left_key < right_key)


def _key(version: str) -> tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return int(epoch), _parts(upstream), _parts(revision)


def _parts(text: str) -> list[tuple[list[int], int]]:
    """Turns of what is no number, and a number; the end of the former is itself a character, between ~ and letters."""
    parts = [([*map(_weight, word), 0], int(digits or 0)) for word, digits in _PART.findall(text) if word or digits]
    # A text that ends here goes on as nothing and 0 for ever, which is only a ~ newer than.
    return [*parts, ([0], 0)] if parts and parts[-1] != ([0], 0) else parts or [([0], 0)]


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
