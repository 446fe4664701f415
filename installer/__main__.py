# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 -m installer`` is ``hotcopy-install``."""

import sys

from installer.cli import main

if __name__ == "__main__":
    sys.exit(main())
