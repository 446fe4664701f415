"""The processors that guests have: what QEMU and Debian call them, and what the machines around them differ in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """A processor, and the machine QEMU builds around it."""

    name: str  # Debian's
    qemu: str  # the program
    machine: str
    cpu: str  # when it is emulated
    console: str  # where the kernel logs
    console_port: tuple[str, ...]  # QEMU's arguments that give it the chardev of this name
    results_port: tuple[str, ...]  # likewise; the guest knows it as channel.PORT
    packed: bool  # whether a kernel's file unpacks itself when it boots, a bzImage
    tools: str = ""  # what the names of the compiler's programs begin with in the tree that drivers are built in
    setup: str = ""  # the script of tests/setup that installs what only this one needs


AMD64 = Architecture(
    name="amd64",
    qemu="qemu-system-x86_64",
    machine="pc",
    # An old model on purpose: what it lacks (5-level paging, AVX, SMAP) is slow to emulate.
    # With rdrand nothing waits for the kernel's entropy.
    cpu="Nehalem,+rdrand",
    console="ttyS0",
    console_port=("-device", "isa-serial,chardev=console"),
    results_port=("-device", "isa-serial,chardev=results"),
    packed=True,
)

ARM64 = Architecture(
    name="arm64",
    qemu="qemu-system-aarch64",
    machine="virt,gic-version=3",
    # Everything QEMU can emulate, so that kernel and driver run with BTI, signed return addresses and LSE atomics, as
    # they do on servers; but signed by a quick algorithm (the architects' own takes most of the time), and no vectors.
    cpu="max,pauth-impdef=on,sve=off,sme=off",
    console="ttyAMA0",
    console_port=("-serial", "chardev:console"),
    results_port=("-device", "pci-serial,chardev=results"),  # the machine has one port only
    packed=False,
    tools="aarch64-linux-gnu-",
    setup="arm64",
)
