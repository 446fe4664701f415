"""What the packages have brought."""

from __future__ import annotations

from typing import Any

from testinfra.modules.package import RpmPackage

from hotcopy import __version__
from tests.distro.guest.shell import Shell

# Type, mode, owner and group; /lib is /usr/lib where the two are one.
FILES = {
    "/usr/sbin/hcp": "regular file 755 root root",
    "/usr/sbin/hcp-setup": "regular file 755 root root",
    "/usr/sbin/hotcopy": "symbolic link 777 root root",
    "/usr/lib/hotcopy/system": "regular file 755 root root",
    "/usr/lib/hotcopy/hotcopy/cli.py": "regular file 644 root root",
    "/lib/systemd/system/hotcopy.service": "regular file 644 root root",
    "/lib/systemd/system/hotcopy-clean.service": "regular file 644 root root",
    "/lib/udev/rules.d/59-hotcopy.rules": "regular file 644 root root",
    "/usr/share/bash-completion/completions/hcp": "regular file 644 root root",
}


def test_packages_are_installed(host: Any, manager: str, driver_package: str) -> None:
    # By the system testinfra chooses; dnf may be a guest on Debian.
    package: Any = host.package if manager == "apt" else type("Rpm", (RpmPackage,), {"_host": host})
    for name in ("hotcopy", driver_package):
        assert package(name).is_installed, name
        assert package(name).version.startswith(__version__), name


def test_files_and_modes(shell: Shell) -> None:
    said = shell.ask(f"stat -c '%n: %F %a %U %G' {' '.join(FILES)}")
    assert dict(line.split(": ", 1) for line in said.splitlines()) == FILES


def test_commands_run(shell: Shell) -> None:
    assert shell.ask("hcp --help").startswith("usage: hcp")
    assert "/dev/" not in shell.ask("hcp -l")


def test_units_are_enabled_and_the_one_for_a_shutdown_runs(host: Any) -> None:
    assert host.service("hotcopy").is_enabled and host.service("hotcopy").is_running
    assert host.service("hotcopy-clean").is_enabled


def test_the_driver_is_this_kernels(shell: Shell) -> None:
    release, version, magic = shell.ask(
        "uname -r; modinfo -F version hcpdriver; modinfo -F vermagic hcpdriver"
    ).splitlines()
    assert version == __version__ and magic.split()[0] == release
