# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for what comes through a pipe, or for its end."""

from __future__ import annotations

import select


def readable(pipe: int, patience: float) -> bool:
    """Whether something comes, or the end, within ``patience`` seconds; for any descriptor, which select() is not."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(patience * 1000))
