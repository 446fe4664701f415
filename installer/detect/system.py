# SPDX-License-Identifier: GPL-2.0-or-later
"""All that was detected of a machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from installer.detect import (
    arch,
    container,
    files,
    headers,
    hooks,
    init,
    installed,
    kconfig,
    kernel,
    modules,
    mounts,
    osrelease,
    secureboot,
    tools,
    virt,
)
from installer.detect.mounts import Space, SpaceOf

ROOT = Path("/")
_MEMORY = re.compile(r"^MemTotal:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """Where a machine is looked at: this one, or a record of another one in a directory."""

    root: Path
    uname: kernel.Uname
    space_of: SpaceOf


@dataclass(frozen=True)
class System:
    """A machine."""

    root: Path
    distro: osrelease.OsRelease
    kernel: kernel.Kernel
    architecture: arch.Architecture
    virtualization: str
    container: str
    init: str
    secure_boot: secureboot.SecureBoot
    kernel_config: kconfig.KernelConfig
    modules: modules.Modules
    headers: headers.Headers
    tools: tools.Tools
    mounts: mounts.Mounts
    hooks: hooks.Hooks
    installed: installed.Installed
    memory_mib: int


def live_space(place: str) -> Space | None:
    """What statvfs(3) says."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def this_host() -> Source:
    """The machine this runs on."""
    return Source(ROOT, kernel.Uname.of_host(), live_space)


def detect(source: Source) -> System:
    """Runs every detector."""
    root, uname = source.root, source.uname
    memory = _MEMORY.search(files.text(root, "proc/meminfo"))
    known = modules.detect(root, uname.release)
    return System(
        root=root,
        distro=osrelease.detect(root),
        kernel=kernel.detect(root, uname),
        architecture=arch.detect(root, uname.machine),
        virtualization=virt.detect(root, uname),
        container=container.detect(root),
        init=init.detect(root),
        secure_boot=secureboot.detect(root),
        kernel_config=kconfig.detect(root, uname.release),
        modules=known,
        headers=headers.detect(root, uname.release),
        tools=tools.detect(root),
        mounts=mounts.detect(root, source.space_of),
        hooks=hooks.detect(root, known.loaded),
        installed=installed.detect(root, uname.release),
        memory_mib=int(memory[1]) // 1024 if memory else 0,
    )
