# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages with the compiled driver, for servers without a compiler."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from hotcopy.attach import MODULE
from hotcopy.output import Output
from installer import payload
from installer.build import deb, rpm, template, workshop
from installer.build.facts import Facts
from installer.build.targets import RpmTarget
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.payload import PayloadFile

_TOOLS = {"make": "make", "gcc": "gcc", "strip": "binutils", "modinfo": "kmod"}


@dataclass(frozen=True)
class Signature:
    """The key that signs modules: private (PEM) and certificate (DER or PEM)."""

    key: Path
    certificate: Path


@dataclass(frozen=True)
class Kernel:
    """The kernel to build for: its release as uname -r says it, and its headers."""

    release: str
    headers: Path

    @classmethod
    def installed(cls, release: str) -> Kernel:
        """The headers that belong to it on this machine."""
        return cls(release, Path("/lib/modules") / release / "build")


def compile_driver(facts: Facts, kernel: Kernel, signature: Signature | None) -> bytes:
    """The module, without debugging information, signed where asked for. InstallError."""
    workshop.need(_TOOLS)
    if not (kernel.headers / "Makefile").exists():
        raise InstallError(
            f"the headers of kernel {kernel.release} are missing ({kernel.headers})",
            f"install them (on Debian: linux-headers-{kernel.release})",
            ExitCode.NO_HEADERS,
        )
    with workshop.scratch("module") as scratch:
        place = scratch / payload.SOURCE
        workshop.write(scratch, payload.driver())
        flags = f"KCFLAGS=-ffile-prefix-map={scratch}/="  # the module must not tell where it was built
        try:
            workshop.run(["make", f"-j{os.cpu_count() or 1}", "-C", place, f"KDIR={kernel.headers}", flags])
        except InstallError as error:
            raise InstallError(
                f"the driver does not compile for kernel {kernel.release}: {error.cause}", "", ExitCode.NOT_BUILT
            ) from error
        module = place / f"{MODULE}.ko"
        workshop.run(["strip", "--strip-debug", module])
        built_for = workshop.run(["modinfo", "-F", "vermagic", module]).split()[0]
        if built_for != kernel.release:
            raise InstallError(
                f"the headers in {kernel.headers} are of kernel {built_for}, not {kernel.release}",
                "give the headers of that kernel: --headers",
            )
        if signature is not None:
            program = kernel.headers / "scripts/sign-file"
            workshop.run([program, "sha256", signature.key, signature.certificate, module])
        return module.read_bytes()


def _place(release: str, *, merged: bool) -> str:
    # Where /lib is a link, packages must not use it; where it is none, modules are nowhere else.
    return f"{'usr/' if merged else ''}lib/modules/{release}/updates/hotcopy/{MODULE}.ko"


def build_deb(facts: Facts, kernel: Kernel, module: bytes, target: Path, out: Output) -> tuple[Path, ...]:
    """The package for Debian."""
    architecture = workshop.run(["dpkg", "--print-architecture"]).strip()
    values = {**deb.values(facts), "release": kernel.release, "architecture": architecture}
    files = [replace(file, path=f"debian/{file.path}") for file in template.directory("deb/modules", values)]
    path = _place(kernel.release, merged=Path("/lib").is_symlink())
    files.append(PayloadFile(f"tree/{path}", module))
    return deb.build_from(files, target, out, epoch=facts.epoch)


def build_rpm(
    facts: Facts, kernel: Kernel, module: bytes, target: RpmTarget, place: Path, out: Output
) -> tuple[Path, ...]:
    """The package for a distribution with RPM."""
    path = _place(kernel.release, merged=True)
    values = {**rpm.values(facts, target), "release": kernel.release, "module": f"/{path}"}
    text = template.file("rpm/hotcopy-modules.spec.j2", values)
    files = (rpm.licence(), PayloadFile(f"tree/{path}", module))
    source = rpm.archive("hotcopy-modules", files, facts.epoch)
    return rpm.build_from("hotcopy-modules", text, source, target, place, out, epoch=facts.epoch)
