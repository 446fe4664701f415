"""What QEMU boots: a kernel, its modules as a disk, and an initramfs."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.architectures import AMD64
from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.kernels import KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError, run
from tests.driver.bench.userland import make_image

RECIPE = "2"
INITRAMFS_INIT = Path(__file__).with_name("initramfs.sh")
# What the initramfs needs to reach the root file system; the rest is loaded from its own disk.
EARLY = ("virtio_pci", "virtio_blk", "crc32c_generic", "crc32c_intel", "ext4")


@dataclass(frozen=True)
class BootFiles:
    """What QEMU needs of one kernel."""

    kernel: Path
    initramfs: Path
    modules: Path

    @classmethod
    def below(cls, path: Path) -> BootFiles:
        """As make_boot_files() names them."""
        return cls(path / "vmlinux", path / "initramfs", path / "modules.ext4")


def boot_files(cache: Cache, found: KernelPackage) -> BootFiles:
    """The kernel, an image of all its modules, and an initramfs that mounts the root."""
    root = build_chroot(cache, found)
    key = digest(RECIPE, root.parent.name, INITRAMFS_INIT.read_text(encoding="utf-8"), *EARLY)

    def build(path: Path) -> None:
        with step(f"{found.kernel.name}: modules and initramfs"):
            # The way that QEMU takes into an ELF kernel (PVH) runs code that KASAN has instrumented before it has any shadow memory.
            row = found.kernel
            unpack = row.architecture.packed and not row.source
            own = None if row.architecture is AMD64 else root / "usr/bin/busybox"
            make_boot_files(root, found.release, path, unpack=unpack, busybox=own)

    entry = cache.entry("boot", found.kernel.name, key, build)
    return BootFiles.below(entry)


def make_boot_files(root: Path, release: str, path: Path, *, unpack: bool = True, busybox: Path | None = None) -> None:
    """What QEMU needs of a kernel that is installed below root, decompressed or as it is; with this host's busybox or another one."""
    tree = root / "lib/modules" / release
    packed = (root / "boot" / f"vmlinuz-{release}").read_bytes()
    (path / "vmlinux").write_bytes(unpacked_kernel(packed) if unpack else packed)
    copy = path / "modules"
    # build and source point at the headers, which the guest does not have.
    shutil.copytree(tree, copy, symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
    make_image(copy, path / "modules.ext4", "modules", 48)  # the inodes alone take half of it
    shutil.rmtree(copy)
    make_initramfs(tree, path / "initramfs", busybox)


def module_name(path: str) -> str:
    """The name modprobe knows a module file by."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def load_order(dep_lines: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The files to insmod, dependencies first, for these modules; absent ones are built in."""
    paths: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    for line in dep_lines:
        path, _, rest = line.partition(":")
        paths[module_name(path)] = path
        needs[path] = rest.split()
    order: list[str] = []
    for name in wanted:
        if name in paths:
            path = paths[name]
            # modules.dep lists the nearest dependency first.
            for item in [*reversed(needs[path]), path]:
                if item not in order:
                    order.append(item)
    return order


def unpacked(data: bytes) -> bytes:
    """Data freed of whichever compression it starts with; what follows the stream is left out."""
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(data)
    for magic, program in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data.startswith(magic):
            # No check of the status: they complain of what follows the stream, and write the rest.
            done = subprocess.run(
                [program, "-dcq"],
                input=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=60,
                check=False,
            )
            return done.stdout
    return data


def unpacked_kernel(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage: emulated, its own decompressor takes 1 to 4 s of each boot."""
    sectors = image[0x1F1]
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    kernel = unpacked(image[start : start + length])
    if not kernel.startswith(b"\x7fELF"):
        raise CommandError("this kernel image has an unknown compression")
    return kernel


def make_initramfs(modules: Path, target: Path, busybox: Path | None = None) -> None:
    """Busybox, the modules that reach the root, and a script; not compressed: it costs boot time."""
    tree = target.with_name("initramfs.tree")
    for directory in ("bin", "modules", "proc", "sys", "dev", "root"):
        (tree / directory).mkdir(parents=True)
    program = busybox or shutil.which("busybox")
    if program is None:
        raise CommandError("busybox: not found (tests/setup/prepare installs it)")
    shutil.copy(program, tree / "bin/busybox")
    shutil.copy(INITRAMFS_INIT, tree / "init")
    (tree / "init").chmod(0o755)
    lines = (modules / "modules.dep").read_text(encoding="utf-8").splitlines()
    names = []
    for number, file in enumerate(load_order(lines, EARLY)):
        names.append(f"{number:02}-{module_name(file)}.ko")
        (tree / "modules" / names[-1]).write_bytes(unpacked((modules / file).read_bytes()))
    listing = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-F", target], cwd=tree, stdin=listing + "\n")
    shutil.rmtree(tree)
