# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot: signing the module with a key of this machine, and asking the firmware to enrol that key.

Nothing here weakens anything: enrolling takes somebody at the console who knows the password that is printed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.payload import PayloadFile
from installer.session import Session
from installer.steps import place

_PATIENCE = 120.0
_DAYS = "36500"
# Where distributions' DKMS keeps the machine's key: Ubuntu, then everybody else.
_KEYS = (
    ("var/lib/shim-signed/mok/MOK.priv", "var/lib/shim-signed/mok/MOK.der"),
    ("var/lib/dkms/mok.key", "var/lib/dkms/mok.pub"),
)
_OWN = ("var/lib/hotcopy-install/mok.key", "var/lib/hotcopy-install/mok.der")


@dataclass(frozen=True)
class MachineKey:
    """A key pair: the private key in PEM, the certificate in DER."""

    private: Path
    certificate: Path


def _find(root: Path) -> MachineKey | None:
    for private, certificate in (*_KEYS, _OWN):
        if (root / private).exists() and (root / certificate).exists():
            return MachineKey(root / private, root / certificate)
    return None


def _make(session: Session) -> MachineKey:
    key = MachineKey(*(session.root / path for path in _OWN))
    for path in _OWN:
        session.journal.note("file", path=path, sha256="")
    session.runner.must(
        "openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", _DAYS,
        "-subj", "/CN=Hot Copy module signing key of this machine/", "-addext", "extendedKeyUsage=codeSigning",
        "-outform", "DER", "-keyout", str(key.private), "-out", str(key.certificate),
        timeout=_PATIENCE,
    )  # fmt: skip
    key.private.chmod(0o600)
    return key


def _sign(session: Session, module: Path, release: str, key: MachineKey) -> None:
    if session.runner.run("modinfo", "-F", "signer", str(module), timeout=_PATIENCE).said.strip():
        return  # DKMS did
    if module.suffix != ".ko":
        raise InstallError(
            f"{module} is compressed and not signed", "set sign_file in /etc/dkms/framework.conf, run this again"
        )
    tool = files.inside(session.root, f"lib/modules/{release}/build/scripts/sign-file")
    session.runner.must(str(tool), "sha256", str(key.private), str(key.certificate), str(module), timeout=_PATIENCE)


def _is_enrolled(session: Session, key: MachineKey) -> bool:
    """Whether the firmware has it. InstallError when it never will, or only after a reboot that was asked for before."""
    # In the words of mokutil(1): its exit status only tells whether --import would do anything.
    said = session.runner.run("mokutil", "--test-key", str(key.certificate), timeout=_PATIENCE).said
    if "in the enrollment request" in said:
        raise InstallError(
            f"the driver is built and signed, but its key ({key.certificate}) still waits to be enrolled",
            f"reboot, choose Enroll MOK at the console with the password that {session.runner.log.path} has, then run this"
            " again; mokutil --revoke-import takes the request back",
            ExitCode.REBOOT,
        )
    if "blocked" in said:
        raise InstallError(
            f"the firmware blocks the key that signs the driver ({key.certificate})",
            "take it out of the firmware's list of forbidden keys, or make another: delete it, and run this again",
            ExitCode.NOT_LOADED,
        )
    return "already enrolled" in said or "is already in" in said


def _stage(session: Session, key: MachineKey) -> None:
    """Asks for the enrolment at the next boot. Always raises: only a reboot goes on from here."""
    password = f"{secrets.randbelow(10**8):08}"
    hashed = session.runner.must("mokutil", f"--generate-hash={password}", timeout=_PATIENCE)
    file = session.journal.directory / "mok.hash"
    place.put(session.root, PayloadFile(str(file.relative_to(session.root)), hashed.encode(), 0o600), session.journal)
    try:
        session.runner.must("mokutil", "--import", str(key.certificate), "--hash-file", str(file), timeout=_PATIENCE)
    finally:
        file.unlink(missing_ok=True)
    session.journal.note("enrolment", certificate=str(key.certificate))
    session.progress.line(
        f"    The key {key.certificate} waits to be enrolled. At the console, after a reboot, choose:"
    )
    session.progress.line(f"    Enroll MOK, Continue, Yes, and give the password {password}; then run this again.")
    raise InstallError(
        f"the driver is built and signed, but its key ({key.certificate}) is not enrolled yet",
        f"reboot, choose Enroll MOK at the console with the password {password}, then run this again",
        ExitCode.REBOOT,
    )


def sign_and_stage(session: Session, module: Path, release: str) -> None:
    """Signs the module; returns when its key is enrolled, so that it loads. InstallError(REBOOT) otherwise."""
    key = _find(session.root) or _make(session)
    _sign(session, module, release, key)
    if not _is_enrolled(session, key):
        _stage(session, key)
