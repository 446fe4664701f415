# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the kernel takes a module that hooks a function."""

from __future__ import annotations

from collections.abc import Iterator

from hotcopy.attach import MODULE
from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context

_DEMO = "to see Hot Copy at work without touching this kernel: make demo (it boots one of its own)"
_NEEDED = ("FUNCTION_TRACER", "DYNAMIC_FTRACE")
_ONE_OF = ("DYNAMIC_FTRACE_WITH_REGS", "DYNAMIC_FTRACE_WITH_ARGS", "HAVE_DYNAMIC_FTRACE_WITH_ARGS")


def loadable(context: Context) -> Iterator[Finding]:
    """Whether there are modules at all."""
    system = context.system
    modules, config = system.modules, system.kernel_config
    if not modules.supported or (config.options and not config.has("MODULES")):
        yield refuse(
            "HC-MODULES",
            f"kernel {system.kernel.release} was built without modules (CONFIG_MODULES), so no driver can be added",
            f"boot a kernel of the distribution; {_DEMO}",
            forceable=False,
        )
    elif modules.locked:
        yield refuse(
            "HC-MODULES",
            "loading modules was switched off until the next boot (sysctl kernel.modules_disabled=1)",
            f"take the setting out of /etc/sysctl.d and reboot; {_DEMO}",
            forceable=False,
        )
    elif not modules.directory:
        yield refuse(
            "HC-MODULES",
            f"/lib/modules/{system.kernel.release} is missing: the kernel that runs is not the one that is installed",
            f"reboot after a kernel upgrade, or boot a kernel of the distribution; {_DEMO}",
        )
    else:
        yield ok("HC-MODULES", f"kernel {system.kernel.release} loads modules")


def tracing(context: Context) -> Iterator[Finding]:
    """Whether functions can be hooked the way live patches do it."""
    system = context.system
    config = system.kernel_config
    if not config.options:
        yield warn(
            "HC-FTRACE",
            "the kernel's configuration is nowhere to be read (/boot/config-*, /proc/config.gz)",
            "it is tried; if the driver cannot hook the block layer, hcp says so",
        )
        return
    missing = [name for name in _NEEDED if not config.has(name)]
    if not any(config.has(name) for name in _ONE_OF):
        missing.append(_ONE_OF[0])
    if missing:
        options = ", ".join(f"CONFIG_{name}" for name in missing)
        yield refuse(
            "HC-FTRACE",
            f"kernel {system.kernel.release} lacks what hooks a function ({options}, says {config.source})",
            "boot a kernel of the distribution that can be live-patched",
        )
    elif system.hooks.tracing_off:
        yield refuse(
            "HC-FTRACE",
            "function tracing is switched off (sysctl kernel.ftrace_enabled=0)",
            "sysctl kernel.ftrace_enabled=1, and take the setting out of /etc/sysctl.d",
        )
    else:
        yield ok("HC-FTRACE", f"functions can be hooked ({config.source})")


def others(context: Context) -> Iterator[Finding]:
    """Other snapshot drivers and live patches at the same function."""
    hooks, installed = context.system.hooks, context.system.installed
    if MODULE in context.system.modules.loaded and installed.loaded_version not in (installed.driver_version, ""):
        older = installed.loaded_version
        yield warn(
            "HC-HOOK",
            f"a driver {MODULE} of version {older} is loaded; this is {installed.driver_version}",
            "end its hot copies (hcp --remove --all) and unload it (modprobe -r hcpdriver), or reboot",
        )
    elif hooks.held_by:
        yield refuse(
            "HC-HOOK",
            f"{hooks.held_by} holds the function that the driver must hook, which only one can",
            "unload it, and take hot copies only while it is not loaded",
        )
    elif hooks.drivers:
        yield warn(
            "HC-HOOK",
            f"the snapshot driver of another product is loaded ({', '.join(hooks.drivers)})",
            "while it tracks a disk, hcp may find the hook taken, and says so",
        )
    else:
        yield ok("HC-HOOK", "nobody else holds the hook")
