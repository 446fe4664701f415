# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver: built for the running kernel, signed where that is asked for, and loaded."""

from __future__ import annotations

from pathlib import Path

from hotcopy import __version__, setup
from hotcopy.attach import MODULE
from hotcopy.errors import HcpError
from hotcopy.output import Output
from installer.detect import headers
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.session import Session
from installer.steps import signing
from installer.steps.step import Step

NAME = "hotcopy"  # in DKMS
_PATIENCE = 600.0
# DKMS signs with them, and leaves them when its package goes.
_MADE_BY_DKMS = ("var/lib/dkms/mok.key", "var/lib/dkms/mok.pub")


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
        host = setup.Host(session.root, self.release, None)
        if host.is_loaded and session.context.system.installed.loaded_version != __version__:
            self._unload(session)
        if self.rebuild:
            self._forget_build(session)
            self._announce(session, host)
        try:
            setup.get_module(host, setup.Wanted(no_binary=self.rebuild), _Lines(session))
        except HcpError as error:
            self._built_all_the_same(session, host, error)
        session.journal.note("built", release=self.release, digest=self.digest)

    def _unload(self, session: Session) -> None:
        done = session.runner.run("modprobe", "-r", MODULE, timeout=_PATIENCE)
        if done.status != 0:
            raise InstallError(
                f"another version of the driver is loaded and in use ({done.last})",
                "hcp --remove --all, then run this again; or reboot",
                ExitCode.IN_USE,
            )

    def _forget_build(self, session: Session) -> None:
        # DKMS would install again what it built from an older source of the same version.
        if (session.root / f"var/lib/dkms/{NAME}/{__version__}").exists():
            session.runner.run("dkms", "remove", "-m", NAME, "-v", __version__, "--all", timeout=_PATIENCE)

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

    def _built_all_the_same(self, session: Session, host: setup.Host, error: HcpError) -> None:
        """Goes on when all that was missing is a signature; InstallError otherwise."""
        module = host.installed()
        if module is not None and self.signed:
            signing.sign_and_stage(session, Path(module), host.build)
            done = session.runner.run("modprobe", MODULE, timeout=_PATIENCE)
            if done.status == 0:
                return
            error = HcpError(
                f"the driver is signed, but does not load: {done.last}", "look into the kernel log (dmesg)"
            )
        code = ExitCode.NOT_LOADED
        if not headers.detect(session.root, self.release).present:
            code = ExitCode.NO_HEADERS
        elif module is None:
            code = ExitCode.NOT_BUILT
        raise InstallError(error.cause, error.remedy, code) from error
