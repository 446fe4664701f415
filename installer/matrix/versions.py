# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions of kernels in the order of whoever counts them.

``packaging`` misreads what distributions write (6.1.192-2 would be a post-release): it orders upstream's versions only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from packaging.version import Version

from installer.matrix.dpkg_order import dpkg_compare
from installer.matrix.model import Scheme
from installer.matrix.rpm_order import evr_compare

_UPSTREAM = re.compile(r"\d+(\.\d+){0,3}(-rc\d+)?")
_DEBIAN = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~-]*")
_RPM = re.compile(r"(\d+:)?[A-Za-z0-9._+~^]+(-[A-Za-z0-9._+~^]+)?")


class VersionError(ValueError):
    """Not a version of its scheme."""


def order(scheme: Scheme, version: str) -> Any:
    """A key that sorts ``version`` among others of its scheme; VersionError if it is none."""
    pattern, key = _SCHEMES[scheme]
    if not pattern.fullmatch(version):
        raise VersionError(f"'{version}' is no {scheme.value} version")
    return key(version)


_SCHEMES: dict[Scheme, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    Scheme.UPSTREAM: (_UPSTREAM, Version),
    Scheme.DEBIAN: (_DEBIAN, cmp_to_key(dpkg_compare)),
    Scheme.UBUNTU: (_DEBIAN, cmp_to_key(dpkg_compare)),
    Scheme.RPM: (_RPM, cmp_to_key(evr_compare)),
    Scheme.SUSE: (_RPM, cmp_to_key(evr_compare)),
}
