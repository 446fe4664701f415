#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Compiles every probe against the kernel and writes config.h.
# usage: probe.sh KERNEL_BUILD_DIR OUTPUT_DIR [make arguments, such as CC=gcc-12 ARCH=arm64]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$1
out=$2
shift 2
unset MAKEFLAGS MFLAGS MAKELEVEL || true

work=$(mktemp -d "$out/.probes.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here"/probes/*.c "$work/"
: >"$work/Makefile"
for source in "$work"/*.c; do
	echo "obj-m += $(basename "$source" .c).o" >>"$work/Makefile"
done
echo "ccflags-y += -Wno-error -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion" \
	>>"$work/Makefile"

# -k: most probes are meant to fail on some kernel.
make -k -s -C "$build" M="$work" "$@" modules >"$work/log" 2>&1 || true

if [ ! -e "$work/control_good.o" ]; then
	cat "$work/log" >&2
	echo "hcpdriver: the compiler or the kernel headers in $build do not work: a trivial module does not compile" >&2
	exit 1
fi
if [ -e "$work/control_bad.o" ]; then
	echo "hcpdriver: the feature probes mean nothing: a program with an error compiles" >&2
	exit 1
fi

{
	echo "/* Made by compat/probe.sh; do not edit. */"
	for source in "$work"/*.c; do
		name=$(basename "$source" .c)
		case $name in control_* | *.mod) continue ;; esac
		macro=HCP_HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]')
		if [ -e "$work/$name.o" ]; then
			echo "#define $macro 1"
		else
			echo "/* $macro is not set */"
		fi
	done
	# Exported, but declared in no header.
	if grep -qs "	rcu_expedite_gp	vmlinux	" "$build/Module.symvers"; then
		echo "#define HCP_HAVE_RCU_EXPEDITE_GP 1"
	else
		echo "/* HCP_HAVE_RCU_EXPEDITE_GP is not set */"
	fi
} >"$work/config.h"
mv "$work/config.h" "$out/config.h"
