# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 -m hotcopy`` is ``hcp``."""

import sys

from hotcopy.cli import main

if __name__ == "__main__":
    sys.exit(main())
