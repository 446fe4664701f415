# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp --changed prints, from extents as the driver gives them."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Iterable, Iterator

import pytest

from hotcopy import changed
from hotcopy.changed import Request, Span, as_bitmap, as_json, as_text, choose, merged
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.errors import DriverError, HcpError
from hotcopy.fiemap import Extent
from tests.unit.test_hcp_listing import COPY

UNIT = 4096
DEVICE = BlockDevice("/dev/sdc1", "/dev/sdc1", COPY.origin, "sdc1", "sdc1", 1 << 20, False)


def extents(*pairs: tuple[int, int]) -> list[Extent]:
    """From first unit and number of units."""
    return [Extent(first * UNIT, first * UNIT, count * UNIT) for first, count in pairs]


def pairs(found: Iterable[Extent]) -> list[tuple[int, int]]:
    return [(extent.physical, extent.length) for extent in found]


def test_neighbours_are_joined() -> None:
    found = merged(extents((0, 1), (1, 2), (4, 1), (5, 1), (9, 1)), 100 * UNIT)
    assert pairs(found) == [(0, 3 * UNIT), (4 * UNIT, 2 * UNIT), (9 * UNIT, UNIT)]
    assert pairs(merged([], UNIT)) == []


def test_the_last_unit_ends_with_the_device() -> None:
    assert pairs(merged(extents((3, 2)), 4 * UNIT + 512)) == [(3 * UNIT, UNIT + 512)]


def test_text() -> None:
    assert b"".join(as_text(extents((0, 3), (4, 1)))) == b"0 12288\n16384 4096\n"


@pytest.mark.parametrize("found", [[], [(0, 3)], [(0, 3), (7, 1)]])
def test_json(found: list[tuple[int, int]]) -> None:
    later = COPY._replace(minor=2, sequence=8)
    text = b"".join(as_json(Span(COPY, later), "/dev/sdc1", extents(*found)))
    assert json.loads(text) == {
        "format": 1,
        "origin": "/dev/sdc1",
        "since": "/dev/hcp1",
        "since_created": "2013-07-02T09:31:02.000000789Z",
        "until": "/dev/hcp2",
        "until_created": "2013-07-02T09:31:02.000000789Z",
        "unit_bytes": UNIT,
        "size_bytes": 1 << 20,
        "extents": [{"offset": first * UNIT, "length": count * UNIT} for first, count in found],
    }
    assert text.endswith(b"}\n")
    assert json.loads(b"".join(as_json(Span(COPY, None), "/dev/sdc1", [])))["until"] is None


def test_bitmap_of_any_set_of_units() -> None:
    source = random.Random(1)
    for size in (1, 7, 8, 9, 64, 65, 1000):
        for density in (0, 0.02, 0.5, 0.98, 1):
            units = [unit for unit in range(size) if source.random() < density]
            bits = b"".join(as_bitmap(merged(extents(*((unit, 1) for unit in units)), size * UNIT), size * UNIT))
            assert len(bits) == -(-size // 8)
            assert [unit for unit in range(8 * len(bits)) if bits[unit // 8] >> unit % 8 & 1] == units


def test_bitmap_of_a_large_device_comes_in_pieces() -> None:
    size = 1 << 44
    parts = as_bitmap(extents((1 << 30, 1)), size)
    assert max(len(part) for part, _ in zip(parts, range(100))) <= 1 << 16


def test_a_broken_last_unit_has_a_bit() -> None:
    size = 8 * UNIT + 512
    assert b"".join(as_bitmap(merged(extents((8, 1)), size), size)) == b"\0\1"


def test_the_newest_hot_copy_is_the_default() -> None:
    copies = [COPY._replace(minor=minor, sequence=sequence) for minor, sequence in ((1, 9), (2, 7), (3, 8))]
    other = COPY._replace(minor=4, sequence=10, origin=DevId(9, 9))
    everything = [*copies, other]
    assert choose(Request("/dev/sdc1"), DEVICE, everything) == Span(copies[0], None)
    assert choose(Request("/dev/sdc1", until="hcp1"), DEVICE, everything) == Span(copies[2], copies[0])
    assert choose(Request("/dev/sdc1", "hcp2", "/dev/hcp3"), DEVICE, everything) == Span(copies[1], copies[2])
    for request, text in (
        (Request("x", "hcp3", "hcp2"), "not newer"),
        (Request("x", "hcp3", "hcp3"), "not newer"),
        (Request("x", until="hcp2"), "oldest"),
        (Request("x", "hcp4"), "not of /dev/sdc1"),
        (Request("x", "hcp7"), "no hot copy hcp7"),
    ):
        with pytest.raises(HcpError, match=text):
            choose(request, DEVICE, everything)
    with pytest.raises(HcpError, match="has no hot copy"):
        choose(Request("x"), DEVICE, [other])


def test_what_is_not_known_has_a_remedy() -> None:
    class Unknown:
        def __iter__(self) -> Iterator[Extent]:
            raise DriverError("what changed since /dev/hcp1 cannot be told: memory was short", errno.ENODATA)

    with pytest.raises(HcpError, match="full backup"):
        list(changed._changed(Unknown()))
