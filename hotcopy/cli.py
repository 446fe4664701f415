# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``hcp`` (also installed as ``hotcopy``).

A hot copy is taken in less time than it takes to load all of hcp, so each action loads what it needs and no more.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from hotcopy import abi, output
from hotcopy.errors import HcpError, UsageError
from hotcopy.output import Output
from hotcopy.sizes import parse_size

if TYPE_CHECKING:
    from hotcopy.driver import HotCopy
    from hotcopy.planning import Request

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

_HOT_COPY = re.compile(r"(?:/dev/)?hcp\d+")
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
_HINT = "hcp --help shows what there is"
_ONE_WANTED = "argument -r/--remove: expected one argument"
_HIGHEST_FLOOR = 90  # percent


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors of our own form."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, _HINT)


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


def _actions(given: argparse.Namespace) -> list[str]:
    """What is asked for, by the names of the options."""
    wanted = (
        ("--list", given.list),
        ("--remove", given.remove is not None),
        ("--show-hcp-device", given.show_hcp_device is not None),
        ("--changed", given.changed is not None),
        ("--version", given.version),
        ("a device to copy", bool(given.devices)),
    )
    return [name for name, is_wanted in wanted if is_wanted]


_WITH_CREATION = (
    "mount_point",
    "skip_mount",
    "read_only",
    "store_size",
    "changed_blocks",
    "force",
    "quota",
    "all_blocks",
)
_WITH_CHANGED = ("since", "until", "bitmap")


def _is_given(given: argparse.Namespace, name: str) -> bool:
    # Not "in (None, False)": 0 is a quota.
    value = getattr(given, name)
    return value is not None and value is not False


def _refuse_strays(given: argparse.Namespace, action: str) -> None:
    """UsageError for an option that does not belong to what is asked for."""
    if given.json and action not in ("--list", "--changed"):
        raise UsageError("--json goes with --list and --changed only", "hcp --list --json")
    if given.all and action != "--remove":
        raise UsageError("--all goes with --remove only", "hcp --remove --all")
    for name in _WITH_CHANGED:
        if _is_given(given, name) and action != "--changed":
            raise UsageError(f"--{name} goes with --changed only", "hcp --changed DEVICE")
    if not given.devices and any(_is_given(given, name) for name in _WITH_CREATION):
        raise UsageError(f"the other options do not go with {action}", _HINT)


def _one_action(given: argparse.Namespace) -> None:
    """UsageError unless exactly one thing is asked for, with options that belong to it."""
    actions = _actions(given)
    if len(actions) > 1:
        raise UsageError(f"{actions[0]} and {actions[1]} do not go together", _HINT)
    _refuse_strays(given, actions[0] if actions else "no device")
    if not actions:
        raise UsageError("no device given", _HINT)
    if given.remove is not None and bool(given.remove) == given.all:
        raise UsageError("--all and a hot copy do not go together" if given.all else _ONE_WANTED, _HINT)
    if given.json and given.bitmap:
        raise UsageError("--json and --bitmap do not go together", "give one of them")
    if given.mount_point is not None and given.skip_mount:
        raise UsageError("--mount-point and --skip-mount do not go together", "give one of them")
    if given.force and given.changed_blocks is None:
        raise UsageError("--force goes with --changed-blocks only", _HINT)
    if given.mount_point is not None and len(given.devices) > 1:
        raise UsageError(
            f"--mount-point is for one device, not for {len(given.devices)}",
            "leave it out: each has a place of its own",
        )
    if len(given.devices) > abi.MAX_ORIGINS:
        raise UsageError(f"{len(given.devices)} devices are too many, the most is {abi.MAX_ORIGINS}", _HINT)


def _request(given: argparse.Namespace) -> Request:
    from hotcopy.planning import Request

    for device in given.devices:
        if _HOT_COPY.fullmatch(device):
            raise UsageError(f"{device} is itself a hot copy", f"to end it: hcp -r {device}")
    if "" in (*given.devices, given.mount_point, given.changed_blocks):
        raise UsageError("an empty name was given", _HINT)
    return Request(
        devices=tuple(given.devices),
        mount_point=given.mount_point,
        skip_mount=given.skip_mount,
        read_only=given.read_only,
        store_size=given.store_size,
        changed_blocks=given.changed_blocks,
        force=given.force,
        quota=given.quota,
        all_blocks=given.all_blocks,
    )


def _changed(given: argparse.Namespace, out: Output) -> None:
    from hotcopy import changed

    form = "json" if given.json else "bitmap" if given.bitmap else "text"
    changed.changed(changed.Request(given.changed, given.since, given.until, form), out)


def _hot_copies() -> tuple[HotCopy, ...]:
    from hotcopy import attach, checks, upkeep

    checks.need_root()
    driver = attach.attached()
    if driver is None:
        return ()
    with driver:
        copies = driver.hot_copies()
        upkeep.restart_keeper(driver, copies)
        return copies


def _list(as_json: bool, out: Output) -> None:
    from hotcopy import listing, mounts

    found = listing.sessions(_hot_copies(), mounts.read())
    if as_json:
        out.line(listing.as_json(found))
        return
    for line in listing.text(found):
        out.line(line)


def _show(text: str, out: Output) -> None:
    from hotcopy.device import resolve

    copies = _hot_copies()
    origin = resolve(text).dev
    for copy in copies:
        if copy.origin == origin:
            out.line(copy.node)


def _version(out: Output) -> None:
    from hotcopy import attach

    out.line(attach.version())


def _remove(given: argparse.Namespace, out: Output) -> None:
    from hotcopy import remove

    if given.all:
        remove.remove_all(out)
    else:
        remove.remove(given.remove, out)


def _create(given: argparse.Namespace, out: Output) -> None:
    from hotcopy import create

    create.create(_request(given), out)


def _act(argv: Sequence[str], out: Output) -> None:
    grammar = parser()
    given = grammar.parse_intermixed_args(list(argv))
    if given.help:
        out.line(grammar.format_help().rstrip("\n"))
        return
    _one_action(given)
    if given.version:
        _version(out)
    elif given.list:
        _list(given.json, out)
    elif given.show_hcp_device is not None:
        _show(given.show_hcp_device, out)
    elif given.changed is not None:
        _changed(given, out)
    elif given.remove is not None:
        _remove(given, out)
    else:
        _create(given, out)


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
