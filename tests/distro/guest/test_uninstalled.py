"""Removal by the package manager: the driver goes out of the kernel, and the same files are left as before."""

from __future__ import annotations

from tests.distro.guest.shell import Shell
from tests.distro.providers.reached import LISTING

FORGET = "rm -f /etc/apt/sources.list.d/hotcopy.sources /usr/share/keyrings/hotcopy-archive-keyring.gpg"
REMOVE = {
    "apt": f"DEBIAN_FRONTEND=noninteractive apt-get -q -y purge hotcopy {{driver}} 2>&1 && {FORGET}",
    "dnf": "dnf -y --releasever=9 --disablerepo='*' remove hotcopy {driver} 2>&1",
}
LEFT = """for path in /usr/sbin/hcp /usr/sbin/hotcopy /usr/lib/hotcopy /lib/udev/rules.d/59-hotcopy.rules /var/hotcopy \\
    /lib/systemd/system/hotcopy.service; do
    [ ! -e $path ] || echo $path
done
grep hcpdriver /proc/modules
systemctl daemon-reload
systemctl list-unit-files --no-legend 'hotcopy*'
modinfo -n hcpdriver 2>/dev/null
[ ! -x /usr/sbin/dkms ] || dkms status | grep hotcopy
true
"""


def test_nothing_is_left(shell: Shell, manager: str, driver_package: str, before: list[str]) -> None:
    said = shell.ask(REMOVE[manager].format(driver=driver_package))
    assert shell.ask(LEFT) == "", said
    now = shell.ask(LISTING).splitlines()
    assert (sorted(set(now) - set(before)), sorted(set(before) - set(now))) == ([], [])
