"""A reboot: it ends hot copies in order, and everything works again afterwards."""

from __future__ import annotations

from tests.distro.guest.shell import Shell, steps

AGAIN = """disk=$(blank)
mkfs.ext4 -q -F "$disk" 256M
mkdir -p /run/hotcopy-test
mount "$disk" /run/hotcopy-test
prove "$disk" /run/hotcopy-test
ended "$disk" /run/hotcopy-test
umount /run/hotcopy-test
wipefs -qa "$disk"
"""


def test_a_reboot_ends_hot_copies_and_leaves_nothing(shell: Shell) -> None:
    release = shell.ask("uname -r")
    shell.ask("hcp --skip-mount $(findmnt -no SOURCE /)")
    assert "/dev/hcp1" in shell.ask("hcp -l") and shell.ask("ls -A /.hotcopy")
    shell.reboot()
    assert shell.ask("uname -r") == release
    assert shell.ask("[ ! -e /.hotcopy ] || ls -A /.hotcopy") == ""
    assert shell.ask("ls -d /sys/module/hcpdriver /sys/block/hcp1 2>/dev/null || true") == ""
    assert shell.ask("systemctl is-active hotcopy.service") == "active"


def test_hot_copies_are_taken_again(shell: Shell) -> None:
    shell.ask(steps(AGAIN))
    assert shell.ask("cat /sys/module/hcpdriver/version") == shell.ask("modinfo -F version hcpdriver")
