#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside a guest, by hand: writes to a hot copy of an ext4 with 1 KiB blocks (its lazy initialisation among them) while
# the origin is written to and a second hot copy is read. When one hangs, says what every stuck task waits for.
set -u
disk=/dev/disk/by-id/virtio-data0
node=$disk-part1
name=$(basename "$(readlink -f "$disk")")

dump() {
    echo "HANG in $1"
    for file in /sys/kernel/debug/block/"$name"/hctx*/busy /sys/kernel/debug/block/"$name"/hctx*/dispatch; do
        echo "== $file"
        head -n 9 "$file"
    done
    cat /sys/block/"$name"/inflight /sys/block/"$name"/queue/scheduler
    for task in /proc/[0-9]*; do
        case $(cut -d' ' -f3 "$task/stat" 2>/dev/null) in
        D | R)
            echo "--- $task $(cat "$task/comm")"
            cat "$task/stack"
            ;;
        esac
    done
    hcp -l
    exit 9
}

# in_time WHAT COMMAND...: a command that takes more than 40 s hangs.
in_time() {
    what=$1
    shift
    timeout 40 "$@" >/dev/null 2>&1
    [ $? -ne 124 ] || dump "$what"
}

write_for() {
    python3 - "$1" "$2" <<'PYTHON'
import os, random, sys, time

end = time.monotonic() + float(sys.argv[2])
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 8 << 20)
try:
    while time.monotonic() < end:
        for _ in range(7):
            os.pwrite(fd, os.urandom(random.choice([100, 1024, 3000, 4096, 20000])), random.randrange(8 << 20) & ~1023)
        os.fsync(fd)
except OSError as error:
    print(sys.argv[1], error)
PYTHON
}

modprobe hcpdriver
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
echo 'size=64M' | sfdisk -q "$disk"
udevadm settle
mkdir -p /mnt/origin /mnt/copy
round=0
while [ "$round" -lt "${1:-20}" ]; do
    round=$((round + 1))
    size=20M
    [ $((round % 3)) -ne 0 ] || size=5M # this one overflows
    mkfs.ext4 -q -F -b 1024 "$node"
    mount "$node" /mnt/origin
    write_for /mnt/origin/file 5 &
    sleep 0.3
    in_time create hcp --skip-mount --store-size "$size" "$node"
    in_time mount mount -o init_itable=0 /dev/hcp1 /mnt/copy
    write_for /mnt/copy/file 2 &
    fsfreeze -f /mnt/origin
    in_time "second create" hcp --skip-mount "$node"
    fsfreeze -u /mnt/origin
    in_time "read of hcp2" dd if=/dev/hcp2 of=/dev/null bs=1M iflag=direct
    in_time "read of hcp1" dd if=/dev/hcp1 of=/dev/null bs=64k iflag=direct
    wait
    in_time umount umount /mnt/copy
    hcp -l | grep -E 'State|Written' | tr -s ' ' | tr '\n' ' '
    in_time "first removal" hcp -r hcp1
    in_time "second removal" hcp -r hcp2
    in_time "umount of the origin" umount /mnt/origin
    echo "round $round"
done
