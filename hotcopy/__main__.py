# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 -m hotcopy`` is ``hcp``."""

from hotcopy.process import run

if __name__ == "__main__":
    run()
