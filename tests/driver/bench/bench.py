"""What every guest starts from: found kernels, built images, the accelerator."""

from __future__ import annotations

import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.driver.bench import accel
from tests.driver.bench.architectures import AMD64, Architecture
from tests.driver.bench.bootfiles import BootFiles, boot_files
from tests.driver.bench.cache import Cache, default_root
from tests.driver.bench.kernels import Kernel, KernelPackage, by_name, locate
from tests.driver.bench.module import build_module
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError, run
from tests.driver.bench.userland import unconfigured_image, userland_image

TREE = Path(__file__).resolve().parents[3]
DRIVER = TREE / "kmod"


def install(architecture: Architecture) -> None:
    """What guests of this architecture need besides what tests/setup/prepare installs; only if it is missing."""
    if architecture.setup and shutil.which(architecture.qemu) is None:
        with step(f"install {architecture.qemu}"):
            run([TREE / "tests/setup" / architecture.setup])


@dataclass(frozen=True)
class Prepared:
    """The files a guest of one kernel boots from."""

    found: KernelPackage
    boot: BootFiles
    userland: Path


@dataclass
class Bench:
    """Prepares kernels on demand, each once; guests of several threads may share it."""

    cache: Cache = field(default_factory=lambda: Cache(default_root()))
    driver: Path = DRIVER
    mutant: int = 0  # the fault of kmod/mutant.h that its driver has
    keep_logs: Path | None = None
    running: set[subprocess.Popen[bytes]] = field(default_factory=set, init=False)
    stopped: bool = field(default=False, init=False)
    _prepared: dict[str, Prepared] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def prepare(self, kernel: str) -> Prepared:
        """Everything a boot of this kernel needs, built when missing."""
        known = self._prepared.get(kernel)
        if known is None:
            row = by_name(kernel)
            if row.architecture is AMD64:
                with ThreadPoolExecutor(1) as pool:
                    userland = pool.submit(userland_image, self.cache, row)
                    found, boot = self._boot_files(row)
                    known = Prepared(found, boot, userland.result())
            else:
                install(row.architecture)
                found, boot = self._boot_files(row)
                known = Prepared(found, boot, unconfigured_image(self.cache, found))
            self._prepared[kernel] = known
        return known

    def _boot_files(self, row: Kernel) -> tuple[KernelPackage, BootFiles]:
        found = locate(self.cache, row)
        try:
            return found, boot_files(self.cache, found)
        except CommandError:
            # The mirror may have replaced the package since its index was read.
            newer = locate(self.cache, row, fresh=60)
            if newer == found:
                raise
            return newer, boot_files(self.cache, newer)

    def module(self, kernel: str) -> Path | None:
        """The driver compiled for this kernel; None while there is no driver."""
        if not (self.driver / "Makefile").exists():
            return None
        return build_module(self.cache, self.prepare(kernel).found, self.driver, mutant=self.mutant).module

    def accelerator(self, row: Kernel | None = None) -> str:
        """kvm or tcg, decided once; for another architecture than the host's always tcg."""
        if row and row.architecture is not AMD64:
            return "tcg"
        with self._lock:
            native = [known for known in self._prepared.values() if known.found.kernel.architecture is AMD64]
            return accel.choose(self.cache, native[0].boot) if native else "tcg"

    def stop(self) -> None:
        """End every guest that is still there, and start no other."""
        self.stopped = True
        for process in list(self.running):
            process.kill()
