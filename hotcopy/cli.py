# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``hcp`` (also installed as ``hotcopy``)."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from hotcopy import attach, checks, create, listing, mounts, output, remove
from hotcopy.device import resolve
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError, UsageError
from hotcopy.output import Output
from hotcopy.sizes import parse_size

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

_HOT_COPY = re.compile(r"(?:/dev/)?hcp\d+")
_SMALLEST_STORE = 1 << 20

_DESCRIPTION = "Makes an instant, writable, point-in-time copy of a live block device."
_EPILOG = """\
A hot copy shows the device as it was at one moment. What changes afterwards is
kept, as far as needed, in free space of the device's own filesystem.

  hcp /dev/sda1              copy /dev/sda1, see it at /var/hotcopy/sda1_hcp1
  hcp -m /mnt/copy /dev/sda1 see it at /mnt/copy instead
  hcp -l                     list the hot copies
  hcp -r /dev/hcp1           end this one

Exit status: 0 done, 1 failed, 2 wrong usage.
"""


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors of our own form."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, "hcp --help shows what there is")


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if size < _SMALLEST_STORE:
        raise argparse.ArgumentTypeError(f"{text} is too small, the least is {_SMALLEST_STORE >> 20}M")
    return size


def parser() -> argparse.ArgumentParser:
    """The grammar; long options may be shortened as far as they stay unique."""
    grammar = _Parser(
        prog="hcp",
        usage="hcp [-m DIR | --skip-mount] [-o] [--store-size SIZE] DEVICE\n"
        "       hcp -l [--json] | -s DEVICE | -r HOTCOPY | -v | -h",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    grammar.add_argument("devices", nargs="*", metavar="DEVICE", help="the block device to copy")
    add = grammar.add_argument
    add("-m", "--mount-point", metavar="DIR", help="mount the hot copy on DIR instead of /var/hotcopy/<device>_hcpN")
    add("--skip-mount", action="store_true", help="make the device only")
    add("-o", "--read-only", action="store_true", help="make and mount the hot copy read-only")
    add("--store-size", metavar="SIZE", type=_size, help="space for changed blocks, such as 512M or 4G (binary)")
    add("-c", "--changed-blocks", metavar="DEVICE", help="keep changed blocks elsewhere (not there yet)")
    add("-q", "--quota", metavar="PCT", help="floor of free space in percent (not there yet)")
    add("-l", "--list", action="store_true", help="list the hot copies")
    add("--json", action="store_true", help="with -l: for programs")
    add(
        "-r", "--remove", metavar="HOTCOPY", help="unmount and end a hot copy: /dev/hcpN, its mount point or its origin"
    )
    add("-s", "--show-hcp-device", metavar="DEVICE", help="print the hot copies of DEVICE, one a line")
    add("-v", "--version", action="store_true", help="print the driver's version")
    add("-h", "--help", action="store_true", help="print this help")
    return grammar


def _one_action(given: argparse.Namespace) -> None:
    """UsageError unless exactly one thing is asked for, with options that belong to it."""
    hint = "hcp --help shows what there is"
    actions = [
        name
        for name, wanted in (
            ("--list", given.list),
            ("--remove", given.remove is not None),
            ("--show-hcp-device", given.show_hcp_device is not None),
            ("--version", given.version),
            ("a device to copy", bool(given.devices)),
        )
        if wanted
    ]
    if given.json and not given.list:
        raise UsageError("--json goes with --list only", "hcp --list --json")
    if not actions:
        raise UsageError("no device given", hint)
    if len(actions) > 1:
        raise UsageError(f"{actions[0]} and {actions[1]} do not go together", hint)
    if len(given.devices) > 1:
        raise UsageError("one device at a time", f"hcp {given.devices[0]}")
    options = (
        given.mount_point,
        given.skip_mount,
        given.read_only,
        given.store_size,
        given.changed_blocks,
        given.quota,
    )
    if not given.devices and any(option not in (None, False) for option in options):
        raise UsageError(f"the other options do not go with {actions[0]}", hint)
    if given.changed_blocks is not None:
        raise UsageError("-c (--changed-blocks) is not there yet, it comes with a later version", "leave it out")
    if given.quota is not None:
        raise UsageError("-q (--quota) is not there yet, the floor is 5 % of the filesystem", "leave it out")
    if given.mount_point is not None and given.skip_mount:
        raise UsageError("--mount-point and --skip-mount do not go together", "give one of them")


def _request(given: argparse.Namespace) -> create.Request:
    device: str = given.devices[0]
    if _HOT_COPY.fullmatch(device):
        raise UsageError(f"{device} is itself a hot copy", f"to end it: hcp -r {device}")
    if not device or given.mount_point == "":
        raise UsageError("an empty name was given", "hcp --help shows what there is")
    return create.Request(
        device=device,
        mount_point=given.mount_point,
        skip_mount=given.skip_mount,
        read_only=given.read_only,
        store_size=given.store_size,
    )


def _hot_copies() -> tuple[HotCopy, ...]:
    checks.need_root()
    driver = attach.attached()
    if driver is None:
        return ()
    with driver:
        return driver.hot_copies()


def _list(as_json: bool, out: Output) -> None:
    found = listing.sessions(_hot_copies(), mounts.read())
    if as_json:
        out.line(listing.as_json(found))
        return
    for line in listing.text(found):
        out.line(line)


def _show(text: str, out: Output) -> None:
    copies = _hot_copies()
    origin = resolve(text).dev
    for copy in copies:
        if copy.origin == origin:
            out.line(copy.node)


def _act(argv: Sequence[str], out: Output) -> None:
    grammar = parser()
    given = grammar.parse_intermixed_args(list(argv))
    if given.help:
        out.line(grammar.format_help().rstrip("\n"))
        return
    _one_action(given)
    if given.version:
        out.line(attach.version())
    elif given.list:
        _list(given.json, out)
    elif given.show_hcp_device is not None:
        _show(given.show_hcp_device, out)
    elif given.remove is not None:
        remove.remove(given.remove, out)
    else:
        create.create(_request(given), out)


def main(argv: list[str] | None = None) -> int:
    """Runs hcp with ``argv`` (default: the process's arguments) and returns its exit status; never raises for users."""
    output.secure_descriptors()
    out = Output()
    try:
        _act(sys.argv[1:] if argv is None else argv, out)
    except HcpError as error:
        output.complain(f"hcp: error: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        output.complain("hcp: error: stopped by SIGINT")
        return EXIT_FAILED
    except OSError as error:
        # Something no module foresaw: still one line, not a traceback.
        output.complain(f"hcp: error: {error}; this is unexpected, please report it")
        return EXIT_FAILED
    if out.failed:
        output.complain("hcp: error: standard output could not be written; what was asked has been done")
        return EXIT_FAILED
    return EXIT_DONE
