"""Builds the driver against a kernel, in the tree of that kernel's suite."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.kernels import KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError, in_chroot

RECIPE = "2"
OUTPUTS = (".o", ".ko", ".mod", ".mod.c", ".a", ".d", ".log")
SPARSE_FLAGS = "-D__CHECK_ENDIAN__"
# Not a fault of the driver: the headers package has no vmlinux to take BTF from.
HARMLESS = re.compile(
    r"jobserver unavailable|Skipping BTF generation|Clock skew detected|modification time .* in the future"
)
COMPLAINT = re.compile(r"\b(warning|error)\b|^(WARNING|ERROR):|C=2 specified", re.IGNORECASE)


@dataclass(frozen=True)
class Built:
    """A compiled driver and what the tools said about it."""

    module: Path
    log: str

    @property
    def complaints(self) -> tuple[str, ...]:
        """Every line of the log that is a warning or an error."""
        return tuple(complaints(self.log))


def complaints(log: str) -> Iterator[str]:
    """The lines of a build log that a clean build does not have."""
    for line in log.splitlines():
        if COMPLAINT.search(line) and not HARMLESS.search(line):
            yield line


def source_files(source: Path) -> list[Path]:
    """The driver's own files, without what an earlier build left among them."""
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and not path.name.endswith(OUTPUTS)
        and path.name not in {"Module.symvers", "modules.order"}
    )


def source_key(source: Path) -> str:
    """A hash of the driver's source."""
    parts = []
    for path in source_files(source):
        parts += [str(path.relative_to(source)), path.read_text(encoding="utf-8")]
    return digest(*parts)


def build_module(cache: Cache, found: KernelPackage, source: Path, *, check: bool = False, mutant: int = 0) -> Built:
    """Compile the driver with W=1; when asked, each file by itself and with sparse, or with a fault on purpose.

    Cached by the source's content; ``mutant`` is a number of kmod/mutant.h, 0 for none.
    """
    name = found.kernel.name
    root = build_chroot(cache, found)
    kind = "sparse" if check else "module"
    if mutant:
        kind = f"mutant-{mutant}"
    key = digest(RECIPE, kind, root.parent.name, source_key(source))

    def build(path: Path) -> None:
        place = root / "usr/src/hotcopy" / f"{kind}-{path.parent.name}"
        try:
            for file in source_files(source):
                target = place / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
            argv = [
                "make",
                "-j2",
                "-C",
                f"/{place.relative_to(root)}",
                f"KDIR=/lib/modules/{found.release}/build",
                "W=1",
                *(["SPLIT=1", "C=2", f"CF={SPARSE_FLAGS}"] if check else []),
                *([f"HCP_MUTANT={mutant}"] if mutant else []),
            ]
            with step(f"{name}: {'check' if check else 'compile'} the driver"):
                log = in_chroot(root, argv)
            modules = list(place.glob("*.ko"))
            if len(modules) != 1:
                raise CommandError(f"{name}: expected one module, got {modules}\n{log}")
            shutil.copy2(modules[0], path)
            (path / "log").write_text(log, encoding="utf-8")
        finally:
            shutil.rmtree(place, ignore_errors=True)

    entry = cache.entry(kind, name, key, build)
    return Built(next(entry.glob("*.ko")), (entry / "log").read_text(encoding="utf-8"))
