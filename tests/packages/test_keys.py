# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that would not do are refused before anything is signed with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.errors import InstallError
from installer.publish import key
from tests.packages.keys import Keyring


@pytest.mark.parametrize(("kind", "words"), [("ed25519", "EL 8"), ("rsa2048", "3072")])
def test_a_key_that_el8_cannot_verify(keyring: Keyring, kind: str, words: str) -> None:
    keyring.generate(f"Weak <{kind}@example.com>", kind)
    with keyring.used(), pytest.raises(InstallError, match=words):
        key.find(f"{kind}@example.com")


def test_no_key_and_several(keyring: Keyring) -> None:
    with keyring.used():
        with pytest.raises(InstallError, match="no secret key"):
            key.find("nobody@example.com")
        with pytest.raises(InstallError, match="fit"):
            key.find("example.com")


def test_what_clients_get_has_no_secret(keyring: Keyring, tmp_path: Path) -> None:
    with keyring.used():
        found = key.find(keyring.ours)
    (tmp_path / "key").write_bytes(found.binary)
    listing = keyring.gpg("--with-colons", "--show-keys", tmp_path / "key")
    assert "pub:" in listing and "sec:" not in listing and found.fingerprint in listing
    assert found.armoured.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
