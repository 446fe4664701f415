# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole grammar of ``hcp``, in argparse: for what options.py does not read, for errors and for help."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NoReturn

from hotcopy.errors import UsageError
from hotcopy.options import HINT, Given
from hotcopy.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

_PERCENT = re.compile(r"(\d{1,3})\s*%?")
_SMALLEST_STORE = 1 << 20

_DESCRIPTION = "Makes instant, writable, point-in-time copies of live block devices."
_EPILOG = """\
A hot copy shows the device as it was at one moment. What changes afterwards is
kept, as far as needed, in free space of the device's own filesystem, or where
-c says. Several devices named together are copied at one and the same moment,
all of them or none. A whole disk is copied with all filesystems on it frozen.

  hcp /dev/sda1              copy /dev/sda1, see it at /var/hotcopy/sda1_hcp1
  hcp -m /mnt/copy /dev/sda1 see it at /mnt/copy instead
  hcp /dev/sda1 /dev/vg/db   copy both at one moment
  hcp -c /backup /dev/sdb    copy a disk, its changed blocks go to /backup
  hcp -l                     list the hot copies
  hcp -r /dev/hcp1           end this one
  hcp -r --all               end all, the newest first
  hcp --changed /dev/sda1    what was written since its newest hot copy

-c takes a mounted device, a directory (the files go to .hotcopy at the root of
its filesystem), or an unmounted block device, which is overwritten. A device
without a mounted filesystem, btrfs and f2fs always need it.

Exit status: 0 done, 1 failed, 2 wrong usage.
"""
_HIGHEST_FLOOR = 90  # percent


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors of our own form."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, HINT)


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if size < _SMALLEST_STORE:
        raise argparse.ArgumentTypeError(f"{text} is too small, the least is {_SMALLEST_STORE >> 20}M")
    return size


def _percent(text: str) -> int:
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 5 or 5%")
    if int(match[1]) > _HIGHEST_FLOOR:
        raise argparse.ArgumentTypeError(f"{text} is too much, the most is {_HIGHEST_FLOOR}%")
    return int(match[1])


def parser() -> argparse.ArgumentParser:
    """The grammar; long options may be shortened as far as they stay unique."""
    grammar = _Parser(
        prog="hcp",
        usage="hcp [-m DIR | --skip-mount] [-o] [-c WHERE [--force]] [-q PCT] [--store-size SIZE] [--all-blocks] DEVICE...\n"
        "       hcp -l [--json] | -s DEVICE | -r HOTCOPY | -r --all | -v | -h\n"
        "       hcp --changed DEVICE [--since HOTCOPY] [--until HOTCOPY] [--json | --bitmap]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    grammar.add_argument("devices", nargs="*", metavar="DEVICE", help="the block devices to copy")
    add = grammar.add_argument
    add("-m", "--mount-point", metavar="DIR", help="mount the hot copy on DIR instead of /var/hotcopy/<device>_hcpN")
    add("--skip-mount", action="store_true", help="make the device only")
    add("-o", "--read-only", action="store_true", help="make and mount the hot copy read-only")
    add(
        "-c",
        "--changed-blocks",
        metavar="WHERE",
        help="keep changed blocks there: a mounted device, a directory, a device",
    )
    add("--force", action="store_true", help="with -c: overwrite a device that holds something")
    add(
        *("-q", "--quota"),
        metavar="PCT",
        type=_percent,
        help="end the hot copy when the filesystem with the changed blocks has only PCT percent free (default 5)",
    )
    add(
        "--store-size",
        metavar="SIZE",
        type=_size,
        help="space for changed blocks, such as 512M or 4G (binary), instead of as much as it takes",
    )
    add(
        "--all-blocks",
        action="store_true",
        help="keep what was free space as well (deleted files); otherwise it reads as zeros",
    )
    add("-l", "--list", action="store_true", help="list the hot copies")
    add("--json", action="store_true", help="with -l and --changed: for programs")
    add(
        *("-r", "--remove"),
        metavar="HOTCOPY",
        nargs="?",
        const="",
        help="unmount and end a hot copy: /dev/hcpN, its mount point or its origin",
    )
    add(
        "--all", action="store_true", help="with -r: every hot copy, the newest first; goes on when one cannot be ended"
    )
    add("-s", "--show-hcp-device", metavar="DEVICE", help="print the hot copies of DEVICE, one a line")
    add("--changed", metavar="DEVICE", help="print what was written to DEVICE: offset and length in bytes, one a line")
    add("--since", metavar="HOTCOPY", help="with --changed: since this hot copy was made, not the newest")
    add("--until", metavar="HOTCOPY", help="with --changed: until this hot copy was made, not until now")
    add("--bitmap", action="store_true", help="with --changed: one bit for each 4 KiB")
    add("-v", "--version", action="store_true", help="print the driver's version")
    add("-h", "--help", action="store_true", help="print this help")
    return grammar


def read(argv: Sequence[str]) -> Given:
    """What a command line says. UsageError."""
    found = vars(parser().parse_intermixed_args(list(argv)))
    return Given(**{**found, "devices": tuple(found["devices"])})
