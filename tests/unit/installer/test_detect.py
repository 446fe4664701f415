# SPDX-License-Identifier: GPL-2.0-or-later
"""Detectors where the recorded machines do not reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.detect import container, files, hooks, osrelease, secureboot, tools, virt
from installer.detect.kernel import Uname
from tests.unit.installer.recorded import unpack

LINUX = Uname("Linux", "6.1.0-40-amd64", "#1 SMP", "x86_64")


def put(root: Path, name: str, text: str | bytes = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_links_stay_below_the_root(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/os-release", "inside")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "escape").symlink_to("../../../../etc")
    (tmp_path / "loop").symlink_to("loop")
    assert files.text(tmp_path, "etc/os-release") == "inside"
    assert files.text(tmp_path, "lib/os-release") == "inside"
    assert files.inside(tmp_path, "escape/passwd") == tmp_path / "etc/passwd"
    assert files.data(tmp_path, "loop") is None


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("submit_bio_noacct (1) R I   \ttramp: 0xf ->x+0x0/0x9 [snapapi26]", True),
        ("submit_bio_noacct (1) R I   \ttramp: 0xf ->hcp_hook_ftrace+0x0/0x9 [hcpdriver]", False),
        ("submit_bio_noacct (1) R     \ttramp: 0xf ->x+0x0/0x9", False),  # it watches, and changes nothing
        ("submit_bio_wait (1) R I   \ttramp: 0xf ->x+0x0/0x9", False),
        ("generic_make_request (1) R I D ->x+0x0/0x9", True),
    ],
)
def test_who_holds_the_hook(line: str, held: bool, tmp_path: Path) -> None:
    put(tmp_path, "sys/kernel/tracing/enabled_functions", line + "\n")
    assert bool(hooks.detect(tmp_path, ()).held_by) == held


def test_shim_may_be_told_not_to_verify(tmp_path: Path) -> None:
    variables = "sys/firmware/efi/efivars"
    put(tmp_path, f"{variables}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1")
    assert secureboot.detect(tmp_path).enabled
    put(tmp_path, f"{variables}/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23", b"\6\0\0\0\1")
    assert not secureboot.detect(tmp_path).enabled


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("proc/1/environ", b"HOME=/\0container=lxc\0", "lxc"),
        ("proc/1/cgroup", b"12:devices:/docker/0123\n", "docker"),
        ("proc/1/cgroup", b"0::/machine.slice/libpod-0123.scope\n", "podman"),
        ("proc/1/cgroup", b"1:name=systemd:/kubepods/burstable/pod1\n", "container-other"),
        ("proc/1/cgroup", b"0::/init.scope\n", "none"),
        ("proc/vz/version", b"", "openvz"),
        ("run/systemd/container", b"systemd-nspawn\n", "systemd-nspawn"),
    ],
)
def test_containers(name: str, text: bytes, kind: str, tmp_path: Path) -> None:
    put(tmp_path, name, text)
    assert container.detect(tmp_path) == kind


def test_the_host_of_openvz_is_no_container(tmp_path: Path) -> None:
    put(tmp_path, "proc/vz/version")
    put(tmp_path, "proc/bc/resources")
    assert container.detect(tmp_path) == "none"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("proc/cpuinfo", "flags\t\t: fpu hypervisor\n", "vm-other"),
        ("proc/cpuinfo", "flags\t\t: fpu\n", "none"),
        ("proc/xen/capabilities", "", "xen"),
        ("proc/xen/capabilities", "control_d\n", "xen-dom0"),
        ("sys/class/dmi/id/sys_vendor", "innotek GmbH\n", "oracle"),
        ("sys/class/dmi/id/product_name", "Google Compute Engine\n", "google"),
    ],
)
def test_hypervisors(name: str, text: str, kind: str, tmp_path: Path) -> None:
    put(tmp_path, name, text)
    assert virt.detect(tmp_path, LINUX) == kind


def test_esxi_is_known_by_its_name(tmp_path: Path) -> None:
    assert virt.detect(tmp_path, Uname("VMkernel", "8.0.2", "#1", "x86_64")) == "esxi"


def test_the_newest_python_where_the_system_s_own_is_too_old(tmp_path: Path) -> None:
    for name in ("python3.6", "python3.9", "python3.12", "python3.12-config"):
        put(tmp_path, f"usr/bin/{name}")
    put(tmp_path, "etc/alternatives/.keep")
    (tmp_path / "etc/alternatives/python3").symlink_to("/usr/bin/python3.6")
    (tmp_path / "usr/bin/python3").symlink_to("/etc/alternatives/python3")
    assert tools.detect(tmp_path).python == "/usr/bin/python3.12"


@pytest.mark.parametrize("name", ["debian-11", "debian-12"])
def test_an_older_distro_module_tells_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """distro 1.5, of Debian 11 and EL 9, takes no root; with the real one: tests/packages/test_debian.py."""
    unpack(name, tmp_path)
    now = osrelease.detect(tmp_path)
    monkeypatch.setattr(osrelease, "_TAKES_ROOT", False)
    assert osrelease.detect(tmp_path) == now and now.os_id == "debian"
