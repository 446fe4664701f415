# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``hcp`` (also installed as ``hotcopy``).

A hot copy is taken in less time than it takes to load all of hcp, so each action loads what it needs and no more.
"""

from __future__ import annotations

import sys

from hotcopy import options, output
from hotcopy.errors import HcpError, UsageError
from hotcopy.light import TYPE_CHECKING
from hotcopy.options import HINT, Given
from hotcopy.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotcopy.driver import HotCopy
    from hotcopy.planning import Request

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

_ONE_WANTED = "argument -r/--remove: expected one argument"


def _actions(given: Given) -> list[str]:
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


def _is_given(given: Given, name: str) -> bool:
    # Not "in (None, False)": 0 is a quota.
    value = getattr(given, name)
    return value is not None and value is not False


def _refuse_strays(given: Given, action: str) -> None:
    """UsageError for an option that does not belong to what is asked for."""
    if given.json and action not in ("--list", "--changed"):
        raise UsageError("--json goes with --list and --changed only", "hcp --list --json")
    if given.all and action != "--remove":
        raise UsageError("--all goes with --remove only", "hcp --remove --all")
    for name in _WITH_CHANGED:
        if _is_given(given, name) and action != "--changed":
            raise UsageError(f"--{name} goes with --changed only", "hcp --changed DEVICE")
    if not given.devices and any(_is_given(given, name) for name in _WITH_CREATION):
        raise UsageError(f"the other options do not go with {action}", HINT)


def _refuse_many(devices: Sequence[str]) -> None:
    from hotcopy import abi

    if len(devices) > abi.MAX_ORIGINS:
        raise UsageError(f"{len(devices)} devices are too many, the most is {abi.MAX_ORIGINS}", HINT)


def _one_action(given: Given) -> None:
    """UsageError unless exactly one thing is asked for, with options that belong to it."""
    actions = _actions(given)
    if len(actions) > 1:
        raise UsageError(f"{actions[0]} and {actions[1]} do not go together", HINT)
    _refuse_strays(given, actions[0] if actions else "no device")
    if not actions:
        raise UsageError("no device given", HINT)
    if given.remove is not None and bool(given.remove) == given.all:
        raise UsageError("--all and a hot copy do not go together" if given.all else _ONE_WANTED, HINT)
    if given.json and given.bitmap:
        raise UsageError("--json and --bitmap do not go together", "give one of them")
    if given.mount_point is not None and given.skip_mount:
        raise UsageError("--mount-point and --skip-mount do not go together", "give one of them")
    if given.force and given.changed_blocks is None:
        raise UsageError("--force goes with --changed-blocks only", HINT)
    if given.mount_point is not None and len(given.devices) > 1:
        raise UsageError(
            f"--mount-point is for one device, not for {len(given.devices)}",
            "leave it out: each has a place of its own",
        )
    if len(given.devices) > 1:
        _refuse_many(given.devices)


def _is_hot_copy(device: str) -> bool:
    name = device[5:] if device.startswith("/dev/") else device
    return name.startswith("hcp") and name[3:].isdecimal()


def _request(given: Given) -> Request:
    from hotcopy.planning import Request

    for device in given.devices:
        if _is_hot_copy(device):
            raise UsageError(f"{device} is itself a hot copy", f"to end it: hcp -r {device}")
    if "" in (*given.devices, given.mount_point, given.changed_blocks):
        raise UsageError("an empty name was given", HINT)
    return Request(
        devices=given.devices,
        mount_point=given.mount_point,
        skip_mount=given.skip_mount,
        read_only=given.read_only,
        store_size=given.store_size,
        changed_blocks=given.changed_blocks,
        force=given.force,
        quota=given.quota,
        all_blocks=given.all_blocks,
    )


def _changed(device: str, given: Given, out: Output) -> None:
    from hotcopy import changed

    form = "json" if given.json else "bitmap" if given.bitmap else "text"
    changed.changed(changed.Request(device, given.since, given.until, form), out)


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


def _remove(name: str, everything: bool, out: Output) -> None:
    from hotcopy import remove

    if everything:
        remove.remove_all(out)
    else:
        remove.remove(name, out)


def _create(given: Given, out: Output) -> None:
    from hotcopy import create

    create.create(_request(given), out)


def _by_grammar(argv: Sequence[str]) -> Given:
    from hotcopy import grammar

    return grammar.read(argv)


def _help(out: Output) -> None:
    from hotcopy import grammar

    out.line(grammar.parser().format_help().rstrip("\n"))


def _act(argv: Sequence[str], out: Output) -> None:
    given = options.read(argv) or _by_grammar(argv)
    if given.help:
        _help(out)
        return
    _one_action(given)
    if given.version:
        _version(out)
    elif given.list:
        _list(given.json, out)
    elif given.show_hcp_device is not None:
        _show(given.show_hcp_device, out)
    elif given.changed is not None:
        _changed(given.changed, given, out)
    elif given.remove is not None:
        _remove(given.remove, given.all, out)
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
