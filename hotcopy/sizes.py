# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes as people type them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWER = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_size(text: str) -> int:
    """Bytes from ``64M``: suffixes K M G T, powers of 1024. ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512M or 4G")
    return int(match[1]) << _POWER[match[2].upper()]
