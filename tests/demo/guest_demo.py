#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration inside a guest: a busy filesystem, the real hcp, and two independent proofs that it is right.

    guest_demo.py [DISK]

DISK (default: the bench's first spare disk) is overwritten. Exit status 0 when every check held. Standard library
only, and nothing of hcp's own code, so that it is a witness and not an accomplice.

Proof 1, live: a writer changes several files in a fixed order, each step numbered and checksummed. The hot copy must
show one single moment of that order: nothing missing before it, nothing from after it, in every file.
Proof 2, byte for byte: the filesystem is frozen from outside, its raw device hashed, a hot copy taken of it, thawed.
After seconds of further writing the hot copy must still have that hash, and the origin must not.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

DISK = "/dev/disk/by-id/virtio-data0"
ORIGIN = Path("/mnt/data")
PROGRESS = Path("/dev/shm/hotcopy-demo")
SIZE_MIB = 64  # of the partition the demo works on: quick to hash under emulation
STEP = 1 << 20  # bytes of one raw read

RECORD = struct.Struct("<Q48xII")  # number, checksum of number and text; 64 bytes
SLOTS = 256  # of 4 KiB, overwritten at random
BATCH_EVERY = 10  # records
BATCHES_KEPT = 8
BATCH_BYTES = 16384
PACE = 1 / 250  # seconds a record, so that the demo fits into a small store


# ---- the writer --------------------------------------------------------------------------------------------------


def record(number: int) -> bytes:
    """One line of the log."""
    return RECORD.pack(number, zlib.crc32(struct.pack("<Q", number)), 0x484F5443)


def block(number: int) -> bytes:
    """4 KiB that say which record they belong to, with a checksum over all of them."""
    body = struct.pack("<Q", number) * 511
    return body + struct.pack("<II", zlib.crc32(body), 0x534C4F54)


def slot_of(number: int) -> int:
    """The slot record ``number`` overwrites: scattered, but known afterwards."""
    return number * 2654435761 % (1 << 32) % SLOTS


def write_for_ever(where: Path) -> None:
    """Step by step, in this order: slot, log, and now and then a new file and an old one deleted.

    PROGRESS tells from outside which record was begun last and which was finished last.
    """
    with open(PROGRESS, "r+b") as shared, mmap.mmap(shared.fileno(), 16) as progress:
        log = os.open(where / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        slots = os.open(where / "slots", os.O_WRONLY | os.O_CREAT, 0o644)
        number = 0
        while True:
            number += 1
            progress[0:8] = struct.pack("<Q", number)
            os.pwrite(slots, block(number), slot_of(number) * 4096)
            os.write(log, record(number))
            if number % BATCH_EVERY == 0:
                batch = number // BATCH_EVERY
                (where / f"batch-{batch}").write_bytes(struct.pack("<Q", batch) * (BATCH_BYTES // 8))
                (where / f"batch-{batch - BATCHES_KEPT}").unlink(missing_ok=True)
                os.fdatasync(slots)
                os.fdatasync(log)
            progress[8:16] = struct.pack("<Q", number)
            time.sleep(PACE)


@dataclass(frozen=True)
class Progress:
    """Where the writer is: the last record it began, the last it finished."""

    begun: int
    finished: int

    @classmethod
    def read(cls) -> Progress:
        """From the writer's shared page."""
        return cls(*struct.unpack("<QQ", PROGRESS.read_bytes()[:16]))


class WrongError(Exception):
    """A check did not hold."""


def check(condition: bool, what: str) -> None:
    """Raises WrongError with ``what`` unless the condition holds."""
    if not condition:
        raise WrongError(what)


def batches_after(done: int) -> set[str]:
    """The files there are once batch ``done`` is complete."""
    return {f"batch-{batch}" for batch in range(max(1, done - BATCHES_KEPT + 1), done + 1)}


def moment_of(where: Path) -> int:
    """The one record number after which the files were caught. WrongError unless all of them agree on it."""
    log = (where / "log").read_bytes()
    check(len(log) % RECORD.size == 0, "the log ends in the middle of a record")
    last = len(log) // RECORD.size
    for number in range(1, last + 1):
        at = (number - 1) * RECORD.size
        check(log[at : at + RECORD.size] == record(number), f"record {number} of the log is damaged")

    # A slot is written just before its record: the slot of record last+1 may already be new.
    newest: dict[int, int] = {slot_of(number): number for number in range(1, last + 1)}
    slots = (where / "slots").read_bytes()
    early = 0
    for slot in range(len(slots) // 4096):
        data = slots[slot * 4096 : slot * 4096 + 4096]
        expected = newest.get(slot)
        if expected is not None and data == block(expected):
            continue
        if expected is None and not any(data):
            continue
        check(
            slot == slot_of(last + 1) and data == block(last + 1), f"slot {slot} is not of the moment of record {last}"
        )
        early += 1
    check(early <= 1, "the slots are of more than one moment")

    # The files that come and go do so after their record: caught between two steps, or not.
    done = last // BATCH_EVERY
    allowed = [batches_after(done)]
    if done and last % BATCH_EVERY == 0:
        allowed += [batches_after(done - 1), batches_after(done - 1) | {f"batch-{done}"}]
    found = {path.name for path in where.glob("batch-*")}
    check(found in allowed, f"the files {sorted(found)} are not of the moment of record {last}")
    for name in found:
        batch = int(name.split("-")[1])
        data = (where / name).read_bytes()
        whole = struct.pack("<Q", batch) * (BATCH_BYTES // 8)
        begun = last % BATCH_EVERY == 0 and batch == done and not data
        check(data == whole or begun, f"{name} is damaged")
    return last


# ---- the session -------------------------------------------------------------------------------------------------


# An installed hcp has been compiled; the bench's has not: let it keep that, emulation makes it slow.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "/dev/shm/hcp-pycache"}


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def title(text: str) -> None:
    """Begin a part of the session."""
    say()
    say(f"==== {text} {'=' * max(4, 100 - len(text))}")


def run(*argv: str) -> str:
    """Quietly; WrongError with the program's own words when it fails."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, check=False
    )
    check(done.returncode == 0, f"{' '.join(argv)}: exit status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def show(*argv: str) -> str:
    """As one would type it: the command and what it printed."""
    say(f"# {' '.join(argv)}")
    output = run(*argv)
    say(output.rstrip("\n"))
    return output


def partition(disk: str) -> str:
    """A small partition on the disk, fresh."""
    run("wipefs", "-qa", disk)
    subprocess.run(
        ["sfdisk", "-q", disk], input=f"size={SIZE_MIB}M\n", text=True, check=True, stdout=subprocess.DEVNULL
    )
    node = f"{disk}p1" if disk[-1].isdigit() else f"{disk}1"
    deadline = time.monotonic() + 10
    while not os.path.exists(node):
        check(time.monotonic() < deadline, f"{node} does not appear")
        time.sleep(0.05)
    run("wipefs", "-qa", node)
    return node


def store_ranges() -> list[tuple[int, int]]:
    """Where the store is on the origin, in bytes, from filefrag: those blocks are hcp's own and left out."""
    ranges = []
    for file in (ORIGIN / ".hotcopy").iterdir():
        for line in run("filefrag", "-b512", "-v", str(file)).splitlines():
            fields = re.match(r"\s*\d+:\s+\d+\.\.\s*\d+:\s+(\d+)\.\.\s*(\d+):", line)
            if fields:
                ranges.append((int(fields[1]) * 512, (int(fields[2]) + 1) * 512))
    check(bool(ranges), "the store was not found")
    return sorted(ranges)


def free_ranges(node: str) -> list[tuple[int, int]]:
    """What is free on the frozen ext4, in bytes: a hot copy shows zeros there."""
    text = run("dumpe2fs", node)
    found = re.search(r"^Block size: *(\d+)$", text, re.MULTILINE)
    check(found is not None, "dumpe2fs does not tell the size of a block")
    assert found is not None
    size, ranges = int(found[1]), []
    for line in re.findall(r"^ *Free blocks: *(\d.*)$", text, re.MULTILINE):
        for part in line.split(","):
            first, _, last = part.strip().partition("-")
            ranges.append((int(first) * size, (int(last or first) + 1) * size))
    check(bool(ranges), "dumpe2fs tells no free blocks")
    return ranges


def digest(node: str, leave_out: list[tuple[int, int]]) -> str:
    """SHA-256 of the device as it is on the disk (O_DIRECT), the ranges counted as zeros."""
    result = hashlib.sha256()
    fd = os.open(node, os.O_RDONLY | os.O_DIRECT)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        with mmap.mmap(-1, STEP) as buffer:
            for offset in range(0, size, STEP):
                length = os.preadv(fd, [buffer], offset)
                check(length == min(STEP, size - offset), f"{node}: short read at {offset}")
                for begin, end in leave_out:
                    low, high = max(begin, offset), min(end, offset + length)
                    if low < high:
                        buffer[low - offset : high - offset] = bytes(high - low)
                result.update(memoryview(buffer)[:length])
    finally:
        os.close(fd)
    return result.hexdigest()


def value(output: str, label: str) -> str:
    """What follows a label in hcp's output."""
    found = re.search(rf"^ *{re.escape(label)} *(.+)$", output, re.MULTILINE)
    check(found is not None, f"hcp did not say: {label}")
    assert found is not None
    return found[1]


def live(node: str) -> tuple[str, str]:
    """Proof 1. Returns the hot copy and the frozen time."""
    title("1. A hot copy of a filesystem that is being written to")
    before = Progress.read()
    output = show("hcp", node)
    after = Progress.read()
    frozen = value(output, "File system frozen:")
    device = value(output, "Hot Copy created at:")
    copy = Path(value(output, "Hot Copy mounted at:"))
    time.sleep(1.5)
    say()
    say("The writer has gone on meanwhile. Now (new) and then (old):")
    show("sh", "-c", f"ls -l {ORIGIN} | tail -4; echo; ls -l {copy} | tail -4")
    moment = moment_of(copy)
    say()
    say(f"  before hcp the writer had finished record {before.finished}, after hcp it was at {after.begun}")
    say(f"  the hot copy shows the moment after record {moment}; the writer is at {Progress.read().finished} now")
    check(before.finished <= moment <= after.begun, "the hot copy is not of a moment during hcp")
    check(Progress.read().finished > moment, "the writer did not go on")
    (copy / "mine").write_text("written to the hot copy\n")
    check(not (ORIGIN / "mine").exists(), "a write to the hot copy reached the origin")
    say(f"  every record, slot and file of {device} agrees with that one moment: OK")
    say(f"  a file written to {device} did not reach the origin: OK")
    return device, frozen


def exact(node: str) -> str:
    """Proof 2. Returns the second hot copy."""
    title("2. Byte for byte: a second hot copy against a hash taken while everything stood still")
    leave_out = store_ranges()
    run("fsfreeze", "-f", str(ORIGIN))
    try:
        leave_out = sorted(leave_out + free_ranges(node))
        truth = digest(node, leave_out)
        say(f"# fsfreeze -f {ORIGIN}; sha256 of {node}:   {truth}")
        output = show("hcp", "--skip-mount", node)
    finally:
        run("fsfreeze", "-u", str(ORIGIN))
    device = value(output, "Hot Copy created at:")
    say(f"# fsfreeze -u {ORIGIN}; the writer goes on")
    time.sleep(2.5)
    run("sync", "-f", str(ORIGIN))
    copied, changed = digest(device, leave_out), digest(node, leave_out)
    say(f"  then, {node}:         {truth}")
    say(f"  now,  {device}:         {copied}")
    say(f"  now,  {node}:         {changed}")
    check(copied == truth, f"{device} is not what {node} was")
    check(changed != truth, f"{node} has not changed, so this proves nothing")
    run("e2fsck", "-fn", device)
    say(
        f"  {device} is {node} as it was, every byte of {SIZE_MIB} MiB that is in use (but hcp's own store); e2fsck is content: OK"
    )
    return device


def ending(devices: tuple[str, ...]) -> None:
    """The list, and both hot copies removed under load."""
    title("3. The list, and the end")
    show("hcp", "-l")
    for device in devices:
        show("hcp", "-r", device)
    show("hcp", "-l")
    check(not (ORIGIN / ".hotcopy").exists(), "the store was not given back")


def start_writer() -> subprocess.Popen[bytes]:
    """The writer as a process of its own, well under way."""
    PROGRESS.write_bytes(bytes(16))
    writer = subprocess.Popen([sys.executable, "-S", __file__, "--write", str(ORIGIN)])
    deadline = time.monotonic() + 20
    while Progress.read().finished < 100:
        check(writer.poll() is None and time.monotonic() < deadline, "the writer does not get going")
        time.sleep(0.05)
    return writer


def session(disk: str) -> str:
    """Everything, cleaned up afterwards. Returns the frozen time; WrongError."""
    title(f"Hot Copy on Linux {os.uname().release}")
    node = partition(disk)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-F", node)
    ORIGIN.mkdir(parents=True, exist_ok=True)
    run("mount", node, str(ORIGIN))
    writer: subprocess.Popen[bytes] | None = None
    try:
        writer = start_writer()
        show("df", "-h", str(ORIGIN))
        say(f"A writer is changing files in {ORIGIN}: random overwrites, appends, new files, deletions.")
        first, frozen = live(node)
        second = exact(node)
        ending((first, second))
        check(writer.poll() is None, "the writer has died")
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        moment_of(ORIGIN)
        say("  the origin's own files are sound: OK")
        return frozen
    finally:
        if writer is not None and writer.poll() is None:
            writer.kill()
            writer.wait()
        subprocess.run(["umount", str(ORIGIN)], stderr=subprocess.DEVNULL, check=False)


def main() -> int:
    """0 when every check held."""
    if sys.argv[1:2] == ["--write"]:
        write_for_ever(Path(sys.argv[2]))
    disk = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else DISK)
    begin = time.monotonic()
    try:
        frozen = session(disk)
    except (WrongError, OSError, subprocess.SubprocessError) as error:
        say()
        say(f"VERDICT: FAILED: {error}")
        return 1
    say()
    say(
        f"VERDICT: PASSED: both hot copies are exact; the file system was frozen for {frozen};"
        f" {time.monotonic() - begin:.0f} seconds in all."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
