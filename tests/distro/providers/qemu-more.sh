#!/bin/sh
# Read by fresh-init.sh as /hotcopy/bench-more: a network card and sshd. The machine may reboot.
# shellcheck disable=SC2154
install -d -m 700 /run/hotcopy-ssh
install -m 600 /hotcopy/authorized_keys /run/hotcopy-ssh/authorized_keys
# Debian starts its own for the first connection.
for name in ssh.service ssh.socket sshd.service sshd.socket; do ln -sf /dev/null "$units/$name"; done
cat >"$units/bench-sshd.service" <<END
[Unit]
After=basic.target
[Service]
RuntimeDirectory=sshd
Environment=PATH=$PATH
ExecStartPre=/bin/sh -c 'modprobe virtio_net; ip link set lo up; ip link set eth0 up; ip addr replace 10.0.2.15/24 dev eth0'
ExecStart=/usr/sbin/sshd -D -o UsePAM=no -o UseDNS=no -o StrictModes=no -o AuthorizedKeysFile=/run/hotcopy-ssh/authorized_keys
END
ln -sf "$units/bench-sshd.service" "$units/bench.target.wants/bench-sshd.service"
# The agent ends by itself when the machine is to be switched off; at a reboot it is ended.
mkdir -p "$units/bench-agent.service.d"
cat >"$units/bench-agent.service.d/reboot.conf" <<'END'
[Service]
ExecStopPost=
ExecStopPost=/bin/sh -c 'if [ "$EXIT_CODE" = exited ]; then sync; echo o >/proc/sysrq-trigger; fi'
END
