# SPDX-License-Identifier: GPL-2.0-or-later

"""mountinfo as kernels write it."""

from __future__ import annotations

import pytest

from hotcopy import mounts
from hotcopy.devid import DevId

PLAIN = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resuid=65534"
SPACE = r"42 27 7:0 / /tmp/l\040te\134st\011 rw,relatime shared:1 master:2 - ext4 /dev/loop0 rw"
PART = "43 27 7:0 /sub/dir /srv rw,relatime - ext4 /dev/loop0 rw"
READ_ONLY = "44 27 7:0 / /ro ro,relatime - ext4 /dev/loop0 rw"


def test_line_without_optional_fields() -> None:
    mount = mounts.parse_line(PLAIN)
    assert mount == mounts.Mount(
        DevId(254, 0), "/", "/", ("rw", "relatime"), "ext4", "/dev/vda", ("rw", "discard", "resuid=65534")
    )
    assert mount.writable


def test_optional_fields_and_escapes() -> None:
    mount = mounts.parse_line(SPACE)
    assert mount.mount_point == "/tmp/l te\\st\t"
    assert mount.source == "/dev/loop0"


def test_escape_is_one_word_and_the_inverse_of_unescape() -> None:
    path = "/a b\\c\td\ne"
    assert len(mounts.escape(path).split()) == 1
    assert mounts.unescape(mounts.escape(path)) == path


def test_bytes_that_are_not_utf8_survive() -> None:
    text = b"1 1 8:1 / /\xff\\040\xe9 rw - ext4 /dev/sda1 rw".decode("utf-8", "surrogateescape")
    assert mounts.parse_line(text).mount_point.encode("utf-8", "surrogateescape") == b"/\xff \xe9"


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3:4 / / rw", "1 2 x:y / / rw - ext4 a rw"])
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        mounts.parse_line(text)


def test_by_device_and_by_place() -> None:
    table = mounts.parse(f"{PLAIN}\n{SPACE}\n{PART}\n{READ_ONLY}\n")
    assert [mount.mount_point for mount in mounts.of_device(table, DevId(7, 0))] == ["/tmp/l te\\st\t", "/srv", "/ro"]
    found = mounts.at(table, "/srv")
    assert found is not None
    assert found.root == "/sub/dir"
    assert mounts.at(table, "/nowhere") is None
    assert not mounts.parse_line(READ_ONLY).writable


def test_a_part_or_a_read_only_mount_is_not_whole_and_writable() -> None:
    assert mounts.whole_and_writable(mounts.parse(f"{PART}\n{READ_ONLY}")) is None


def test_this_system() -> None:
    table = mounts.read()
    assert any(mount.mount_point == "/" for mount in table)
    assert any(mount.fstype == "proc" for mount in table)
