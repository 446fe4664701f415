# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver: built for the running kernel, signed where that is asked for, and loaded."""

from __future__ import annotations

from pathlib import Path

from hotcopy import __version__, setup
from hotcopy.attach import MODULE
from hotcopy.errors import HcpError
from hotcopy.output import Output
from installer import stopping
from installer.detect import headers, installed
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.session import Session
from installer.steps import dkms, signing
from installer.steps.step import Step

_PATIENCE = 600.0
# DKMS signs with them, and leaves them when its package goes.
_MADE_BY_DKMS = ("var/lib/dkms/mok.key", "var/lib/dkms/mok.pub")


class _Host(setup.Host):
    """Its driver's source is of the version that is installed, which packages may have from elsewhere."""

    def installed_source(self) -> Path | None:
        """Also where a package has it of another version than this installer's."""
        path = self.root / "usr/src" / f"hotcopy-{installed.detect(self.root, self.release).driver_version}"
        return path if (path / "Makefile").exists() else super().installed_source()


class _Lines(Output):
    """What hcp-setup says goes where everything goes."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def line(self, text: str = "") -> None:
        """Says it, indented."""
        self._session.progress.line(f"    {text}")


class BuildDriver(Step):
    """What hcp-setup --get-module does, so that both are the same."""

    key = "driver"

    def __init__(self, release: str, digest: str, *, rebuild: bool, signed: bool, with_dkms: bool) -> None:
        self.release = release
        self.digest = digest
        self.rebuild = rebuild
        self.signed = signed
        self.with_dkms = with_dkms
        what = "Build the driver (some minutes on a slow machine) and load it" if rebuild else "Load the driver"
        self.title = f"{what}, for kernel {release}"

    @property
    def details(self) -> tuple[str, ...]:
        """The command, and what follows where signatures are asked for."""
        how = "with DKMS (or make, where there is no DKMS)" if self.with_dkms else "with make, for this kernel only"
        build = (f"hcp-setup --get-module --no-binary  # builds {MODULE} {how}",) if self.rebuild else ()
        sign = ("sign it with a key of this machine, and stage the key (mokutil --import)",) if self.signed else ()
        return (*build, *sign, f"modprobe {MODULE}")

    def run(self, session: Session) -> None:
        """Builds and loads; what fails is told apart by what is there afterwards."""
        found = installed.detect(session.root, self.release)  # a step before this one may have installed packages
        host = _Host(session.root, self.release, None)
        if host.is_loaded and found.loaded_version != found.driver_version:
            self._unload(session)
        if self.rebuild:
            # It would install again what it built from an older source of this version.
            dkms.forget(session, __version__)
            self._announce(session, host)
        before = _stamp(host.installed())
        try:
            setup.get_module(host, setup.Wanted(no_binary=self.rebuild), _Lines(session))
        except HcpError as error:
            stopping.check()  # Ctrl-C reaches the compiler as well
            module = host.installed()
            if module is None or (self.rebuild and _stamp(module) == before):
                raise self._not_built(session, error) from error
            self._note(session)
            self._load_signed(session, module, error)
        self._note(session)

    def _note(self, session: Session) -> None:
        session.journal.note("built", release=self.release, digest=self.digest)

    def _unload(self, session: Session) -> None:
        done = session.runner.run("modprobe", "-r", MODULE, timeout=_PATIENCE)
        if done.status != 0:
            raise InstallError(
                f"another version of the driver is loaded and in use ({done.last})",
                "hcp --remove --all, then run this again; or reboot",
                ExitCode.IN_USE,
            )

    def _announce(self, session: Session, host: setup.Host) -> None:
        updates = host.modules / "updates"
        for directory in (updates, updates / "dkms"):
            if not directory.exists():
                session.journal.note("directory", path=str(directory.relative_to(session.root)))
        for key in _MADE_BY_DKMS:
            if not (session.root / key).exists():
                session.journal.note("file", path=key, sha256="")
        session.journal.note("dkms", version=__version__)
        session.journal.note("file", path=str((updates / f"{MODULE}.ko").relative_to(session.root)), sha256="")
        session.journal.note("depmod", release=self.release)

    def _not_built(self, session: Session, error: HcpError) -> InstallError:
        present = headers.detect(session.root, self.release).present
        return InstallError(error.cause, error.remedy, ExitCode.NOT_BUILT if present else ExitCode.NO_HEADERS)

    def _load_signed(self, session: Session, module: Path, error: HcpError) -> None:
        """Loads what was built but does not load, when all that is missing is a signature; InstallError otherwise."""
        if not self.signed:
            raise InstallError(error.cause, error.remedy, ExitCode.NOT_LOADED) from error
        signing.sign_and_stage(session, module, self.release)
        done = session.runner.run("modprobe", MODULE, timeout=_PATIENCE)
        if done.status != 0:
            raise InstallError(
                f"the driver is signed by an enrolled key, but does not load: {done.last}",
                "look into the kernel log (dmesg)",
                ExitCode.NOT_LOADED,
            )


def _stamp(module: Path | None) -> tuple[int, int] | None:
    """What tells a module that was built just now from one that was there before."""
    if module is None:
        return None
    status = module.stat()
    return status.st_ino, status.st_mtime_ns
