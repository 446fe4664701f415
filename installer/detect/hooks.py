# SPDX-License-Identifier: GPL-2.0-or-later
"""Who else hooks the function that the driver hooks, or is known to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files

HOOKED = ("submit_bio_noacct", "generic_make_request")
# Snapshot drivers of other products, by the name lsmod shows.
_OTHERS = {
    "dattobd": "Datto",
    "elastio_snap": "Elastio",
    "blksnap": "Veeam (blksnap)",
    "veeamblksnap": "Veeam (blksnap)",
    "bdevfilter": "Veeam (bdevfilter)",
    "veeamsnap": "Veeam (veeamsnap)",
    "snapapi26": "Acronis",
    "snumbd26": "Acronis",
}
_TRACING = ("sys/kernel/tracing/enabled_functions", "sys/kernel/debug/tracing/enabled_functions")
_IPMODIFY = re.compile(r"^(\S+) \(\d+\)[A-Z \t]*\bI\b")  # "submit_bio_noacct (1) R I ..."
_OURS = "hcpdriver"


@dataclass(frozen=True)
class Hooks:
    """Others at the hook."""

    held_by: str  # who changes the hooked function now, "" for nobody that shows (or it is us)
    drivers: tuple[str, ...]  # loaded drivers of other products
    tracing_off: bool  # sysctl kernel.ftrace_enabled=0


def _live_patch(root: Path) -> str:
    for patch in files.names(root, "sys/kernel/livepatch"):
        for function in files.names(root, f"sys/kernel/livepatch/{patch}/vmlinux"):
            if function.partition(",")[0] in HOOKED:
                return f"the live patch {patch}"
    return ""


def _is_modified(root: Path) -> bool:
    for place in _TRACING:
        for line in files.text(root, place).splitlines():
            match = _IPMODIFY.match(line)
            if match and match[1] in HOOKED and f"[{_OURS}]" not in line:
                return True
    return False


def detect(root: Path, loaded: tuple[str, ...]) -> Hooks:
    """Asks ftrace (where it lets itself be asked), the live patches and the list of modules."""
    drivers = tuple(f"{_OTHERS[name]}: {name}" for name in loaded if name in _OTHERS)
    holder = _live_patch(root)
    if not holder and _is_modified(root) and _OURS not in loaded:
        holder = drivers[0] if drivers else "an unknown module"
    return Hooks(holder, drivers, files.text(root, "proc/sys/kernel/ftrace_enabled") == "0")
