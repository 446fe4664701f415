"""A guest's hardware as data, and as QEMU's arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.architectures import AMD64, Architecture
from tests.driver.bench.bootfiles import BootFiles

# A failure must stop the machine at once, on the console, rather than go on damaged. Security modules (but lockdown, which
# hotcopy-install asks for) and zeroing what is allocated are dear when emulated, and the latter hides what was never set.
COMMAND_LINE = (
    "loglevel=5 panic=-1 oops=panic panic_on_warn=1 mitigations=off audit=0 lsm=lockdown init_on_alloc=0 nmi_watchdog=0"
    " net.ifnames=0"
)


@dataclass(frozen=True)
class Disk:
    """A disk, found in the guest as /dev/disk/by-id/virtio-NAME (or by its serial, NAME); with a path it outlives a boot."""

    name: str
    size: str = "2G"
    path: Path | None = None
    iops: int = 0  # throttles, so that a measurement follows I/Os and not the emulated CPU
    bps: int = 0
    block: int = 512  # logical block size
    read_only: bool = False
    device: str = "virtio-blk-pci"  # or nvme: how the guest sees it

    @property
    def size_bytes(self) -> int:
        """What size says: a number, of MiB or GiB if M or G is behind it; else ValueError."""
        return int(self.size.rstrip("MG")) << {"M": 20, "G": 30}.get(self.size[-1], 0)

    def arguments(self, image: Path, *, shared: bool = False) -> Iterator[str]:
        """What QEMU is told; a shared image takes writes into a file of its own."""
        drive = {
            "file": str(image).replace(",", ",,"),
            "if": "none",
            "id": self.name,
            "format": "raw",
            # The host does not crash here: killing QEMU loses nothing that the guest completed.
            "cache": "unsafe",
            "discard": "unmap",
            "snapshot": "on" if shared else "off",
            "readonly": "on" if self.read_only else "off",
        }
        if self.iops:
            drive["throttling.iops-total"] = str(self.iops)
        if self.bps:
            drive["throttling.bps-total"] = str(self.bps)
        yield from ("-drive", ",".join(f"{key}={value}" for key, value in drive.items()))
        device = f"{self.device},drive={self.name},serial={self.name}"
        if self.device.startswith("virtio"):
            # Without event_idx a notification that was lost is made up for by the next one: see below.
            device += ",event_idx=off"
        if self.block != 512:
            device += f",logical_block_size={self.block},physical_block_size={self.block}"
        yield from ("-device", device)


@dataclass(frozen=True)
class Machine:
    """Everything about a guest that a test may choose."""

    # The last two are for tests that pull a disk out.
    disks: tuple[Disk, ...] = (
        Disk("data0"),
        Disk("data1"),
        Disk("spare", size="128M"),
        Disk("nvme", size="128M", device="nvme"),
    )
    memory: str = "1024M"
    cpus: int = 1
    append: str = ""  # further words for the kernel's command line
    root: Path | None = None  # a root file system of its own, which outlives a boot
    userland: Path | None = None  # another one than the kernel's; it is never changed either
    boot: BootFiles | None = None  # another kernel than the bench's of that name
    ssh_port: int = 0  # of this host, leads to the guest's port 22; such a guest may reboot, and sees no other network

    def arguments(
        self, accel: str, boot: BootFiles, words: str = "", architecture: Architecture = AMD64
    ) -> Iterator[str]:
        """QEMU's arguments, without the disks and the ports; ``words`` are for the kernel's command line, too."""
        yield from (architecture.qemu, "-nodefaults", "-no-user-config")
        if self.ssh_port:
            forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
            yield from ("-netdev", f"user,id=net,restrict=on,{forward}")
            yield from ("-device", "virtio-net-pci,netdev=net,romfile=,event_idx=off")
        else:
            yield "-no-reboot"
        yield from ("-display", "none", "-machine", architecture.machine, "-m", self.memory)
        yield from accelerator_arguments(accel, self.cpus, architecture.cpu)
        yield from ("-kernel", str(boot.kernel), "-initrd", str(boot.initramfs))
        console = f"console={architecture.console}"
        yield from ("-append", " ".join(filter(None, (console, COMMAND_LINE, words, self.append))))


def accelerator_arguments(accel: str, cpus: int, cpu: str) -> tuple[str, ...]:
    """How to run the CPUs, by hardware or by software (then they are of the model ``cpu``).

    Software has a fault either way (measured, tests/README.md): with several threads a CPU may run a stale int3 while
    another one patches the kernel's text; with one thread the guest's barriers are left out, so that a notification
    between guest and disk may be lost. One CPU that QEMU believes may become two has neither.
    """
    if accel == "kvm":
        return ("-smp", str(cpus), "-accel", "kvm", "-cpu", "host")
    thread = "multi" if cpus == 1 else "single"
    smp = f"{cpus},maxcpus={max(2, cpus)}"
    return ("-smp", smp, "-accel", f"tcg,thread={thread}", "-cpu", cpu)
