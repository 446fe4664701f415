# SPDX-License-Identifier: GPL-2.0-or-later
"""The moment of a hot copy, for people and for programs."""

from __future__ import annotations

import time

_NS = 1_000_000_000


def local_date(created_ns: int) -> str:
    """As date(1) prints it in the C locale and the local time zone."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y", time.localtime(created_ns // _NS))


def iso_date(created_ns: int) -> str:
    """ISO 8601 in UTC with nanoseconds: ``2026-11-23T12:40:11.123456789Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created_ns // _NS)) + f".{created_ns % _NS:09d}Z"
