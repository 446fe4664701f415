# SPDX-License-Identifier: GPL-2.0-or-later
"""How the running kernel was configured."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files

_PLACES = (
    "boot/config-{release}",
    "usr/lib/modules/{release}/config",
    "lib/modules/{release}/config",
    "usr/lib/ostree-boot/config-{release}",
    "proc/config.gz",
    "lib/modules/{release}/build/.config",
)


@dataclass(frozen=True)
class KernelConfig:
    """The options, without their CONFIG_ prefix."""

    source: str  # "" when there is none to be found
    options: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether the option is built in or a module."""
        return self.options.get(name) in ("y", "m")


def _parse(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {key[len("CONFIG_") :]: value.strip('"') for key, _, value in pairs}


def detect(root: Path, release: str) -> KernelConfig:
    """The first configuration there is."""
    for place in _PLACES:
        name = place.format(release=release)
        content = files.data(root, name)
        if content is None:
            continue
        if name.endswith(".gz"):
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error):
                continue
        options = _parse(content.decode("utf-8", "replace"))
        if options:
            return KernelConfig(f"/{name}", options)
    return KernelConfig("", {})
