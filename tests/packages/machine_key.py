# SPDX-License-Identifier: GPL-2.0-or-later
"""The key with which a machine signs what DKMS builds there: where each release's DKMS looks for it."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.packages.prebuilt import SIGNER, make_certificate
from tests.packages.trees import Tree

# The second of each: Debian 11's DKMS, which signs only when told to.
_KEY = ("/var/lib/dkms/mok.key", "/root/mok.priv")
_CERTIFICATE = ("/var/lib/dkms/mok.pub", "/root/mok.der")
_TELL = "[ ! -e /etc/dkms/sign_helper.sh ] || echo 'sign_tool=\"/etc/dkms/sign_helper.sh\"' >>/etc/dkms/framework.conf"


def give_key(tree: Tree, scratch: Path) -> None:
    """Makes a key, and puts it there."""
    scratch.mkdir()
    for source, targets in zip(make_certificate(scratch), (_KEY, _CERTIFICATE)):
        text = base64.b64encode(source.read_bytes()).decode("ascii")
        for target in targets:
            tree.run(f"echo {text} | base64 --decode >{target} && chmod 600 {target}")
    tree.run(_TELL)


def is_signed(tree: Tree, release: str) -> bool:
    """Whether the driver installed for this kernel carries a signature of that key."""
    return tree.run(f"modinfo -k {release} -F signer hcpdriver")[1].strip() == SIGNER
