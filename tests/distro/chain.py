"""The stages with our packages: one guest, from the installation to the removal."""

from __future__ import annotations

from tests.distro.cells import Row
from tests.distro.rig import Rig
from tests.distro.verify import verify


def install(rig: Rig, row: Row) -> str:
    """The distribution's package manager installs from the signed repository; what is there is as it should be, and works."""
    reached = rig.installed(row)
    return f"{reached.said}\n{verify(reached, 'test_installed.py', 'test_snapshots.py')}"


def reboot(rig: Rig, row: Row) -> str:
    """With a hot copy active; what was installed works again."""
    return verify(rig.installed(row), "test_rebooted.py")


def uninstall(rig: Rig, row: Row) -> str:
    """The package manager purges; nothing is left, and the kernel has not complained all the while."""
    reached = rig.installed(row)
    log = verify(reached, "test_uninstalled.py")
    reached.off()
    return log
