# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof: a hot copy of a scratch device is taken, read and removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.journal import STATE
from installer.session import Session
from installer.steps.step import Step

_PATIENCE = 300.0
_MAKERS = (("mkfs.ext4", ("-q", "-F"), 64 << 20), ("mkfs.xfs", ("-q", "-f"), 320 << 20))
_BEFORE = b"as it was when the hot copy was taken\n" * 4096
_AFTER = b"what somebody wrote over it afterwards\n" * 4096


class VerifyHotCopy(Step):
    """All of it in the state directory, on a loop device; whatever fails, nothing of it stays."""

    key = "verify"
    title = "Take, read and remove a hot copy of a scratch device"

    @property
    def details(self) -> tuple[str, ...]:
        """What happens."""
        return (
            f"losetup and mount a new filesystem in /{STATE}/scratch.img",
            "hcp -m DIR LOOP; overwrite a file; compare it in the hot copy; hcp -r",
        )

    def run(self, session: Session) -> None:
        """Takes it. InstallError with the reason when it is not as it was."""
        scratch = _Scratch(session)
        scratch.clean()  # of a run that was killed
        try:
            scratch.build()
            scratch.prove()
        except InstallError as error:
            raise InstallError(f"the proof failed: {error.cause}", error.remedy, ExitCode.NOT_VERIFIED) from error
        except OSError as error:
            raise InstallError(
                f"the proof failed: {error}", f"see {session.runner.log.path}", ExitCode.NOT_VERIFIED
            ) from error
        finally:
            scratch.clean()
        session.journal.note("verified", release=session.context.system.kernel.release)

    def clean(self, session: Session) -> None:
        """Takes away what a run that was killed left."""
        _Scratch(session).clean()


class _Scratch:
    """A loop device with a filesystem, and its hot copy."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._must = session.runner.must
        self._run = session.runner.run
        directory = session.journal.directory
        self._image = directory / "scratch.img"
        self._origin = directory / "scratch"
        self._copy = directory / "scratch-hot-copy"
        self._loop = ""

    def build(self) -> None:
        """A filesystem with one file, mounted."""
        programs = self._session.context.system.tools.programs
        found = next((row for row in _MAKERS if row[0] in programs), None)
        if found is None:
            raise InstallError("there is neither mkfs.ext4 nor mkfs.xfs", "install e2fsprogs, and run this again")
        program, options, size = found
        with self._image.open("wb") as file:
            file.truncate(size)
        self._run("modprobe", "loop", timeout=_PATIENCE)  # not needed where it is built in, or /dev has it already
        self._must(program, *options, str(self._image), timeout=_PATIENCE)
        self._loop = self._must("losetup", "--find", "--show", str(self._image), timeout=_PATIENCE).strip()
        self._origin.mkdir(exist_ok=True)
        self._copy.mkdir(exist_ok=True)
        self._must("mount", self._loop, str(self._origin), timeout=_PATIENCE)
        _write(self._origin / "proof", _BEFORE)

    def prove(self) -> None:
        """Its hot copy keeps what is overwritten."""
        self._must("hcp", "-m", str(self._copy), self._loop, timeout=_PATIENCE)
        _write(self._origin / "proof", _AFTER)
        if (self._copy / "proof").read_bytes() != _BEFORE:
            raise InstallError(
                "the hot copy does not show its device as it was", "hotcopy-install report prints what to send us"
            )
        if (self._origin / "proof").read_bytes() != _AFTER:
            raise InstallError(
                "the device does not show what was written to it", "hotcopy-install report prints what to send us"
            )
        self._must("hcp", "-r", str(self._copy), timeout=_PATIENCE)

    def clean(self) -> None:
        """Takes everything away, whatever there is of it."""
        if not self._image.exists():
            return
        loops = [
            line.partition(":")[0]
            for line in self._run("losetup", "-j", str(self._image), timeout=_PATIENCE).said.splitlines()
        ]
        for loop in loops:
            for copy in self._hot_copies(loop):
                self._run("hcp", "-r", copy, timeout=_PATIENCE)
        for place in (self._copy, self._origin):
            if os.path.ismount(place):
                self._run("umount", str(place), timeout=_PATIENCE)
        for loop in loops:
            self._run("losetup", "-d", loop, timeout=_PATIENCE)
        for place in (self._copy, self._origin):
            if place.exists():
                place.rmdir()
        self._image.unlink()

    def _hot_copies(self, origin: str) -> list[str]:
        done = self._run("hcp", "-l", "--json", timeout=_PATIENCE)
        try:
            listed = json.loads(done.said)["hot_copies"]
        except (ValueError, KeyError):
            return []  # no driver, no hot copies
        return [copy["device"] for copy in listed if copy["origin"] == origin]


def _write(path: Path, data: bytes) -> None:
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
