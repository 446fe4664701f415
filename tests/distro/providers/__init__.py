"""What a guest with our packages in it comes from: QEMU by itself (qemu.py), or Vagrant (vagrant.py)."""
