"""A box for Vagrant and libvirt, made of Debian's packages: a disk, and a kernel that is booted without a boot loader."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.cache import digest
from tests.driver.bench.chroots import debootstrap
from tests.driver.bench.progress import step
from tests.driver.bench.run import in_chroot, run

RECIPE = "1"
SIZE_GB = 2
PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "procps", "util-linux", "mount", "e2fsprogs", "initramfs-tools"),
    *("openssh-server", "sudo", "python3", "ifupdown", "isc-dhcp-client", "iproute2", "rsync", "xfsprogs", "lvm2"),
)
EARLY = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic", "crc32c_intel")
BOX = """Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd.img")
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 biosdevname=0 mitigations=off audit=0 panic_on_warn=0"
    # Without event_idx a notification that was lost under emulation is made up for by the next one.
    libvirt.qemuargs value: "-global"
    libvirt.qemuargs value: "virtio-blk-pci.event_idx=off"
  end
end
"""
FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/hostname": "hotcopy\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 hotcopy\n",
    "etc/network/interfaces": "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n",
    "etc/ssh/sshd_config.d/vagrant.conf": "UseDNS no\n",
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
    "etc/initramfs-tools/conf.d/list": "MODULES=list\nCOMPRESS=gzip\n",
    "etc/initramfs-tools/modules": "".join(f"{name}\n" for name in EARLY),
    "etc/machine-id": "",
}
SETUP = """set -e
useradd --create-home --shell /bin/bash vagrant
install -d -o vagrant -g vagrant -m 700 /home/vagrant/.ssh
install -o vagrant -g vagrant -m 600 /root/vagrant.pub /home/vagrant/.ssh/authorized_keys
rm /root/vagrant.pub
chmod 440 /etc/sudoers.d/vagrant
for name in apt-daily apt-daily-upgrade fstrim e2scrub_all; do ln -sf /dev/null /etc/systemd/system/$name.timer; done
"""


def public_key() -> Path:
    """Vagrant's well-known one, as its Debian package has it; Vagrant replaces it at the first boot."""
    listing = run(["dpkg", "-L", "vagrant"]).stdout.splitlines()
    return next(Path(line) for line in listing if line.endswith("/keys/vagrant.pub"))


def build_box(bench: Bench, kernel: str) -> Path:
    """The .box for a kernel of the bench; built once. Needs qemu-img, and the public key that comes with Vagrant."""
    found = bench.prepare(kernel).found
    suite = found.kernel.suite
    key = digest(RECIPE, suite, found.package, found.version, BOX, SETUP, *PACKAGES, *FILES, *FILES.values())

    def build(path: Path) -> None:
        tree = path / "root"
        with step(f"{suite}: tree for a Vagrant box"):
            debootstrap(tree, suite, found.kernel.releases, (*PACKAGES, found.package), found.kernel.pin)
            for name, text in FILES.items():
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            shutil.copy(public_key(), tree / "root/vagrant.pub")
            in_chroot(tree, ["/bin/sh", "-c", SETUP])
            in_chroot(tree, ["update-initramfs", "-c", "-k", found.release])
            shutil.rmtree(tree / "var/lib/apt/lists", ignore_errors=True)
        with step(f"{suite}: Vagrant box"):
            shutil.copy(tree / "boot" / f"vmlinuz-{found.release}", path / "vmlinuz")
            shutil.copy(tree / "boot" / f"initrd.img-{found.release}", path / "initrd.img")
            run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", tree, path / "raw", f"{SIZE_GB}G"], timeout=300)
            run(["qemu-img", "convert", "-c", "-O", "qcow2", path / "raw", path / "box.img"], timeout=600)
            facts = {"provider": "libvirt", "format": "qcow2", "virtual_size": SIZE_GB}
            (path / "metadata.json").write_text(json.dumps(facts), encoding="utf-8")
            (path / "Vagrantfile").write_text(BOX, encoding="utf-8")
            parts = ("metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd.img")
            run(["tar", "-C", path, "-czf", path / "hotcopy.box", *parts], timeout=300)
        shutil.rmtree(tree)
        for name in ("raw", *parts):
            (path / name).unlink()

    return bench.cache.entry("box", kernel, key, build) / "hotcopy.box"
