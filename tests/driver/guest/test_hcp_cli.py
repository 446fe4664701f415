# SPDX-License-Identifier: GPL-2.0-or-later
"""The hcp command on real disks with the real driver: every label, exit status, refusal, and what each leaves behind."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hotcopy import cli
from tests.driver.guest import commands

DISK = "/dev/disk/by-id/virtio-data0"
OTHER_DISK = "/dev/disk/by-id/virtio-data1"
RECORD_LABELS = ("Real Device", "Virtual Device", "Changed Blocks Stored", "Mounted", "Time Created", "Changed Blocks")
# Small filesystems on large disks: what a test fills or compares stays small.
MKFS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "{}", "256M"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-d", "size=400m", "{}"),
    "ext3": ("mkfs.ext3", "-q", "-F", "{}", "128M"),
    "btrfs": ("mkfs.btrfs", "-q", "-f", "{}"),
    "ext2": ("mkfs.ext2", "-q", "-F", "{}", "128M"),
}


def make_filesystem(kind: str, node: str) -> None:
    """A small one, whatever the size of the disk."""
    run(*(word.format(node) for word in MKFS[kind]))


# Emulated Python takes a second to compile hcp: keep what it compiled, which the bench switches off.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "/tmp/hcp-pycache"}


def run(*argv: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program; a failure shows what it said."""
    options.setdefault("env", ENVIRONMENT)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if check:
        assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def forked(words: tuple[str, ...], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own that need not import everything first: emulation makes that slow."""
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    child = os.fork()
    if child == 0:
        status = 70
        try:
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            os.dup2(outputs[0], 1)
            os.dup2(outputs[1], 2)
            os.environ.update(ENVIRONMENT)
            os.chdir(cwd or "/")
            status = cli.main(list(words))
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    texts = []
    for fd in outputs:
        texts.append(os.pread(fd, 1 << 20, 0).decode())
        os.close(fd)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return subprocess.CompletedProcess(("hcp", *words), code, *texts)


def call(words: tuple[str, ...], options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The installed command where a test is about how it is started, else the same code forked."""
    if set(options) <= {"cwd"}:
        return forked(words, **options)
    options.pop("real", None)
    return run("hcp", *words, check=False, **options)


def hcp(*words: str, **options: Any) -> str:
    """The command, which must succeed and say nothing on stderr; its output."""
    done = call(words, options)
    assert (done.returncode, done.stderr) == (0, ""), f"hcp {words}: {done}"
    return done.stdout


def refused(*words: str, status: int = 1, parts: tuple[str, ...] = (), **options: Any) -> str:
    """The command, which must fail with one line on stderr that has every part; that line."""
    done = call(words, options)
    assert done.returncode == status, f"hcp {words}: {done}"
    assert re.fullmatch(r"hcp: error: [^\n]+; [^\n]+\n", done.stderr), done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
    return done.stderr


def hot_copies() -> list[dict[str, Any]]:
    """Every hot copy, as hcp -l --json has it."""
    found: list[dict[str, Any]] = json.loads(hcp("-l", "--json"))["hot_copies"]
    return found


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


eventually = functools.partial(commands.eventually, seconds=10.0)


@dataclass(frozen=True)
class Origin:
    """A mounted filesystem to take hot copies of."""

    node: str  # without links
    link: str
    kind: str
    path: Path

    @property
    def name(self) -> str:
        return os.path.basename(self.node)

    def free(self) -> int:
        """Free blocks, once everything that is on its way has arrived."""
        run("sync", "-f", str(self.path))
        return os.statvfs(self.path).f_bfree

    def stores(self) -> list[str]:
        directory = self.path / ".hotcopy"
        return sorted(os.listdir(directory)) if directory.exists() else []

    def is_writable(self) -> bool:
        """Whether a write gets through: not frozen, not read-only."""
        probe = self.path / "probe"
        done = run("timeout", "20", "sh", "-c", f"echo x >'{probe}' && sync -f '{probe}' && rm '{probe}'", check=False)
        return done.returncode == 0


def remove_all() -> None:
    for copy in reversed(hot_copies()):
        hcp("-r", copy["device"])


def unmount(path: Path) -> None:
    if path.is_mount():
        run("umount", str(path))


@contextmanager
def filesystem(kind: str, link: str = DISK, path: str = "/run/origin") -> Iterator[Origin]:
    """A fresh filesystem, mounted; afterwards nothing of it and no hot copy is left."""
    node = os.path.realpath(link)
    where = Path(path)
    where.mkdir(parents=True, exist_ok=True)
    run("wipefs", "-qa", node)
    make_filesystem(kind, node)
    run("mount", "-t", kind, node, str(where))
    try:
        yield Origin(node, link, kind, where)
    finally:
        remove_all()
        unmount(where)
        run("wipefs", "-qa", node)


@pytest.fixture(params=["ext4", "xfs"])
def origin(request: pytest.FixtureRequest) -> Iterator[Origin]:
    with filesystem(request.param) as made:
        yield made


@pytest.fixture
def ext4() -> Iterator[Origin]:
    with filesystem("ext4") as made:
        yield made


@contextmanager
def leaves_nothing(origin: Origin) -> Iterator[None]:
    """What runs inside leaves the origin, the mounts and the hot copies as they were."""
    free, table, files, copies = origin.free(), mounts(), origin.stores(), len(hot_copies())
    yield
    assert len(hot_copies()) == copies
    assert mounts() == table
    assert origin.stores() == files
    assert (origin.path / ".hotcopy").exists() == bool(files)
    assert eventually(lambda: origin.free() == free), (origin.free(), free)
    assert origin.is_writable()


# ---- creating ----------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_creation_output(origin: Origin) -> None:
    lines = hcp(origin.node, real=True).splitlines()
    begin = lines.index(f"Starting Hot Copy: {origin.node}.")
    banner = "\n".join(lines[:begin])
    assert not re.search("Mounted:|Virtual Device|Changed Blocks|No Hot Copy sessions", banner)
    patterns = (
        re.escape(f"Starting Hot Copy: {origin.node}."),
        re.escape(f"Changed blocks stored: {origin.path}/.hotcopy"),
        r"Snapshot completed: \d+\.\d{3} seconds",
        r"File system frozen: \d+\.\d{3} seconds",
        r"Hot Copy created: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}",
        r"Hot Copy created at: /dev/hcp1",
        r"Mounting /dev/hcp1 read-write",
        re.escape(f"Hot Copy mounted at: /var/hotcopy/{origin.name}_hcp1"),
    )
    assert len(lines) - begin == len(patterns)
    for line, pattern in zip(lines[begin:], patterns):
        assert re.fullmatch(pattern, line), line
    assert Path(f"/var/hotcopy/{origin.name}_hcp1").is_mount()


@pytest.mark.quick
def test_list_record(origin: Origin) -> None:
    hcp(origin.node, real=True)
    lines = hcp("-l", real=True).splitlines()
    assert lines[0] == "****** hcp1 ******"
    values = {}
    for line, label in zip(lines[1:], RECORD_LABELS):
        assert line[:24] == f" {label}:".ljust(24), line
        assert line[24] != " ", line
        values[label] = line[24:]
    assert values["Real Device"] == origin.node
    assert values["Virtual Device"] == "/dev/hcp1"
    assert values["Changed Blocks Stored"] == f"{origin.path}/.hotcopy"
    assert values["Mounted"] == f"/var/hotcopy/{origin.name}_hcp1"
    amount = re.fullmatch(r"(\d+\.\d\d) MiB \((\d+) bytes\)", values["Changed Blocks"])
    assert amount
    assert amount[1] == f"{int(amount[2]) / 2**20:.2f}"
    then = run("date", "-d", values["Time Created"], "+%s").stdout
    assert abs(time.time() - int(then)) < 120
    assert " State:                 active" in lines
    assert not [line for line in lines[1:] if line[23] != " " or line[24] == " "]


def test_contents_are_apart(origin: Origin) -> None:
    (origin.path / "kept").write_text("old")
    (origin.path / "gone").write_text("old")
    hcp(origin.node)
    copy = Path(f"/var/hotcopy/{origin.name}_hcp1")
    (origin.path / "kept").write_text("new")
    (origin.path / "gone").unlink()
    (origin.path / "later").write_text("new")
    run("sync")
    assert (copy / "kept").read_text() == "old"
    assert (copy / "gone").read_text() == "old"
    assert not (copy / "later").exists()
    (copy / "kept").write_text("private")
    run("sync")
    assert (origin.path / "kept").read_text() == "new"
    (state,) = hot_copies()
    assert state["changed_bytes"] > 0
    assert state["private_bytes"] > 0
    assert state["state"] == "active"


@pytest.mark.parametrize("words", [("-m", "{}/"), ("--mount-point={}",), ("--mount", "{}//")])
def test_mount_point(ext4: Origin, tmp_path: Path, words: tuple[str, ...]) -> None:
    where = tmp_path / "copy"
    where.mkdir()
    out = hcp(ext4.node, *(word.format(where) for word in words))
    assert f"Hot Copy mounted at: {where}\n" in out
    assert f"/dev/hcp1 on {where} type ext4" in run("mount").stdout
    hcp("-r", f"{where}/")
    assert not where.is_mount()
    assert where.is_dir()


def test_mount_point_is_made_and_may_have_a_space(ext4: Origin, tmp_path: Path) -> None:
    where = tmp_path / "new place" / "copy"
    hcp("-m", str(where), ext4.node)
    assert where.is_mount()
    (line,) = [line for line in hcp("-l").splitlines() if "Mounted:" in line]
    assert line.split() == ["Mounted:", str(where).replace(" ", "\\040")]
    assert hot_copies()[0]["mount_points"] == [str(where)]
    hcp("-r", str(where))


def test_skip_mount(origin: Origin) -> None:
    table = mounts()
    out = hcp("--skip-mount", origin.node)
    assert "Hot Copy created at: /dev/hcp1\n" in out
    assert "ounting" not in out
    assert mounts() == table
    (line,) = [line for line in hcp("-l").splitlines() if "Mounted:" in line]
    assert line.split() == ["Mounted:", "-"]
    assert not hot_copies()[0]["read_only"]
    hcp("-r", "hcp1")


@pytest.mark.parametrize("word", ["-o", "--read-only", "--read"])
def test_read_only(ext4: Origin, word: str) -> None:
    out = hcp(word, ext4.node)
    assert "Mounting /dev/hcp1 read-only\n" in out
    assert "noload" not in out
    assert run("blockdev", "--getro", "/dev/hcp1").stdout == "1\n"


def test_read_only_contents(origin: Origin) -> None:
    (origin.path / "file").write_text("old")
    hcp("-o", origin.node)
    copy = Path(f"/var/hotcopy/{origin.name}_hcp1")
    assert (copy / "file").read_text() == "old"
    with pytest.raises(OSError):
        (copy / "file").write_text("new")
    assert hot_copies()[0]["read_only"]
    assert run("dd", "if=/dev/zero", "of=/dev/hcp1", "bs=4096", "count=1", "oflag=direct", check=False).returncode != 0


def test_store(origin: Origin) -> None:
    before = origin.free()
    hcp("--store-size", "32M", origin.node)
    directory = origin.path / ".hotcopy"
    (file,) = directory.iterdir()
    assert directory.stat().st_mode & 0o7777 == 0o700
    assert file.stat().st_mode & 0o7777 == 0o600
    assert file.stat().st_size == 0
    assert file.stat().st_blocks * 512 >= 32 << 20
    (state,) = hot_copies()
    assert state["store"] == str(directory)
    assert (31 << 20) < state["store_bytes"] <= file.stat().st_blocks * 512
    with pytest.raises(PermissionError):
        file.unlink()
    refused("--store-size", "32M", origin.node, parts=("share", "leave out --store-size"))
    hcp(origin.node)
    assert len(list(directory.iterdir())) == 1
    hcp("-r", "hcp1")
    assert file.exists()
    hcp("-r", "hcp2")
    assert not directory.exists()
    assert eventually(lambda: origin.free() == before)


def test_several_names_and_numbers(ext4: Origin) -> None:
    assert hcp("-s", ext4.node) == ""
    for number in (1, 2, 3):
        assert f"Hot Copy created at: /dev/hcp{number}\n" in hcp("--skip-mount", ext4.node)
    assert hcp("-s", ext4.node) == "/dev/hcp1\n/dev/hcp2\n/dev/hcp3\n"
    assert hcp("--show-hcp-device", ext4.link) == "/dev/hcp1\n/dev/hcp2\n/dev/hcp3\n"
    assert hcp("-s", os.path.realpath(OTHER_DISK)) == ""
    refused("-r", ext4.node, parts=("/dev/hcp1, /dev/hcp2, /dev/hcp3", "hcp -r /dev/hcp1"))
    assert hcp("-r", "hcp2") == "Hot Copy Session has successfully been stopped.\n"
    assert "Hot Copy created at: /dev/hcp2\n" in hcp("--skip-mount", ext4.node)
    assert [copy["number"] for copy in hot_copies()] == [1, 2, 3]
    assert hot_copies()[1]["sequence"] > hot_copies()[2]["sequence"]
    hcp("-r", "hcp1")
    hcp("-r", "hcp3")
    last = hcp("-r", ext4.node).splitlines()
    assert last[0] == "Hot Copy Session has successfully been stopped."
    assert last[1].startswith("All active Hot Copy sessions have been stopped.")
    assert hcp("-l") == "No Hot Copy sessions\n"


def test_json(ext4: Origin) -> None:
    before = time.time()
    hcp(ext4.node)
    document = json.loads(hcp("--list", "--json"))
    assert document["format"] == 1
    (copy,) = document["hot_copies"]
    assert (copy["name"], copy["number"], copy["device"], copy["origin"]) == ("hcp1", 1, "/dev/hcp1", ext4.node)
    status = os.stat("/dev/hcp1")
    assert copy["device_number"] == f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    source = os.stat(ext4.node)
    assert (
        copy["origin_number"] == copy["store_device_number"] == f"{os.major(source.st_rdev)}:{os.minor(source.st_rdev)}"
    )
    assert copy["sectors"] == int(run("blockdev", "--getsz", ext4.node).stdout)
    assert copy["sectors"] == int(run("blockdev", "--getsz", "/dev/hcp1").stdout)
    assert copy["state"] == "active"
    assert copy["reason"] is None
    assert copy["open"]
    assert copy["mount_points"] == [f"/var/hotcopy/{ext4.name}_hcp1"]
    assert copy["frozen_us"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", copy["created"])
    assert before - 1 < int(run("date", "-d", copy["created"], "+%s").stdout) <= time.time() + 1


# ---- the ways in -------------------------------------------------------------------------------------------------


def test_hotcopy_is_the_same_command(ext4: Origin) -> None:
    assert "Hot Copy created at: /dev/hcp1\n" in run("hotcopy", "--skip-mount", ext4.node).stdout

    # The filesystem goes on writing (lazy initialisation), so that the amounts may grow between two lists.
    def without_amounts(text: str) -> str:
        return re.sub(r"[\d.]+ MiB \(\d+ bytes\)", "AMOUNT", text)

    assert without_amounts(run("hotcopy", "-l").stdout) == without_amounts(hcp("-l"))


def test_version_is_the_drivers(ext4: Origin) -> None:
    hcp("--skip-mount", ext4.node)
    assert hcp("-v") == Path("/sys/module/hcpdriver/version").read_text(encoding="ascii")


def test_the_driver_is_loaded_when_needed(ext4: Origin) -> None:
    if os.path.exists("/sys/module/hcpdriver"):
        run("rmmod", "hcpdriver")
    assert hcp("-l") == "No Hot Copy sessions\n"
    refused("-r", "hcp1", parts=("no hot copy hcp1",))
    assert not os.path.exists("/sys/module/hcpdriver")
    hcp("--skip-mount", ext4.node)
    assert os.path.exists("/sys/module/hcpdriver")


@pytest.mark.parametrize("how", ["by-id", "by-uuid", "own link", "relative"])
def test_links(ext4: Origin, tmp_path: Path, how: str) -> None:
    run("udevadm", "settle", check=False)
    uuid = run("blkid", "-p", "-s", "UUID", "-o", "value", ext4.node).stdout.strip()
    link = {"by-id": ext4.link, "by-uuid": f"/dev/disk/by-uuid/{uuid}", "own link": str(tmp_path / "link")}.get(how)
    if how == "own link":
        os.symlink(ext4.node, str(link))
    if link is None:
        link = ext4.name
    out = hcp(link, cwd="/dev")
    real = link if link.startswith("/") else f"/dev/{link}"
    assert f"Starting Hot Copy: {real}.\n" in out
    assert f"Hot Copy mounted at: /var/hotcopy/{ext4.name}_hcp1\n" in out
    assert hot_copies()[0]["origin"] == real
    assert hcp("-s", ext4.node) == "/dev/hcp1\n"
    hcp("-r", link, cwd="/dev")


@pytest.mark.parametrize("form", ["/dev/hcpvg/vol", "/dev/mapper/hcpvg-vol"])
def test_lvm(form: str) -> None:
    disk = os.path.realpath(OTHER_DISK)
    where = Path("/run/lv")
    where.mkdir(exist_ok=True)
    run("wipefs", "-qa", disk)
    run("vgcreate", "-qy", "hcpvg", disk)
    try:
        run("lvcreate", "-qy", "-Wn", "-L", "128M", "-n", "vol", "hcpvg")
        run("udevadm", "settle", check=False)
        run("mkfs.ext4", "-q", "/dev/hcpvg/vol")
        run("mount", "/dev/hcpvg/vol", str(where))
        (where / "file").write_text("old")
        out = hcp(form)
        assert f"Starting Hot Copy: {form}.\n" in out
        assert "Hot Copy mounted at: /var/hotcopy/hcpvg-vol_hcp1\n" in out
        (where / "file").write_text("new")
        assert Path("/var/hotcopy/hcpvg-vol_hcp1/file").read_text() == "old"
        refused(disk, parts=("in use by /dev/dm-", "hcp /dev/dm-"))
        hcp("-r", form)
    finally:
        remove_all()
        unmount(where)
        run("vgremove", "-qfy", "hcpvg")
        run("pvremove", "-qffy", disk)


def test_partitions() -> None:
    disk = os.path.realpath(OTHER_DISK)
    where = Path("/run/part")
    where.mkdir(exist_ok=True)
    run("wipefs", "-qa", disk)
    run("sfdisk", "-q", disk, input="size=256M\nsize=256M\n")
    run("udevadm", "settle", check=False)
    try:
        part = f"{disk}1"
        assert eventually(lambda: os.path.exists(part))
        run("mkfs.ext4", "-q", part)
        run("mount", part, str(where))
        (where / "file").write_text("old")
        refused(disk, parts=("partitions", f"hcp {part}"))
        hcp(part)
        (where / "file").write_text("new")
        assert Path(f"/var/hotcopy/{os.path.basename(part)}_hcp1/file").read_text() == "old"
    finally:
        remove_all()
        unmount(where)
        run("sfdisk", "-q", "--delete", disk)


def test_loop_device(ext4: Origin) -> None:
    image = ext4.path / "image"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    refused(str(image), parts=("regular file", "losetup"))
    run("modprobe", "loop")
    loop = run("losetup", "-f", "--show", str(image)).stdout.strip()
    where = Path("/run/loop")
    where.mkdir(exist_ok=True)
    try:
        run("mkfs.ext4", "-q", loop)
        run("mount", loop, str(where))
        (where / "file").write_text("old")
        hcp(loop)
        (where / "file").write_text("new")
        assert Path(f"/var/hotcopy/{os.path.basename(loop)}_hcp1/file").read_text() == "old"
    finally:
        remove_all()
        unmount(where)
        run("losetup", "-d", loop)


def test_origin_mounted_in_a_directory_with_a_space() -> None:
    with filesystem("ext4", path="/run/a place") as origin, leaves_nothing(origin):
        out = hcp(origin.node)
        assert "Changed blocks stored: /run/a place/.hotcopy\n" in out
        assert "/run/a place/.hotcopy" in hcp("-l")
        hcp("-r", origin.node)


def test_bind_mounts(ext4: Origin) -> None:
    part, sub = Path("/run/part-of-it"), ext4.path / "sub"
    sub.mkdir()
    part.mkdir(exist_ok=True)
    run("mount", "--bind", str(sub), str(part))
    try:
        with leaves_nothing(ext4):
            hcp(ext4.node)
            assert ext4.stores()
            hcp("-r", ext4.node)
        run("umount", str(ext4.path))
        refused(ext4.node, parts=("/sub", "mount the whole filesystem"))
        assert sorted(os.listdir(part)) == []
        run("mount", ext4.node, str(ext4.path))
    finally:
        unmount(part)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/null", "| true"])
def test_standard_streams(ext4: Origin, redirection: str) -> None:
    done = run("sh", "-c", f"hcp --skip-mount {ext4.node} {redirection}", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert eventually(lambda: len(hot_copies()) == 1)
    assert eventually(lambda: run("sh", "-c", "hcp -r hcp1 >&-", check=False).returncode == 0)
    assert hot_copies() == []


def test_foreign_descriptors_and_no_environment(ext4: Origin) -> None:
    line = f"exec 7</etc/passwd 8>/dev/null 9<{ext4.path}; exec env -i /usr/local/bin/hcp {ext4.node}"
    done = run("sh", "-c", line)
    assert done.stderr == ""
    assert "Hot Copy mounted at: " in done.stdout
    done = run("sh", "-c", "exec 7</etc/passwd; exec env -i /usr/local/bin/hcp -r hcp1")
    assert done.stderr == ""


def test_two_at_once(ext4: Origin) -> None:
    running = [subprocess.Popen(["hcp", "--skip-mount", ext4.node], stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert [copy["number"] for copy in hot_copies()] == [1, 2, 3]
    assert len(ext4.stores()) == 1


# ---- removing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/dev/hcp1", "hcp1", "{mount}", "{mount}/", "{node}", "{link}"])
def test_remove_by_every_name(ext4: Origin, name: str) -> None:
    with leaves_nothing(ext4):
        hcp(ext4.node)
        mount = f"/var/hotcopy/{ext4.name}_hcp1"
        out = hcp("-r", name.format(mount=mount, node=ext4.node, link=ext4.link))
        assert out.startswith("Hot Copy Session has successfully been stopped.\n")
        assert not os.path.exists(mount)
        assert eventually(lambda: not os.path.exists("/dev/hcp1"))


def test_remove_what_is_not_there(ext4: Origin) -> None:
    hcp(ext4.node)
    for name in ("/dev/hcp2", "hcp7", "/dev/nosuch", os.path.realpath(OTHER_DISK), "/run", str(ext4.path)):
        refused("-r", name, parts=("there is no hot copy", f"/dev/hcp1 (of {ext4.node})"))
    hcp("-r", "hcp1")
    refused("-r", "hcp1", parts=("there is no hot copy hcp1", "none at all"))


def test_device_alone_is_never_a_removal(ext4: Origin) -> None:
    hcp(ext4.node)
    refused("/dev/hcp1", status=2, parts=("hcp -r /dev/hcp1",))
    refused("/dev/../dev/hcp1", parts=("itself a hot copy", f"hcp {ext4.node}"))
    assert len(hot_copies()) == 1


def test_remove_unmounts_everywhere(ext4: Origin, tmp_path: Path) -> None:
    hcp(ext4.node)
    more = [tmp_path / "a", tmp_path / "b c"]
    for path in more:
        path.mkdir()
        run("mount", "/dev/hcp1", str(path))
    assert len(hot_copies()[0]["mount_points"]) == 3
    hcp("-r", "hcp1")
    assert "/dev/hcp1" not in mounts()


def test_remove_busy(ext4: Origin) -> None:
    hcp(ext4.node)
    where = f"/var/hotcopy/{ext4.name}_hcp1"
    with subprocess.Popen(["sleep", "600"], cwd=where) as sleeper:
        try:
            line = refused("-r", "hcp1", parts=(f"sleep ({sleeper.pid});", where))
            assert "in use" in line
        finally:
            sleeper.kill()
    assert len(hot_copies()) == 1
    hcp("-r", "hcp1")
    hcp("--skip-mount", ext4.node)
    with open("/dev/hcp1", "rb"):
        refused("-r", "hcp1", parts=(f"({os.getpid()})", "/dev/hcp1 is in use"))
    assert len(hot_copies()) == 1
    hcp("-r", "hcp1")


def test_remove_while_mounted_in_another_namespace(ext4: Origin) -> None:
    hcp(ext4.node)
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "600"]) as other:
        try:
            own = os.readlink("/proc/self/ns/mnt")
            assert eventually(lambda: os.readlink(f"/proc/{other.pid}/ns/mnt") != own)
            refused("-r", "hcp1", parts=(f"({other.pid}, mounted in its own namespace)", "hcp -r /dev/hcp1"))
        finally:
            other.kill()
    hcp("-r", "hcp1")
    assert not os.path.exists(f"/var/hotcopy/{ext4.name}_hcp1")


def test_user_files_in_the_default_mount_point_stay(ext4: Origin) -> None:
    where = Path(f"/var/hotcopy/{ext4.name}_hcp1")
    where.mkdir(parents=True)
    (where / "mine").write_text("kept")
    hcp(ext4.node)
    assert where.is_mount()
    hcp("-r", "hcp1")
    assert (where / "mine").read_text() == "kept"
    shutil.rmtree(where)


def test_remove_after_remount_read_only(ext4: Origin) -> None:
    free = ext4.free()
    hcp(ext4.node)
    run("mount", "-o", "remount,ro", str(ext4.path))
    out = hcp("-r", "hcp1")
    assert out.startswith("Hot Copy Session has successfully been stopped.\n")
    assert str(ext4.path) in out
    refused(ext4.node, parts=("read-only", "remount,rw"))
    run("mount", "-o", "remount,rw", str(ext4.path))
    assert len(ext4.stores()) == 1
    hcp("--skip-mount", ext4.node)
    assert len(ext4.stores()) == 1
    hcp("-r", "hcp1")
    assert ext4.stores() == []
    assert eventually(lambda: ext4.free() == free)


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_refusals_leave_nothing(ext4: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases: tuple[tuple[tuple[str, ...], int, tuple[str, ...]], ...] = (
        ((), 2, ("no device",)),
        (("-x",), 2, ("-x",)),
        (("-c", "/run", ext4.node), 2, ("not there yet",)),
        (("-q", "5%", ext4.node), 2, ("not there yet",)),
        (("/dev/nosuch",), 1, ("No such file",)),
        (("server:/export",), 1, ("network filesystem",)),
        (("/etc/passwd",), 1, ("regular file", "losetup")),
        ((str(ext4.path),), 1, ("directory", f"hcp {ext4.node}")),
        (("/dev/null",), 1, ("not a block device",)),
        (("--store-size", "1T", ext4.node), 1, ("no free space", "--store-size")),
        (("-m", str(tmp_path / "file"), ext4.node), 1, ("not a directory",)),
        (("-m", str(tmp_path / "file" / "x"), ext4.node), 1, ("mount point",)),
        (("-m", "/proc/x/y", ext4.node), 1, ("mount point",)),
        (("-m", str(ext4.path), ext4.node), 1, ("mounted on", "another directory")),
    )
    with leaves_nothing(ext4):
        for words, status, parts in cases:
            refused(*words, status=status, parts=parts)
    assert os.listdir(tmp_path) == ["file"]


def test_not_root_is_refused(ext4: Origin) -> None:
    with leaves_nothing(ext4):
        for words in ((ext4.node,), ("-l",), ("-r", "hcp1"), ("-s", ext4.node)):
            done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "hcp", *words, check=False)
            assert (done.returncode, done.stderr) == (1, "hcp: error: hcp needs root; run it with sudo\n")


@pytest.mark.parametrize("kind", ["none", "ext4", "swap", "btrfs", "ext2", "ext3", "small", "read-only"])
def test_devices_that_are_refused(kind: str, tmp_path: Path) -> None:
    node = os.path.realpath(OTHER_DISK)
    where = Path("/run/refused")
    where.mkdir(exist_ok=True)
    run("wipefs", "-qa", node)
    undo: list[tuple[str, ...]] = [("wipefs", "-qa", node)]
    parts: tuple[str, ...] = ()
    before = mounts()
    try:
        if kind == "none":
            parts = ("no filesystem", "-c")
        elif kind == "ext4":
            make_filesystem("ext4", node)
            parts = ("not mounted", "mount it")
        elif kind == "swap":
            run("mkswap", node)
            run("swapon", node)
            undo.append(("swapoff", node))
            parts = ("swap",)
        elif kind in ("btrfs", "ext2", "ext3"):
            make_filesystem(kind, node)
            run("mount", node, str(where))
            undo.append(("umount", str(where)))
            parts = (kind, "later version")
        elif kind == "small":
            image = tmp_path / "small"
            with open(image, "wb") as file:
                file.truncate(8 << 20)
            run("modprobe", "loop")
            node = run("losetup", "-f", "--show", str(image)).stdout.strip()
            undo += [("losetup", "-d", node)]
            parts = ("too small", "16 MiB")
        else:
            make_filesystem("ext4", node)
            run("blockdev", "--setro", node)
            undo.append(("blockdev", "--setrw", node))
            parts = ("read-only", "blockdev --setrw")
        table = mounts()
        refused(node, parts=(node, *parts))
        assert hot_copies() == []
        assert mounts() == table
        assert not (where / ".hotcopy").exists()
    finally:
        for argv in reversed(undo):
            run(*argv)
    assert mounts() == before


def test_full_filesystem_is_refused(origin: Origin) -> None:
    free = os.statvfs(origin.path)
    run(
        "fallocate", "-l", str((free.f_bavail * free.f_frsize * 97 // 100) // 4096 * 4096), str(origin.path / "ballast")
    )
    with leaves_nothing(origin):
        refused(origin.node, parts=("no free space", str(origin.path)))


def test_failed_mount_takes_the_hot_copy_back(ext4: Origin, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "mount").write_text("#!/bin/sh\necho 'mount: no luck' >&2\nexit 32\n")
    (fake / "mount").chmod(0o755)
    environment = {**ENVIRONMENT, "PATH": f"{fake}:{os.environ['PATH']}"}
    with leaves_nothing(ext4):
        for words in ((), ("-m", str(tmp_path / "new" / "place")), ("-o",)):
            refused(*words, ext4.node, parts=("no luck", "dmesg"), env=environment)
    assert os.listdir(tmp_path) == ["bin"]
    assert not os.path.exists(f"/var/hotcopy/{ext4.name}_hcp1")


@pytest.mark.timeout(180)
def test_frozen_filesystem(ext4: Origin) -> None:
    """Without a store hcp says so instead of hanging; with one it takes the hot copy and leaves the freeze alone."""
    with leaves_nothing(ext4):
        run("fsfreeze", "-f", str(ext4.path))
        try:
            refused("--skip-mount", ext4.node, parts=("frozen", "fsfreeze -u"), timeout=60)
        finally:
            run("fsfreeze", "-u", str(ext4.path))
        assert eventually(lambda: not (ext4.path / ".hotcopy").exists())
    hcp("--skip-mount", ext4.node)
    run("fsfreeze", "-f", str(ext4.path))
    try:
        hcp("--skip-mount", ext4.node)
        assert run("fsfreeze", "-f", str(ext4.path), check=False).returncode != 0
    finally:
        run("fsfreeze", "-u", str(ext4.path))
    assert len(hot_copies()) == 2
    assert ext4.is_writable()


# ---- leftovers and signals ---------------------------------------------------------------------------------------


def test_leftovers_are_cleaned(origin: Origin) -> None:
    free = origin.free()
    directory = origin.path / ".hotcopy"
    directory.mkdir()
    (directory / "store-000000000000").touch()
    run("fallocate", "-n", "-l", "16M", str(directory / "store-000000000000"))
    hcp("--skip-mount", origin.node)
    assert len(origin.stores()) == 1
    assert origin.stores() != ["store-000000000000"]
    hcp("-r", "hcp1")
    assert origin.stores() == []
    assert eventually(lambda: origin.free() == free)


def _settled(origin: Origin, free: int) -> None:
    """After a killed hcp: the origin works, and one ordinary hcp and its removal bring everything back."""
    assert origin.is_writable()
    remove_all()
    hcp("--skip-mount", origin.node)
    assert len(origin.stores()) == 1
    remove_all()
    assert origin.stores() == []
    assert eventually(lambda: origin.free() == free), (origin.free(), free)


def _duration(origin: Origin) -> float:
    begin = time.monotonic()
    hcp(origin.node)
    taken = time.monotonic() - begin
    remove_all()
    return taken


@pytest.mark.timeout(600)
def test_sigkill_at_any_moment(origin: Origin) -> None:
    free = origin.free()
    whole = _duration(origin)
    source = random.Random(1)
    for _ in range(10):
        process = subprocess.Popen(["hcp", origin.node], stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(source.uniform(0, whole))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        assert origin.is_writable()
        for copy in hot_copies():
            assert copy["state"] == "active"
            assert copy["origin"] == origin.node
        remove_all()
    _settled(origin, free)
    assert "/dev/hcp" not in mounts()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_leave_all_or_nothing(ext4: Origin, name: str) -> None:
    number = signal.Signals[name]
    hcp("--skip-mount", ext4.node)
    remove_all()
    free = ext4.free()
    whole = _duration(ext4)
    source = random.Random(number)
    for _ in range(5):
        process = subprocess.Popen(["hcp", ext4.node], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(source.uniform(whole / 4, whole))
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
        assert ext4.is_writable()
        copies = hot_copies()
        if process.returncode == 0:
            assert len(copies) == 1
            assert copies[0]["mount_points"]
            hcp("-r", "hcp1")
        else:
            assert copies == []
            assert ext4.stores() == []
            # Before hcp is up, python3 itself ends as it likes.
            starting = process.returncode == -number or "KeyboardInterrupt" in complaint
            assert starting or complaint.startswith("hcp: error: "), complaint
    _settled(ext4, free)


def test_help_and_version_need_nothing() -> None:
    help_text = hcp("--help")
    for option in ("-m", "--skip-mount", "-o", "-c", "-q", "-l", "-r", "-s", "-v", "-h"):
        assert option in help_text
    assert run("hotcopy", "-h").stdout == help_text
