"""libvirt's daemons, for as long as a run needs them, where no systemd has started them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.driver.bench.run import CommandError, run

DAEMONS = ("virtlogd", "libvirtd")
# Where its QEMU, which is not root, may read kernels: root's home it may not enter.
BOOT = Path("/var/lib/libvirt/boot")


def _virsh(*words: str, check: bool = True) -> str:
    return run(["virsh", "-c", "qemu:///system", *words], check=check, timeout=60).stdout


def _answers() -> bool:
    return run(["virsh", "-c", "qemu:///system", "version"], check=False, timeout=60).returncode == 0


@contextmanager
def _daemon(name: str) -> Iterator[None]:
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # of D-Bus and DMI, which are not here, and not needed
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def libvirt() -> Iterator[Callable[..., str]]:
    """virsh, with somebody who answers it, the network "default", and the pool "default"."""
    with ExitStack() as stack:
        if not _answers():
            for name in DAEMONS:
                stack.enter_context(_daemon(name))
            end = time.monotonic() + 30
            while not _answers():
                if time.monotonic() > end:
                    raise CommandError(f"libvirtd does not answer: {_virsh('version', check=False)}")
                time.sleep(0.5)
        if " active" not in _virsh("net-list", "--all"):
            _virsh("net-start", "default")
            stack.callback(_virsh, "net-destroy", "default", check=False)
        if "default" not in _virsh("pool-list", "--all"):
            _virsh("pool-define-as", "default", "dir", "--target", "/var/lib/libvirt/images")
            _virsh("pool-build", "default", check=False)
        if " active" not in _virsh("pool-list", "--all"):
            _virsh("pool-start", "default")
        yield _virsh
