#!/bin/sh
# Process 1 of a fresh machine: its own systemd, with what the bench needs in /run only.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# The initramfs mounted the bench's copy of the modules over the machine's own.
umount "/lib/modules/$(uname -r)"
mount -t tmpfs tmpfs /run
units=/run/systemd/system
mkdir -p "$units/bench.target.wants"

# What only makes booting longer under emulation; in /run, which goes before /usr.
ln -sf /dev/null "$units/systemd-networkd.socket"
for name in systemd-hwdb-update systemd-journal-catalog-update systemd-journal-flush systemd-update-done ldconfig \
    systemd-binfmt systemd-pstore systemd-random-seed systemd-firstboot systemd-machine-id-commit systemd-sysctl \
    systemd-modules-load systemd-network-generator systemd-networkd systemd-timesyncd systemd-resolved \
    hwclock procps systemd-fsck-root systemd-sysusers; do
    ln -sf /dev/null "$units/$name.service"
done
# What begins by the clock: apt-daily holds apt's lock, and writes to /var/backups while a test compares files.
ln -sf /dev/null "$units/timers.target"
cat >"$units/bench.target" <<END
[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
END
mkdir -p "$units/systemd-udev-trigger.service.d"
printf '[Service]\nExecStart=\nExecStart=/bin/udevadm trigger --action=add --subsystem-match=block\n' \
    >"$units/systemd-udev-trigger.service.d/bench.conf"
cat >"$units/bench-agent.service" <<END
[Unit]
After=basic.target
[Service]
Environment=HOME=/root LC_ALL=C.UTF-8 PYTHONPATH=/hotcopy PYTHONDONTWRITEBYTECODE=1
Environment=PATH=$PATH
WorkingDirectory=/hotcopy
ExecStart=/usr/bin/python3 -S -m tests.driver.guest.agent
ExecStopPost=/bin/sh -c 'sync; echo o >/proc/sysrq-trigger'
END
ln -sf "$units/bench-agent.service" "$units/bench.target.wants/bench-agent.service"

# What a test adds to the machine.
if [ -e /hotcopy/bench-more ]; then
    # shellcheck disable=SC1091
    . /hotcopy/bench-more
fi

dmesg -n 7
systemd=/lib/systemd/systemd
exec env -i PATH="$PATH" $systemd --unit=bench.target --show-status=0 --log-target=kmsg --log-level=notice
