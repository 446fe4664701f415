# SPDX-License-Identifier: GPL-2.0-or-later
"""Epoch, version and release in rpm's order; rpm-version(7)."""

from __future__ import annotations

import re

_SEGMENT = re.compile(r"~|\^|[0-9]+|[A-Za-z]+")


def evr_compare(left: str, right: str) -> int:
    """Below, at or above 0, as ``left`` is older than, the same as or newer than ``right``."""
    for mine, its in zip(_split(left), _split(right)):
        if decided := vercmp(mine, its):
            return decided
    return 0


def _split(evr: str) -> tuple[str, str, str]:
    epoch, colon, rest = evr.partition(":")
    if not colon:
        epoch, rest = "0", evr
    version, _, release = rest.partition("-")
    return epoch, version, release


def vercmp(left: str, right: str) -> int:
    """One of the three parts."""
    mine, its = _SEGMENT.findall(left), _SEGMENT.findall(right)
    for at in range(max(len(mine), len(its))):
        decided = _compare(mine[at] if at < len(mine) else "", its[at] if at < len(its) else "")
        if decided:
            return decided
    return 0


def _compare(left: str, right: str) -> int:
    left_rank, right_rank = _rank(left), _rank(right)
    return (left_rank > right_rank) - (left_rank < right_rank)


def _rank(segment: str) -> tuple[int, int, str]:
    # The order of kinds: ~ is older than the end, ^ newer than it but older than anything else.
    if segment == "~":
        return 0, 0, ""
    if not segment:
        return 1, 0, ""
    if segment == "^":
        return 2, 0, ""
    if segment.isdecimal():
        return 4, int(segment), ""
    return 3, 0, segment
