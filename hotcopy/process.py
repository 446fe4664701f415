# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp`` as a process of its own, quick to start and quick to end."""

from __future__ import annotations

import gc
import os

from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def run() -> NoReturn:
    """Does what the command line asks for, and ends the process with the status."""
    gc.disable()  # what is loaded stays: looking for garbage among it takes time and finds none
    from hotcopy.cli import main

    # Output is written at once, and everything else is the kernel's to close: nothing is left for the interpreter to do.
    os._exit(main())
