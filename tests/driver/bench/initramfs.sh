#!/bin/busybox sh
# First program of a guest: mount the root, the modules and the project, and go on there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev

for module in /modules/*.ko; do
    $b insmod "$module" 2>/dev/null # a CPU may lack what crc32c_intel needs
done

disk() { # the device whose serial is $1
    for entry in /sys/block/vd*; do
        [ "$($b cat "$entry/serial" 2>/dev/null)" = "$1" ] && echo "/dev/${entry##*/}" && return
    done
    echo "hotcopy-bench: no disk $1" >/dev/console
    $b poweroff -f
}

release=$($b uname -r)
$b mount -t ext4 "$(disk root)" /root || $b poweroff -f
$b mkdir -p "/root/lib/modules/$release" /root/hotcopy
$b mount -t ext4 -o ro "$(disk modules)" "/root/lib/modules/$release" || $b poweroff -f
$b tar -x -C /root/hotcopy -f "$(disk project)" || $b poweroff -f
$b mount --move /dev /root/dev
$b mount --move /sys /root/sys
$b mount --move /proc /root/proc
exec $b switch_root /root /hotcopy/tests/driver/guest/init
