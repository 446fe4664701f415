# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes away exactly what the journal says was installed; a run that was killed is run again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hotcopy.attach import MODULE
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.journal import STATE
from installer.payload import SOURCE, UNIT_PLACE, UNITS
from installer.session import Session
from installer.steps import dkms, place
from installer.steps.dkms import NAME
from installer.steps.packages import SettlePackages, call, installed, is_broken
from installer.steps.step import Step
from installer.steps.verify import VerifyHotCopy

_PATIENCE = 600.0


class Unload(Step):
    """The driver out of the kernel, if it is ours."""

    key = "unload"
    title = "Unload the driver"

    @property
    def details(self) -> tuple[str, ...]:
        """The command."""
        return (f"modprobe -r {MODULE}",)

    def run(self, session: Session) -> None:
        """Refuses nothing any more: hot copies were asked about before."""
        VerifyHotCopy().clean(session)
        if not (session.root / "sys/module" / MODULE).exists():
            return
        done = session.runner.run("modprobe", "-r", MODULE, timeout=_PATIENCE)
        if done.status != 0:
            raise InstallError(f"the driver does not unload: {done.last}", "hcp -l shows what uses it", ExitCode.IN_USE)


class DisableServices(Step):
    """The units, before their files go."""

    key = "disable"
    title = "Disable the units"

    def __init__(self, units: tuple[str, ...]) -> None:
        self.units = units

    @property
    def details(self) -> tuple[str, ...]:
        """The command."""
        return (f"systemctl disable --now {' '.join(self.units)}",)

    def run(self, session: Session) -> None:
        """Those that are there still."""
        left = [unit for unit in self.units if (session.root / UNIT_PLACE / unit).exists()]
        if left:
            session.runner.must("systemctl", "disable", "--now", *left, timeout=_PATIENCE)


class ForgetDriver(Step):
    """What DKMS built, for every kernel."""

    key = "dkms"
    title = "Remove the driver from DKMS"

    def __init__(self, versions: tuple[str, ...]) -> None:
        self.versions = versions

    @property
    def details(self) -> tuple[str, ...]:
        """The commands."""
        return tuple(f"dkms remove -m {NAME} -v {version} --all" for version in self.versions)

    def run(self, session: Session) -> None:
        """Those that DKMS knows."""
        for version in self.versions:
            dkms.forget(session, version)


class RemoveFiles(Step):
    """The files, then the directories that were made for them and are empty."""

    key = "remove-files"
    title = "Remove files"

    def __init__(self, files: tuple[str, ...], directories: tuple[str, ...], releases: tuple[str, ...]) -> None:
        self.files = files
        self.directories = directories
        self.releases = releases

    @property
    def details(self) -> tuple[str, ...]:
        """Every one."""
        return tuple(f"remove /{path}" for path in (*self.files, *self.directories))

    def run(self, session: Session) -> None:
        """Removes them, and what their loss means is told to depmod, udev and systemd."""
        for path in self.files:
            place.remove(session.root, path)
        # What a build left in the source belongs to it.
        shutil.rmtree(session.root / SOURCE, ignore_errors=True)
        for path in reversed(self.directories):
            for leftover in (session.root / path).glob("__pycache__"):
                shutil.rmtree(leftover, ignore_errors=True)
            with contextlib.suppress(OSError):  # somebody else's files are in there
                (session.root / path).rmdir()
        for release in self.releases:
            session.runner.run("depmod", release, timeout=_PATIENCE)
        session.runner.run("udevadm", "control", "--reload", timeout=_PATIENCE)
        if session.context.system.init == "systemd":
            session.runner.run("systemctl", "daemon-reload", timeout=_PATIENCE)


def _compiled(root: Path) -> Iterator[tuple[Path, Path]]:
    """Compiled modules that Python made of packages' own, each with its source."""
    for path in (root / "usr/lib/python3/dist-packages/__pycache__").glob("*.pyc"):
        source = path.parents[1] / f"{path.name.split('.', 1)[0]}.py"
        if source.exists():
            yield path, source


def _remove_orphans(compiled: tuple[tuple[Path, Path], ...]) -> None:
    """Those whose source went with its package: Debian 11's lsb-release, which came with DKMS, leaves one."""
    for path, source in compiled:
        if not source.exists():
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others are in there
                path.parent.rmdir()


class RemovePackages(Step):
    """Exactly those that were not there before."""

    key = "remove-packages"
    title = "Remove packages that were installed for Hot Copy"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    @property
    def details(self) -> tuple[str, ...]:
        """All that are known now."""
        return (" ".join(self.names),)

    def run(self, session: Session) -> None:
        """Those that are there still."""
        packager = session.context.packager
        if packager is None:
            return
        names = session.journal.listed("packages", "names")
        left = tuple(sorted(set(names) & installed(session, packager)))
        if left:
            compiled = tuple(_compiled(session.root))
            packages, others = packager.distrust(left)
            for command in (*((packager.remove(packages),) if packages else ()), *others):
                call(session, packager, command, left)
            _remove_orphans(compiled)


def steps(session: Session) -> tuple[Step, ...]:
    """What there is to take away; nothing when nothing was installed."""
    journal = session.journal
    if not journal.entries and not is_broken(journal):
        return ()
    units, versions = journal.texts("unit", "name"), journal.texts("dkms", "version")
    files = tuple(path for path in journal.texts("file", "path") if not path.startswith(STATE))
    # Also when others have enabled them (systemd does, by its presets, at a first boot): no link is left to a unit that is gone.
    units += tuple(name for name in UNITS if name not in units and f"{UNIT_PLACE}/{name}" in files)
    names = journal.listed("packages", "names")
    found: list[Step] = [DisableServices(units)] if units else []
    found.append(Unload())
    if versions:
        found.append(ForgetDriver(versions))
    if files:
        found.append(RemoveFiles(files, journal.texts("directory", "path"), journal.texts("depmod", "release")))
    packager = session.context.packager
    pending = packager if is_broken(journal) else None
    if pending:
        found.insert(0, SettlePackages(pending))
    if names or pending:
        found.append(RemovePackages(names))
    return tuple(found)


def forget(session: Session) -> None:
    """The journal and all else in its directory, last."""
    shutil.rmtree(session.journal.directory, ignore_errors=True)
    session.journal.entries.clear()
