"""Hot copies by what the packages have brought: on ext4, XFS, LVM and the root filesystem."""

from __future__ import annotations

import pytest

from hotcopy import __version__
from tests.distro.guest.shell import Shell, steps

EXT4_RULES = """disk=$(blank)
mkfs.ext4 -q -F "$disk" 512M
mkdir -p /run/hotcopy-test
mount "$disk" /run/hotcopy-test
prove "$disk" /run/hotcopy-test
udevadm settle
udevadm info --query=property /dev/hcp1
echo "links: $(udevadm info --query=symlink /dev/hcp1)"
echo "by uuid: $(readlink -f "/dev/disk/by-uuid/$(blkid -o value -s UUID "$disk")") $disk"
ended "$disk" /run/hotcopy-test
umount /run/hotcopy-test
wipefs -qa "$disk"
"""
XFS = """disk=$(blank)
mkfs.xfs -q -f "$disk"
mkdir -p /run/hotcopy-test
mount "$disk" /run/hotcopy-test
prove "$disk" /run/hotcopy-test
ended "$disk" /run/hotcopy-test
umount /run/hotcopy-test
wipefs -qa "$disk"
"""
LVM = """disk=$(blank)
pvcreate -q "$disk"
vgcreate -q hotcopytest "$disk"
lvcreate -q -Wy -y -L 256M -n origin hotcopytest
mkfs.ext4 -q /dev/hotcopytest/origin
mkdir -p /run/hotcopy-test
mount /dev/hotcopytest/origin /run/hotcopy-test
prove /dev/hotcopytest/origin /run/hotcopy-test
[ "$(pvs --noheadings -o pv_name,vg_name | xargs)" = "$disk hotcopytest" ]
ended /dev/hotcopytest/origin /run/hotcopy-test
umount /run/hotcopy-test
vgremove -q -y hotcopytest
pvremove -q "$disk"
"""
ROOT = """disk=$(findmnt -no SOURCE /)
mkdir -p /var/lib/hotcopy-test
prove "$disk" /var/lib/hotcopy-test /var/lib/hotcopy-test
ended "$disk" /var/lib/hotcopy-test
[ ! -e /.hotcopy ] || [ -z "$(ls -A /.hotcopy)" ]
rmdir /var/lib/hotcopy-test
"""


def test_ext4_and_what_udev_makes_of_it(shell: Shell) -> None:
    said = shell.ask(steps(EXT4_RULES))
    lines = said.splitlines()
    assert {"UDISKS_IGNORE=1", "DM_UDEV_DISABLE_OTHER_RULES_FLAG=1"} <= set(lines), said
    assert not [line for line in lines if line.startswith("ID_FS_TYPE=") and line != "ID_FS_TYPE="], said
    assert "links:" in [line.strip() for line in lines], said
    found, disk = next(line for line in lines if line.startswith("by uuid: ")).split()[2:]
    assert found == disk


@pytest.mark.parametrize("script", [XFS, LVM, ROOT], ids=["xfs", "lvm", "root"])
def test_other_places(shell: Shell, script: str) -> None:
    shell.ask(steps(script))


def test_the_driver_is_loaded_and_signed_as_it_should_be(shell: Shell, signer: str) -> None:
    """By itself: hcp has loaded it. Nobody has enrolled the key, so that the kernel counts it as unsigned all the same."""
    script = """cat /sys/module/hcpdriver/version /sys/module/hcpdriver/taint
        echo "signer: $(modinfo -F signer hcpdriver)"
        if [ -e /var/lib/dkms/mok.pub ]; then echo "a key of DKMS"; fi"""
    version, taint, signed, *key = shell.ask(script).splitlines()
    assert version == __version__
    assert taint == "OE"
    expected = signer or ("DKMS module signing key" if key else "")
    assert signed.removeprefix("signer:").strip() == expected
