# SPDX-License-Identifier: GPL-2.0-or-later
"""The file system in a hot copy is sound, also while its origin is being changed."""

from __future__ import annotations

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.disks import ROOMY, check_filesystem
from tests.driver.guest.hotcopies import hot_copy
from tests.driver.guest.scene import changing


@pytest.mark.parametrize(
    "kind", [pytest.param("ext4", marks=pytest.mark.quick), pytest.param("xfs", marks=pytest.mark.one_kernel)]
)
def test_fsck_of_a_hot_copy_is_clean(kind: str) -> None:
    with changing(kind) as (fs, change), background(change) as (worker,):
        worker.wait_rounds(20)
        with hot_copy(fs.node, *ROOMY) as copy:
            worker.wait_rounds(20)
            if kind == "xfs":
                # The log of a frozen XFS is dirty by design; it is replayed into the hot copy.
                run("mkdir", "-p", "/run/copy")
                run("mount", "-t", "xfs", "-o", "nouuid", copy, "/run/copy")
                run("umount", "/run/copy")
            check_filesystem(kind, copy)
            worker.wait_rounds(5)
            check_filesystem(kind, copy)
