# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine runs on, by the names systemd-detect-virt uses, and xen-dom0, which that calls none."""

from __future__ import annotations

from pathlib import Path

from installer.detect import files
from installer.detect.kernel import Uname

# In the order of systemd's: a cloud says more than the hypervisor beneath it.
_DMI_FIELDS = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
_VENDORS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
)
_CPU_SIGNATURES = (("KVMKVMKVM", "kvm"), ("VMwareVMware", "vmware"), ("Microsoft Hv", "microsoft"))


def _by_dmi(root: Path) -> str:
    for field in _DMI_FIELDS:
        value = files.text(root, f"sys/class/dmi/id/{field}")
        for prefix, name in _VENDORS:
            if value.startswith(prefix):
                return name
    return ""


def _xen(root: Path) -> str:
    if "control_d" in files.text(root, "proc/xen/capabilities").split(","):
        return "xen-dom0"
    features = files.text(root, "sys/hypervisor/properties/features")
    try:
        is_dom0 = bool(int(features, 16) & 1 << 11)  # XENFEAT_dom0
    except ValueError:
        is_dom0 = False
    return "xen-dom0" if is_dom0 else "xen"


def detect(root: Path, uname: Uname) -> str:
    """The name; "none" on bare metal."""
    if uname.system == "VMkernel":
        return "esxi"
    if "microsoft" in uname.release.lower() or files.exists(root, "proc/sys/fs/binfmt_misc/WSLInterop"):
        return "wsl"
    if files.text(root, "sys/hypervisor/type") == "xen" or files.exists(root, "proc/xen"):
        return _xen(root)
    found = _by_dmi(root)
    if found:
        return found
    cpu = files.text(root, "proc/cpuinfo")
    if "User Mode Linux" in cpu:
        return "uml"
    for signature, name in _CPU_SIGNATURES:
        if signature in cpu:
            return name
    flags = next((line for line in cpu.splitlines() if line.startswith("flags")), "")
    return "vm-other" if "hypervisor" in flags.split() else "none"
