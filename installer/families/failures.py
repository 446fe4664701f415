# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package manager's words mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from installer.exitcodes import ExitCode


@dataclass(frozen=True)
class Symptom:
    """Words of a package manager, and what to tell of them; ``{found}`` is what the group "found" matched."""

    pattern: re.Pattern[str]
    code: ExitCode
    cause: str
    remedy: str


def symptom(pattern: str, code: ExitCode, cause: str, remedy: str) -> Symptom:
    """A row of a family's table."""
    return Symptom(re.compile(pattern, re.IGNORECASE), code, cause, remedy)


# What every package manager says in the words of the C library or of curl.
COMMON = (
    symptom(
        r"No space left on device|enough free space in|more space needed on the|needs \S+ ?[KMG]i?B? (?:more space )?on the (?P<found>\S+) filesystem"
        r"|Disk quota exceeded|Partition \S+ too full",
        ExitCode.NO_SPACE,
        "a filesystem is full",
        "df -h shows which; free some space and run this again, it goes on where it stopped",
    ),
    symptom(
        r"Read-only file system",
        ExitCode.READ_ONLY,
        "a filesystem that must be written to is mounted read-only",
        "mount -o remount,rw it (findmnt -O ro lists them) and run this again",
    ),
    symptom(
        r"(?:407|Proxy Authentication Required|Could not resolve proxy|resolve '?(?P<found>\S*proxy[^\s']*)|proxy.{0,40}(?:refused|failed))",
        ExitCode.NO_NETWORK,
        "the proxy does not let the package manager through",
        "set http_proxy and https_proxy with the right name, port and password (and proxy= in the package manager's"
        " configuration), or install without a network: --from DIR",
    ),
    symptom(
        r"Could not resolve|Temporary failure (?:in name resolution|resolving)|Name or service not known|Could not connect"
        r"|Cannot initiate the connection|Connection (?:timed out|refused)|Network is unreachable|Curl error \((?:6|7|28|56)\)"
        r"|Could not retrieve mirrorlist|Cannot download repomd|Failed to download metadata|Failed to fetch"
        r"|failed retrieving file|Download \(curl\) error",
        ExitCode.NO_NETWORK,
        "the package mirror cannot be reached",
        "check the network and the package manager's sources; behind a proxy set https_proxy; without a network: --from DIR",
    ),
)
