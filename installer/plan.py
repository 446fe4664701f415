# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of steps that --dry-run shows, plan --json prints, and an installation runs."""

from __future__ import annotations

from dataclasses import dataclass

from hotcopy import __version__
from installer import payload
from installer.build.targets import target_of
from installer.context import Context
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.base import Packager, Repository
from installer.journal import Journal
from installer.options import Options
from installer.payload import PayloadFile
from installer.steps import local, place
from installer.steps.driver import BuildDriver
from installer.steps.files import PlaceFiles
from installer.steps.packages import InstallPackages, is_broken
from installer.steps.repository import AddRepository
from installer.steps.services import EnableServices
from installer.steps.step import Step
from installer.steps.verify import VerifyHotCopy

_ARMOUR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_BINARY_KEYS = (b"\x98", b"\x99", b"\xc6")  # how the packet of a public key begins


@dataclass(frozen=True)
class Plan:
    """What is to be done; nothing, when all is done already."""

    source: str
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, object]:
        """For programs."""
        steps = [{"key": step.key, "title": step.title, "details": list(step.details)} for step in self.steps]
        return {"source": self.source, "steps": steps}


def _packages(context: Context, packager: Packager, journal: Journal) -> list[Step]:
    system = context.system
    tools = system.tools
    wanted: list[str] = []
    if not system.headers.present:
        wanted += packager.headers(system.kernel)
    if not {tools.kernel_compiler, "make"} <= tools.programs:
        wanted += packager.compiler(tools.kernel_compiler)
    if not tools.python:
        wanted += packager.python()
    for row in context.matrix.requirements.commands:
        if row.command not in tools.programs and context.family is not None:
            wanted.append(row.packages.get(context.family, row.package))
    if system.secure_boot.wants_signature:
        wanted += [name for name in ("mokutil", "openssl") if name not in tools.programs]
    optional = () if "dkms" in tools.programs else packager.dkms()
    pending = is_broken(journal)
    if not wanted and not pending:
        return []
    return [InstallPackages(packager, tuple(dict.fromkeys(wanted)), optional, pending=pending)]


def _driver(context: Context, journal: Journal, digest: str, *, from_packages: bool) -> list[Step]:
    system = context.system
    release = system.kernel.release
    built = any(
        entry.get("kind") == "built" and entry.get("release") == release and entry.get("digest") == digest
        for entry in journal.entries
    )
    rebuild = not from_packages and not (built and system.installed.module_file)
    if not rebuild and system.installed.loaded_version == system.installed.driver_version:
        return []
    with_dkms = "dkms" in system.tools.programs or bool(context.packager and context.packager.dkms())
    return [
        BuildDriver(release, digest, rebuild=rebuild, signed=system.secure_boot.wants_signature, with_dkms=with_dkms)
    ]


def _stale(journal: Journal, wanted: tuple[PayloadFile, ...], context: Context) -> tuple[str, ...]:
    """Files of ours that this version has no more."""
    ours = {file.path for file in wanted}
    kept = (f"{payload.LIBRARY}/", "usr/src/hotcopy-")
    return tuple(
        path
        for path in journal.texts("file", "path")
        if path.startswith(kept) and path not in ours and (context.system.root / path).exists()
    )


def _own_files(context: Context, journal: Journal, python: str) -> list[Step]:
    wanted = payload.everything(python)
    root = context.system.root
    changed = tuple(file for file in wanted if not place.is_in_place(root, file))
    _refuse_foreign(tuple(f"/{file.path}" for file in changed if (root / file.path).exists()), journal)
    stale = _stale(journal, wanted, context)
    return [PlaceFiles(wanted, changed, stale)] if changed or stale else []


def _refuse_foreign(paths: tuple[str, ...], journal: Journal) -> None:
    """InstallError for files that somebody else put where ours go: theirs are not overwritten."""
    ours = {f"/{path}" for path in journal.texts("file", "path")}
    foreign = [path for path in paths if path not in ours]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise InstallError(
            f"{foreign[0]}{more} is there already, and not from this installer",
            "where a package brought it, use the package manager (dpkg -S or rpm -qf tell which); else move it away",
            ExitCode.REFUSED,
        )


def _has_own_files(journal: Journal) -> bool:
    """Whether this installer has placed hcp."""
    return any(path.startswith(f"{payload.LIBRARY}/") for path in journal.texts("file", "path"))


def _refuse_own_files(journal: Journal) -> None:
    """InstallError where the packages would go over files of this installer, which an uninstall would then take from them."""
    if _has_own_files(journal):
        raise InstallError(
            "Hot Copy is installed here already, from the sources that the installer carries",
            "hotcopy-install uninstall, then install the packages",
            ExitCode.REFUSED,
        )


def _from_repository(context: Context, packager: Packager, options: Options) -> list[Step]:
    if options.repository_key is None:
        raise InstallError("--repo needs the key that signs the repository", "--repo-key FILE", ExitCode.USAGE)
    try:
        key = options.repository_key.read_bytes()
    except OSError as error:
        raise InstallError(f"{options.repository_key}: {error.strerror}", "--repo-key FILE", ExitCode.USAGE) from error
    armoured = key.startswith(_ARMOUR)
    if not armoured and (packager.suffix == ".rpm" or key[:1] not in _BINARY_KEYS):
        remedy = "gpg --armor --export KEY >FILE, or the repository's own hotcopy.asc"
        raise InstallError(f"{options.repository_key} is no armoured public key of OpenPGP", remedy, ExitCode.USAGE)
    target = target_of(context.row) if context.row else None
    if packager.suffix == ".rpm" and target is None:
        raise InstallError(
            f"there are no packages for {context.system.distro.title}",
            "install from the sources that the installer carries: leave --repo out",
            ExitCode.REFUSED,
        )
    repository = Repository((options.repository or "").rstrip("/"), target.key if target else "")
    return [AddRepository(packager, repository, key, armoured=armoured)]


def _is_done(context: Context, journal: Journal, source: str) -> bool:
    """Whether packages from there were installed, and are there still."""
    return source in journal.texts("complete", "source") and bool(context.system.installed.command)


def build(context: Context, journal: Journal, options: Options) -> Plan:
    """What is missing on this machine. InstallError when it cannot be had."""
    packager = context.packager
    if packager is None:
        raise InstallError(
            f"{context.system.distro.title} is of no known family", "hotcopy-install report", ExitCode.REFUSED
        )
    python = context.system.tools.python or packager.python_path
    from_packages = bool(options.repository or options.directory)
    steps: list[Step] = []
    if from_packages:
        _refuse_own_files(journal)
    if options.directory:
        target = target_of(context.row) if context.row else None
        release = context.system.kernel.release
        files = local.packages_in(options.directory, packager, release, target.key if target else "")
        source = f"packages: {' '.join(files)}"
        if not _is_done(context, journal, source):
            steps.append(local.InstallLocal(packager, files, pending=is_broken(journal)))
    elif options.repository:
        source = f"the repository {options.repository}"
        if not _is_done(context, journal, source):
            steps += [*_packages(context, packager, journal), *_from_repository(context, packager, options)]
    elif context.system.installed.packaged and not _has_own_files(journal):
        from_packages = True  # whoever installed them: their files are not overwritten
        source = "the packages of Hot Copy that are installed"
    else:
        source = f"the sources of Hot Copy {__version__} that this installer carries"
        steps += [*_packages(context, packager, journal), *_own_files(context, journal, python)]
    digest = payload.digest(payload.driver())
    steps += _driver(context, journal, digest, from_packages=from_packages)
    systemd = context.system.init == "systemd"
    has_files = any(isinstance(step, PlaceFiles) for step in steps)
    if not from_packages and (has_files or (systemd and not context.system.installed.units_enabled)):
        steps.append(EnableServices(with_systemd=systemd))
    verified = context.system.kernel.release in journal.texts("verified", "release")
    if steps or not verified:
        steps.append(VerifyHotCopy())
    return Plan(source, tuple(steps))
