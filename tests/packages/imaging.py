# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m tests.packages.imaging TREE RELEASE TARGET: what QEMU boots of a tree that is mounted for this process only."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.driver.bench.bootfiles import make_boot_files
from tests.driver.bench.userland import make_image

tree, release, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
make_image(tree, target / "root.ext4", "root", 300)
make_boot_files(tree, release, target)
