# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of gpg for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.run import run


@dataclass(frozen=True)
class Keyring:
    """A GNUPGHOME with two keys that need no password."""

    home: Path
    ours: str
    other: str

    @classmethod
    def make(cls, home: Path) -> Keyring:
        """RSA of 3072 bits, the least that is accepted: making longer ones takes longer."""
        home.chmod(0o700)
        made = cls(home, "ours@example.com", "other@example.com")
        for address in (made.ours, made.other):
            made.generate(f"Test <{address}>", "rsa3072")
        return made

    def generate(self, name: str, kind: str) -> None:
        """Makes a key that signs."""
        self.gpg("--passphrase", "", "--quick-generate-key", name, kind, "sign", "never")

    def gpg(self, *words: str | Path) -> str:
        """Runs gpg."""
        argv = ["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", *words]
        return run(argv).stdout

    def export(self, name: str, target: Path) -> Path:
        """Writes a public key."""
        self.gpg("--output", target, "--export", name)
        return target

    def close(self) -> None:
        """Ends the agent that gpg has started."""
        run(["gpgconf", "--homedir", self.home, "--kill", "all"])

    @contextmanager
    def used(self) -> Iterator[None]:
        """While hotcopy-install is to find it."""
        before = os.environ.get("GNUPGHOME")
        os.environ["GNUPGHOME"] = str(self.home)
        try:
            yield
        finally:
            if before is None:
                del os.environ["GNUPGHOME"]
            else:
                os.environ["GNUPGHOME"] = before
