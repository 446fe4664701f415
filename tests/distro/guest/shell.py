"""Scripts in the guest: one connection and one shell for many steps, since emulated each costs half a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

# A blank disk that is large enough for a filesystem of XFS; the bench's own disks are smaller, or have a filesystem.
BLANK = """blank() {
    udevadm settle
    lsblk -dbnro NAME,TYPE,RO,SIZE,FSTYPE | while read -r name type ro size fstype; do
        if [ "$type $ro" = "disk 0" ] && [ "$size" -ge 1073741824 ] && [ -z "$fstype" ] && [ ! -e "/sys/block/$name/${name}1" ]; then
            echo "/dev/$name"
            return
        fi
    done
}
"""
# $1 is a mounted device, $2 a directory on it, $3 the same from the filesystem's root on: a file is overwritten, and the
# hot copy has it as it was.
PROOF = """prove() {
    head -c 1M /dev/urandom >"$2/hotcopy-proof"
    sync
    was=$(sha256sum <"$2/hotcopy-proof")
    hcp "$1"
    copy=$(echo /var/hotcopy/*_hcp1)
    head -c 1M /dev/urandom >"$2/hotcopy-proof"
    sync
    now=$(sha256sum <"$2/hotcopy-proof")
    [ "$now" != "$was" ]
    [ "$(sha256sum <"$copy$3/hotcopy-proof")" = "$was" ]
    echo "written to the hot copy" >"$copy$3/hotcopy-proof"
    sync
    [ "$(sha256sum <"$2/hotcopy-proof")" = "$now" ]
    hcp -l | grep -q "/dev/hcp1"
}
ended() {
    hcp -r --all
    [ ! -e /sys/block/hcp1 ]
    rm "$2/hotcopy-proof"
    [ ! -e "$2/.hotcopy" ] || [ -z "$(ls -A "$2/.hotcopy")" ]
}
"""


def steps(body: str) -> str:
    """A script that ends at its first failure, and has blank, prove and ended."""
    return f"set -e\n{BLANK}{PROOF}{body}"


@dataclass(frozen=True)
class Shell:
    """The guest's shell, by testinfra."""

    host: Any

    def ask(self, script: str, *, status: int = 0) -> str:
        """Runs a script, which must end with this status; what it wrote to its standard output."""
        done = self.host.run("/bin/sh -c %s", script)
        assert done.rc == status, f"exit status {done.rc}\n{script}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout).strip()

    def reboot(self, seconds: float = 300) -> None:
        """Reboots in order, and waits until somebody answers who has booted anew."""
        was = self.ask("cat /proc/sys/kernel/random/boot_id")
        self.ask("systemd-run --quiet --on-active=1 --timer-property=AccuracySec=100ms systemctl reboot")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(2)
            try:
                if self.ask("cat /proc/sys/kernel/random/boot_id") != was:
                    return
            except RuntimeError:  # testinfra's, for a connection that fails
                pass
        raise AssertionError(f"the guest has not come back within {seconds:.0f} s")
