"""The bench's pure parts."""

from __future__ import annotations

import itertools
import lzma
import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from installer.matrix.dpkg_order import dpkg_compare
from tests.driver.bench.bootfiles import BootFiles, load_order, unpacked
from tests.driver.bench.cache import GRACE, Cache, digest
from tests.driver.bench.debian import NoPackageError, Package, newest, oldest, parse_packages
from tests.driver.bench.kernels import ARM, DEBUG, FURTHER, KERNELS, KernelPackage, by_name
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.module import complaints, source_key
from tests.driver.bench.session import GuestTest, list_tests
from tests.driver.bench.source import not_held
from tests.driver.guest.kernel_log import bad_lines, unexpected_taint

VERSIONS = (
    "1.0", "1.0-1", "1.0~rc1-1", "1.0-1~bpo13+1", "1.0-1+deb13u1", "1.0a", "1.0+", "1.0.1", "1.10", "1.9",
    "0", "1:0.1", "6.12.9-1", "6.12.117-1", "7.3.4-1~bpo13+1", "7.3.4-1", "5.10.0-46", "5.10.0-5", "2025.1",
)  # fmt: skip


def test_versions_order_as_dpkg_orders_them() -> None:
    """Every pair, against dpkg itself."""
    for left, right in itertools.combinations_with_replacement(VERSIONS, 2):
        for word, holds in (("lt", dpkg_compare(left, right) < 0), ("eq", dpkg_compare(left, right) == 0)):
            dpkg = subprocess.run(["dpkg", "--compare-versions", left, word, right], check=False)
            assert (dpkg.returncode == 0) == holds, (left, word, right)


def test_packages_index_is_parsed() -> None:
    """Name and version, whatever else a stanza has."""
    text = "Package: a\nVersion: 1:2-3\nDescription: x\n Version: no\n\nPackage: b\nVersion: 4\n"
    assert list(parse_packages(text.splitlines(keepends=True))) == [Package("a", "1:2-3"), Package("b", "4")]


def test_newest_goes_by_version_not_by_name() -> None:
    """Neither the order in the index nor that of the names decides."""
    found = [
        Package("linux-image-6.12.9+deb13-amd64", "6.12.9-1"),
        Package("linux-image-6.12.117+deb13-amd64", "6.12.117-1"),
        Package("linux-image-6.12.20+deb13-amd64", "6.12.20-1"),
    ]
    assert newest(found, by_name("6.12").image) == found[1]
    assert oldest(found, by_name("6.12").image) == found[0]


@pytest.mark.parametrize(
    "name",
    [
        "linux-image-6.12.117+deb13-cloud-amd64",
        "linux-image-6.12.117+deb13-rt-amd64",
        "linux-image-6.12.117+deb13-amd64-unsigned",
        "linux-image-6.12.117+deb13-amd64-dbg",
        "linux-image-6.1.0-56-amd64",
    ],
)
def test_other_flavours_are_not_taken(name: str) -> None:
    """The pattern is of the whole name."""
    with pytest.raises(NoPackageError):
        newest([Package(name, "9")], by_name("6.12").image)


def test_kernel_rows_are_distinct() -> None:
    """A name is a key of the cache and of the command line."""
    names = [kernel.name for kernel in (*KERNELS, *FURTHER, DEBUG)]
    assert len(set(names)) == len(names)
    assert KernelPackage(KERNELS[0], "linux-image-5.10.0-46-amd64", "5").release == "5.10.0-46-amd64"


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 1 PID: 100 at fs/inode.c:1 f+0x1/0x2",
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "kernel BUG at block/bio.c:1!",
        "Oops: 0000 [#1] PREEMPT SMP",
        "Call Trace:",
        "INFO: task kworker/0:1:5 blocked for more than 60 seconds.",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
        "WARNING: possible circular locking dependency detected",
        "I/O error, dev vdb, sector 8 op 0x1:(WRITE)",
        "blk_update_request: I/O error, dev vdb, sector 8",
        "Buffer I/O error on dev vdb, logical block 1, lost async page write",
        "EXT4-fs error (device vdb): ext4_lookup:1:",
        "XFS (vdb): Metadata corruption detected at xfs_agf",
        "XFS (vdb): Filesystem has been shut down due to log error (0x2).",
        "list_del corruption. prev->next should be",
        "refcount_t: underflow; use-after-free.",
    ],
)
def test_trouble_in_the_kernel_log_is_seen(line: str) -> None:
    """Each kind of complaint, and that it can be allowed."""
    assert list(bad_lines([line])) == [line]
    assert not list(bad_lines([line], ["^" + re.escape(line)]))


@pytest.mark.parametrize(
    "line",
    [
        "hcp: /dev/hcp1: hot copy of vdb1",
        "EXT4-fs (vdb): mounted filesystem with ordered data mode",
        "XFS (vdb): Ending clean mount",
        "hcpdriver: loading out-of-tree module taints kernel.",
        "EXT4-fs (vda): recovery complete",
        "systemd-udevd[64]: Using default interface naming scheme 'v252'.",
    ],
)
def test_ordinary_messages_pass(line: str) -> None:
    """No false alarm."""
    assert not list(bad_lines([line]))


def test_taint_of_an_unsigned_module_is_expected() -> None:
    """O and E pass; W and D do not."""
    assert unexpected_taint(1 << 12 | 1 << 13) == ""
    assert unexpected_taint(1 << 12 | 1 << 9 | 1 << 7) == "DW"


def test_complaints_of_a_build() -> None:
    """Warnings count, what the headers package lacks does not."""
    log = "  CC [M] a.o\na.c:1:2: warning: unused\nSkipping BTF generation for a.ko due to x\n"
    assert list(complaints(log)) == ["a.c:1:2: warning: unused"]


def test_what_no_kernel_changes_runs_on_the_oldest_and_the_newest() -> None:
    """Of those that were chosen; everything else runs on each."""
    names = ["5.10", "6.1", "6.12", "7.x"]
    anywhere, everywhere = GuestTest("a", ("kernel_independent", "quick"), 1), GuestTest("b", ("quick",), 1)
    assert everywhere.kernels(names) == names
    longer = GuestTest("b", (), 1)
    assert longer.kernels(names, thorough=True) == names
    assert [name in names[:2] for name in longer.kernels(names)] == [True, False]
    assert anywhere.kernels(names) == ["5.10", "7.x"]
    assert anywhere.kernels(["6.12"]) == ["6.12"]
    assert len(GuestTest("test_hcp_b", (), 1).kernels(names)) == 1
    assert GuestTest("test_hcp_b", (), 1).kernels(names, thorough=True) == names
    old, new = GuestTest("a[1]", ("two_kernels",), 1).kernels(names)
    assert old in names[:2] and new in names[2:]
    assert GuestTest("a[1]", ("two_kernels",), 1).kernels(["6.12"]) == ["6.12"]
    assert GuestTest("test_driver_a", ("two_kernels", "quick"), 1).kernels(names) == ["5.10", "7.x"]
    assert GuestTest("test_driver_a", ("two_kernels", "quick"), 1).kernels(names, thorough=True) == names
    assert GuestTest("a[1]", ("two_kernels", "one_kernel"), 1).kernels(names) in ([name] for name in names)


def test_variants_take_turns() -> None:
    """Two of a function are on two kernels, four on four; quick ones and thorough runs are as they are without."""
    names = ["5.10", "6.1", "6.12", "7.x"]
    variants = [GuestTest(f"test_driver_a.py::test_b[{number}]", ("two_kernels",), 1, number) for number in range(4)]
    assert sorted(test.kernels(names)[0] for test in variants) == names
    assert all(len(test.kernels(names)) == 1 for test in variants)
    assert GuestTest("test_driver_a.py::test_b[0]", ("quick",), 1, 0).kernels(names) == names


def test_what_any_kernel_tells_runs_on_one_and_all_have_some() -> None:
    """Always the same one, whatever else there is; and every test of the suite runs somewhere."""
    names = ["5.10", "6.1", "6.12", "7.x"]
    tests = list_tests()
    single = [test for test in tests if "one_kernel" in test.marks]
    places = Counter(name for test in single for name in test.kernels(names))
    assert sum(places.values()) == len(single)
    assert all(places[name] > len(single) / 8 for name in names), places
    assert all(test.kernels(["6.12"]) == ["6.12"] for test in tests)
    assert GuestTest("a[1]", ("one_kernel",), 1).kernels(names) == GuestTest("a[1]", ("one_kernel",), 9).kernels(names)


def test_the_core_is_what_no_marker_takes_from_a_kernel() -> None:
    """make arm64 runs it: of the driver's tests those that run on every kernel, and all files of the core are in it."""
    names = ["5.10", "6.1", "6.12", "7.x"]
    tests = list_tests()
    core = {test.name for test in tests if test.core}
    unmarked = [test for test in tests if "two_kernels" not in test.marks and test.name.startswith("test_driver_")]
    assert core == {test.name for test in unmarked if test.kernels(names, thorough=True) == names}
    assert not GuestTest("test_driver_a.py::test_b", ("quick", "one_kernel"), 1).core
    assert not GuestTest("test_hcp_a.py::test_b", (), 1).core


def test_every_kernel_has_the_core() -> None:
    """The word one_kernel must not take the tests of what kernels differ in from any of them."""
    names = ["5.10", "6.1", "6.12", "7.x"]
    everywhere = {test.name for test in list_tests() if test.kernels(names, thorough=True) == names}
    driver = {test.name for test in list_tests() if test.name.startswith("test_driver_")}
    functions = {test.function: set[str]() for test in list_tests() if test.name in everywhere & driver}
    for item in list_tests():
        if item.function in functions:
            functions[item.function] |= set(item.kernels(names))
    assert all(len(kernels) >= 2 for kernels in functions.values()), functions
    for core in (
        "driver_exact",
        "driver_hook",
        "driver_ioctl",
        "driver_private",
        "driver_records",
        "driver_fsck",
        "driver_drain",
        "driver_faults",
        "driver_chain",
        "driver_fio",
    ):
        assert any(name.startswith(f"test_{core}.py::") for name in everywhere), core
    for test in (
        "grow.py::test_the_store_grows",
        "free.py::test_nothing_that_is_needed_is_lost",
        "map.py::test_garbage_in_free_blocks_harms_nobody",
    ):
        for kind in ("ext4", "xfs"):
            assert f"test_hcp_store_{test}[{kind}]" in everywhere


def test_source_key_ignores_build_outputs(tmp_path: Path) -> None:
    """An object file left behind does not cause a rebuild; a changed source does."""
    (tmp_path / "a.c").write_text("int a;\n")
    first = source_key(tmp_path)
    (tmp_path / "a.o").write_bytes(b"\xff")
    (tmp_path / ".a.o.cmd").write_text("x")
    assert source_key(tmp_path) == first
    (tmp_path / "a.c").write_text("int b;\n")
    assert source_key(tmp_path) != first


def test_modules_are_loaded_after_what_they_need() -> None:
    """modules.dep lists the nearest dependency first; built-in modules have no line."""
    dep = ["k/ext4.ko.xz: k/jbd2.ko.xz k/crc16.ko.xz", "k/jbd2.ko.xz:", "k/crc16.ko.xz:", "k/virtio-blk.ko.xz:"]
    order = load_order(dep, ("virtio_blk", "built_in", "ext4"))
    assert order == ["k/virtio-blk.ko.xz", "k/crc16.ko.xz", "k/jbd2.ko.xz", "k/ext4.ko.xz"]


def test_unpacking_ends_with_the_stream() -> None:
    """A kernel image has more behind its compressed part."""
    assert unpacked(lzma.compress(b"kernel") + b"tail") == b"kernel"
    assert unpacked(b"\x7fELF") == b"\x7fELF"
    packed = subprocess.run(["lz4", "-lcq"], input=b"kernel", stdout=subprocess.PIPE, check=True, timeout=20).stdout
    assert unpacked(packed + b"tail") == b"kernel"


def test_disk_throttles_are_passed_on() -> None:
    """And only when asked for."""
    arguments = " ".join(Disk("d", iops=100, bps=1000, block=4096).arguments(Path("/x")))
    assert "throttling.iops-total=100,throttling.bps-total=1000" in arguments
    assert "logical_block_size=4096" in arguments
    assert "throttling" not in " ".join(Disk("d").arguments(Path("/x")))


def test_disk_sizes() -> None:
    assert [Disk("d", size).size_bytes for size in ("2G", "320M", "4096")] == [2 << 30, 320 << 20, 4096]
    with pytest.raises(ValueError, match="1T"):
        _ = Disk("d", "1T").size_bytes


def test_cache_entry_is_whole_or_absent(tmp_path: Path) -> None:
    """A failed build leaves nothing; a good one is built once."""
    cache = Cache(tmp_path)
    built = []

    def fail(path: Path) -> None:
        (path / "half").touch()
        raise OSError

    def build(path: Path) -> None:
        built.append(path)
        (path / "file").touch()

    with pytest.raises(OSError):
        cache.entry("kind", "name", digest("a"), fail)
    assert cache.find("kind", "name", digest("a")) is None
    for _ in range(2):
        assert (cache.entry("kind", "name", digest("a"), build) / "file").exists()
    assert len(built) == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_cache_prunes_old_entries_of_the_same_name_only(tmp_path: Path) -> None:
    """Two newest stay, and whatever was used lately."""
    cache = Cache(tmp_path)
    for number in range(4):
        for name in ("6.12", "6.12-rt"):
            cache.entry("kind", name, digest(str(number)), lambda _path: None)
    for path in (tmp_path / "kind").iterdir():
        os.utime(path, (time.time() - GRACE - 100,) * 2)
    cache.prune("kind", "6.12")
    names = [path.name for path in (tmp_path / "kind").iterdir()]
    assert len([name for name in names if not name.startswith("6.12-rt")]) == 2
    assert len([name for name in names if name.startswith("6.12-rt")]) == 4


def test_a_kernel_from_source_is_named_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no package of its own; nothing takes it unless it is named."""
    found = KernelPackage(DEBUG, "linux-image-6.12.117+deb13-amd64", "6.12.117-1~deb13u1")
    assert found.release == "6.12.117-debug"
    assert by_name(DEBUG.name) is DEBUG
    assert DEBUG not in (*KERNELS, *FURTHER)
    monkeypatch.setenv("HOTCOPY_DEBUG_WORDS", "kmemleak=off")
    assert DEBUG.words == "bench.slow=5 pci=noacpi kmemleak=off" and not by_name("6.12").words


def test_arm64_is_taken_only_when_it_is_named() -> None:
    """And no other flavour of it; its guests have a console and a results port of their own kinds."""
    assert by_name("arm64") is ARM and ARM not in (*KERNELS, *FURTHER)
    core = [test for test in list_tests() if test.core]
    assert all(any(module in test.marks for test in core) for module in ARM.lacks)
    found = [
        Package("linux-image-6.12.118+deb13-arm64", "6.12.118-1"),
        Package("linux-image-6.12.9+deb13-arm64", "6.12.9-1"),
    ]
    others = [
        Package(f"linux-image-6.12.200+deb13-{flavour}", "6.12.200-1")
        for flavour in ("arm64-16k", "cloud-arm64", "rt-arm64", "amd64")
    ]
    assert newest([*others, *found], ARM.image) == found[0]
    boot = BootFiles(Path("k"), Path("i"), Path("m"))
    theirs, ours = (" ".join(Machine().arguments("tcg", boot, "", row.architecture)) for row in (ARM, by_name("6.12")))
    assert theirs.startswith("qemu-system-aarch64 ") and "-machine virt," in theirs and "console=ttyAMA0 " in theirs
    assert ours.startswith("qemu-system-x86_64 ") and "-machine pc " in ours and "console=ttyS0 " in ours


def test_what_kconfig_drops_is_named() -> None:
    """A setting without what it depends on vanishes without a word."""
    wanted = ["# a comment", "", "CONFIG_A=y", "CONFIG_B=m", 'CONFIG_C="x"']
    assert not_held(wanted, ["CONFIG_A=y", "CONFIG_B=m", 'CONFIG_C="x"', "CONFIG_D=y"]) == []
    assert not_held(wanted, ["CONFIG_A=y", "# CONFIG_B is not set"]) == ["CONFIG_B=m", 'CONFIG_C="x"']
