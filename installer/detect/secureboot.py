# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the kernel takes only signed modules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files

_EFIVARS = "sys/firmware/efi/efivars"
_SECURE_BOOT = f"{_EFIVARS}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SHIM_OFF = f"{_EFIVARS}/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
_ATTRIBUTES = 4  # bytes before a variable's value


@dataclass(frozen=True)
class SecureBoot:
    """Secure Boot, and what follows from it or is asked for without it."""

    enabled: bool
    lockdown: str  # "none", "integrity", "confidentiality"
    sig_enforce: bool  # module.sig_enforce, or built in

    @property
    def wants_signature(self) -> bool:
        """Whether an unsigned module is refused."""
        return self.sig_enforce or self.lockdown != "none"


def _flag(root: Path, name: str) -> bool:
    value = files.data(root, name) or b""
    return value[_ATTRIBUTES : _ATTRIBUTES + 1] == b"\1"


def detect(root: Path) -> SecureBoot:
    """Reads the firmware's variables, and what the kernel made of them."""
    lockdown = re.search(r"\[(\w+)\]", files.text(root, "sys/kernel/security/lockdown"))
    return SecureBoot(
        enabled=_flag(root, _SECURE_BOOT) and not _flag(root, _SHIM_OFF),
        lockdown=lockdown[1] if lockdown else "none",
        sig_enforce=files.text(root, "sys/module/module/parameters/sig_enforce") == "Y",
    )
