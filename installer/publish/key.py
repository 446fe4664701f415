# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that signs repositories, in the keyring of gpg (GNUPGHOME)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from installer.build.workshop import run
from installer.errors import InstallError

_RSA = "1"
_LEAST_BITS = 3072
_USABLE = ("", "-", "u", "f", "m", "o", "q")  # gpg's validity: neither expired, revoked nor disabled


@dataclass(frozen=True)
class SigningKey:
    """A secret key, and its public part as clients get it."""

    fingerprint: str
    armoured: bytes
    binary: bytes

    def clear_sign(self, text: Path, signed: Path) -> None:
        """The text with its signature around it."""
        self._gpg("--clear-sign", text, signed)

    def detach_sign(self, data: Path, signature: Path) -> None:
        """The signature beside the data."""
        self._gpg("--detach-sign", data, signature)

    def _gpg(self, how: str, data: Path, result: Path) -> None:
        run(
            [
                *("gpg", "--batch", "--yes", "--no-tty", "--armor", "--digest-algo", "SHA512"),
                *("--local-user", f"{self.fingerprint}!", "--output", result, how, data),
            ]
        )


def _export(fingerprint: str, *options: str) -> bytes:
    argv = ["gpg", "--batch", "--no-tty", "--export-options", "export-minimal", *options, "--export", fingerprint]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True).stdout


def find(name: str) -> SigningKey:
    """The one secret key of this name or fingerprint; InstallError when it cannot sign for every system."""
    try:
        listing = run(["gpg", "--batch", "--no-tty", "--with-colons", "--list-secret-keys", "--", name])
    except InstallError as error:
        raise InstallError(f"gpg has no secret key {name!r}", "gpg --list-secret-keys shows which there are") from error
    rows = [line.split(":") for line in listing.splitlines()]
    keys = [row for row in rows if row[0] == "sec"]
    if len(keys) != 1:
        raise InstallError(f"{len(keys)} secret keys fit {name!r}", "name one by its fingerprint")
    key = keys[0]
    if key[1] not in _USABLE:
        raise InstallError(f"the key {name} has expired or was revoked", "name another one, or give it more time")
    if key[3] != _RSA or int(key[2]) < _LEAST_BITS or "s" not in key[11].lower():
        raise InstallError(
            f"the key {name} is no RSA key of {_LEAST_BITS} bits or more that signs, and EL 8 knows no others",
            "gpg --quick-generate-key 'NAME <EMAIL>' rsa4096 sign never",
        )
    fingerprint = next(row[9] for row in rows[rows.index(key) :] if row[0] == "fpr")
    return SigningKey(fingerprint, _export(fingerprint, "--armor"), _export(fingerprint))
