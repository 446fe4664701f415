# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp-setup --get-module``: the driver, built here for the running kernel, and loaded. Nothing leaves the machine."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from hotcopy import __version__, checks, output
from hotcopy.attach import MODULE
from hotcopy.errors import HcpError, UsageError
from hotcopy.headers import install_command, os_release
from hotcopy.output import Output, Silent
from hotcopy.run import Done, run, search_path

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUILD_PATIENCE = 1800.0  # seconds
_LOAD_PATIENCE = 120.0
_PLACES = ("updates", "extra", "weak-updates")  # below /lib/modules/RELEASE, where modules from elsewhere are
_NAMES = ("hotcopy", MODULE)  # of a source below /usr/src, before its version
_DKMS_NO_HEADERS = 21
_UNSIGNED = ("Key was rejected", "Required key not available")


class Host(NamedTuple):
    """The machine to set up: its root directory (tests give another than /), its kernel, and a checkout's source."""

    root: Path
    release: str
    checkout: Path | None

    @property
    def modules(self) -> Path:
        """What depmod calls the module directory."""
        return self.root / "lib/modules" / self.release

    @property
    def build(self) -> Path:
        """The kernel's headers."""
        return self.modules / "build"

    @property
    def is_loaded(self) -> bool:
        """Whether the driver is in the kernel."""
        return (self.root / "sys/module" / MODULE).exists()

    def installed(self) -> Path | None:
        """The module file for this kernel, if there is one."""
        for place in _PLACES:
            for path in sorted((self.modules / place).rglob(f"{MODULE}.ko*")):
                return path
        return None

    def installed_source(self) -> Path | None:
        """The driver's source as a package installs it, of this version."""
        for name in _NAMES:
            path = self.root / "usr/src" / f"{name}-{__version__}"
            if (path / "Makefile").exists():
                return path
        return None


class Wanted(NamedTuple):
    """What the command line asked for."""

    silent: bool = False
    no_binary: bool = False


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors of our own form."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, "hcp-setup --help shows what there is")


def parser() -> argparse.ArgumentParser:
    """The grammar."""
    grammar = _Parser(
        prog="hcp-setup",
        usage="hcp-setup --get-module [--silent] [--no-binary]",
        description="Builds the driver of Hot Copy for the running kernel on this machine, and loads it.",
        epilog="Exit status: 0 the driver is loaded, 1 it is not, 2 wrong usage.",
        add_help=False,
    )
    add = grammar.add_argument
    add("--get-module", action="store_true", help="build, install and load the driver, unless it is there")
    add("--silent", action="store_true", help="print errors only")
    add("--no-binary", action="store_true", help="build it even where a compiled one is installed")
    add("-h", "--help", action="store_true", help="print this help")
    return grammar


def _has(program: str) -> bool:
    return shutil.which(program, path=search_path()) is not None


def _tail(done: Done) -> str:
    lines = f"{done.out}\n{done.err}".strip().splitlines()
    return " | ".join(line.strip() for line in lines[-3:]) or done.message


def _load(host: Host) -> None:
    """Loads the installed module. HcpError."""
    done = run("modprobe", MODULE, timeout=_LOAD_PATIENCE)
    if done.status == 0 and host.is_loaded:
        return
    why = done.message if done.status else "modprobe said nothing"
    remedy = "look into the kernel log (dmesg)"
    if any(text in why for text in _UNSIGNED):
        remedy = "Secure Boot wants it signed by a key that is enrolled (mokutil --import), or be switched off"
    raise HcpError(f"the driver is installed for kernel {host.release}, but does not load: {why}", remedy)


def _no_headers(host: Host) -> HcpError:
    return HcpError(
        f"the headers of kernel {host.release} are missing ({host.build})",
        install_command(os_release(host.root), host.release),
    )


def _with_dkms(host: Host, source: Path, out: Output) -> None:
    """Builds and installs it the way that survives the next kernel. HcpError."""
    name, version = source.name.rsplit("-", 1)
    out.line(f"Building {MODULE} {version} for kernel {host.release} with DKMS.")
    words = ("-m", name, "-v", version, "-k", host.release)
    done = run("dkms", "install", "--force", *words, timeout=_BUILD_PATIENCE)
    if done.status == _DKMS_NO_HEADERS:
        raise _no_headers(host)
    if done.status != 0:
        log = host.root / "var/lib/dkms" / name / version / "build/make.log"
        raise HcpError(f"DKMS could not build the driver (exit status {done.status}): {_tail(done)}", f"see {log}")


def _install(host: Host, module: Path) -> None:
    """Puts the module where modprobe finds it; never half a file."""
    directory = host.modules / "updates"
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f".{MODULE}.ko.new"
    shutil.copyfile(module, new)
    new.chmod(0o644)
    new.replace(directory / f"{MODULE}.ko")
    done = run("depmod", "-b", str(host.root), host.release, timeout=_LOAD_PATIENCE)
    if done.status != 0:
        raise HcpError(f"depmod failed: {done.message}", f"depmod -a {host.release}")


def _with_make(host: Host, source: Path, out: Output) -> None:
    """Builds it in a copy of the source, which stays as it is, and installs it for this kernel only. HcpError."""
    for program in ("make", "gcc"):
        if not _has(program):
            raise HcpError(f"the program {program} is missing, so the driver cannot be built", f"install {program}")
    if not (host.build / "Makefile").exists():
        raise _no_headers(host)
    out.line(f"Building {MODULE} from {source} for kernel {host.release}.")
    with tempfile.TemporaryDirectory(prefix="hcp-setup-") as scratch:
        copy = Path(scratch) / MODULE
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod", ".*.cmd", "config.h"))
        done = run("make", "-C", str(copy), f"KDIR={host.build}", timeout=_BUILD_PATIENCE)
        module = copy / f"{MODULE}.ko"
        if done.status != 0 or not module.exists():
            raise HcpError(f"the driver does not compile: {_tail(done)}", f"make -C {source} shows all of it")
        _install(host, module)


def _build(host: Host, out: Output) -> None:
    installed = host.installed_source()
    if installed is not None and (installed / "dkms.conf").exists() and _has("dkms"):
        _with_dkms(host, installed, out)
        return
    source = installed or host.checkout
    if source is None:
        where = f"{host.root / 'usr/src'}/{_NAMES[0]}-{__version__}"
        raise HcpError(
            f"the driver's source is not here ({where})", f"install the driver's package of hcp {__version__}"
        )
    _with_make(host, source, out)


def get_module(host: Host, wanted: Wanted, out: Output) -> None:
    """Sees to it that the driver is loaded. HcpError says exactly what is missing."""
    if host.is_loaded:
        out.line(f"The driver {MODULE} is loaded already.")
        return
    found = None if wanted.no_binary else host.installed()
    if found is not None:
        out.line(f"The driver {MODULE} is installed already: {found}.")
    else:
        _build(host, out)
    _load(host)
    out.line(f"The driver {MODULE} is loaded for kernel {host.release}.")


def this_host() -> Host:
    """The machine this runs on."""
    checkout = Path(__file__).resolve().parents[1] / "kmod"
    return Host(Path("/"), os.uname().release, checkout if (checkout / "Makefile").exists() else None)


def main(argv: Sequence[str] | None = None, host: Host | None = None) -> int:
    """Runs hcp-setup and returns its exit status; never raises for users."""
    output.secure_descriptors()
    out = Output()
    try:
        given = parser().parse_args(list(sys.argv[1:] if argv is None else argv))
        if given.help:
            out.line(parser().format_help().rstrip("\n"))
            return 0
        if not given.get_module:
            raise UsageError("nothing to do", "hcp-setup --get-module")
        checks.need_root()
        wanted = Wanted(silent=given.silent, no_binary=given.no_binary)
        get_module(host or this_host(), wanted, Silent() if wanted.silent else out)
    except HcpError as error:
        output.complain(f"hcp-setup: error: {error}")
        return error.exit_status
    except OSError as error:
        output.complain(f"hcp-setup: error: {error}; this is unexpected, please report it")
        return 1
    except KeyboardInterrupt:
        output.complain("hcp-setup: error: stopped by SIGINT")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
