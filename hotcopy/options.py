# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line says, and reading the plain ones.

To load argparse and to tell it the grammar takes 0.2 of the second that a hot copy may take in the emulated guest. So what
needs none of it is read here: devices, options in full that stand alone, and those followed by a word of their own. Everything
else (numbers, shortened options, --option=value, errors) is read by grammar.py; a test compares the two.
"""

from __future__ import annotations

from hotcopy.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

HINT = "hcp --help shows what there is"

_ALONE = {
    "--skip-mount": "skip_mount",
    "-o": "read_only",
    "--read-only": "read_only",
    "--force": "force",
    "--all-blocks": "all_blocks",
    "-l": "list",
    "--list": "list",
    "--json": "json",
    "--all": "all",
    "-v": "version",
    "--version": "version",
}
_WITH_WORD = {
    "-m": "mount_point",
    "--mount-point": "mount_point",
    "-c": "changed_blocks",
    "--changed-blocks": "changed_blocks",
    "-r": "remove",
    "--remove": "remove",
    "-s": "show_hcp_device",
    "--show-hcp-device": "show_hcp_device",
}


class Given(NamedTuple):
    """What was given, by the long names of the options; ``remove`` is "" when it names nothing, ``store_size`` is in bytes."""

    devices: tuple[str, ...] = ()
    mount_point: str | None = None
    skip_mount: bool = False
    read_only: bool = False
    changed_blocks: str | None = None
    force: bool = False
    quota: int | None = None
    store_size: int | None = None
    all_blocks: bool = False
    list: bool = False
    json: bool = False
    remove: str | None = None
    all: bool = False
    show_hcp_device: str | None = None
    changed: str | None = None
    since: str | None = None
    until: str | None = None
    bitmap: bool = False
    version: bool = False
    help: bool = False


def read(argv: Sequence[str]) -> Given | None:
    """What a plain command line says; None for any other, a wrong one too."""
    devices: list[str] = []
    found: dict[str, str | bool] = {}
    words = iter(argv)
    for word in words:
        if word in _ALONE:
            found[_ALONE[word]] = True
        elif word in _WITH_WORD:
            value = next(words, "")
            if not value or value.startswith("-"):
                return None
            found[_WITH_WORD[word]] = value
        elif not word or word.startswith("-"):
            return None
        else:
            devices.append(word)
    return Given(devices=tuple(devices), **found)  # type: ignore[arg-type]  # each has what its table says
