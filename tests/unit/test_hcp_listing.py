# SPDX-License-Identifier: GPL-2.0-or-later

"""The texts that scripts read: byte for byte."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from hotcopy import listing, mounts
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError
from hotcopy.remove import find

COPY = HotCopy(
    minor=1,
    read_only=False,
    is_open=True,
    state="active",
    reason="",
    device=DevId(252, 1),
    origin=DevId(8, 33),
    store=DevId(8, 33),
    floor_percent=5,
    free_known=True,
    wants_space=False,
    fixed_store=False,
    changed_lost=False,
    sequence=7,
    created_ns=1_372_757_462_000_000_789,
    frozen_ns=19_123_456,
    nr_sectors=2048,
    preserved_bytes=262144,
    private_bytes=4096,
    store_bytes=64 << 20,
    store_used_bytes=1 << 20,
    free_bytes=300 << 10,
    growths=2,
    in_flight_bytes=0,
    path="/dev/sdc1",
    store_path="/backup",
)
TABLE = mounts.parse(
    "50 1 252:1 / /var/hotcopy/sdc1_hcp1 rw - ext4 /dev/hcp1 rw\n51 1 252:1 / /second rw - ext4 /dev/hcp1 rw"
)


@pytest.fixture(autouse=True)
def seoul() -> Iterator[None]:
    """The zone of the example in the reference."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "KST-9"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_record_of_the_reference() -> None:
    lines = listing.text(listing.sessions([COPY], TABLE))
    assert lines[:7] == (
        "****** hcp1 ******",
        " Real Device:           /dev/sdc1",
        " Virtual Device:        /dev/hcp1",
        " Changed Blocks Stored: /backup",
        " Mounted:               /var/hotcopy/sdc1_hcp1",
        " Time Created:          Tue Jul  2 18:31:02 KST 2013",
        " Changed Blocks:        0.25 MiB (262144 bytes)",
    )
    assert lines[7] == " State:                 active"
    assert lines[-2:] == (" Free Space Floor:      5 %", " Store Grows:           yes")


ELSEWHERE = COPY._replace(minor=2, origin=DevId(8, 1))


@pytest.mark.parametrize(
    ("copies", "grows"),
    [
        ([COPY, ELSEWHERE._replace(free_known=False)], [True, True]),
        ([COPY, COPY._replace(minor=2, free_known=False), ELSEWHERE], [False, False, True]),
        ([COPY, COPY._replace(minor=2, free_known=False, state="failed")], [True, False]),
        ([COPY._replace(fixed_store=True)], [False]),
        ([COPY._replace(state="overflow")], [False]),
    ],
)
def test_whose_store_grows(copies: list[HotCopy], grows: list[bool]) -> None:
    sessions = listing.sessions(copies, TABLE)
    assert [session.grows for session in sessions] == grows
    assert [row["store_grows"] for row in json.loads(listing.as_json(sessions))["hot_copies"]] == grows


def test_every_value_starts_in_column_25() -> None:
    broken = COPY._replace(state="failed", reason="the store could not be read", read_only=True)
    for line in listing.text(listing.sessions([broken], TABLE))[1:]:
        assert (line[0], line[23]) == (" ", " "), line
        assert line[24] != " ", line
    assert " Reason:                the store could not be read" in listing.text(listing.sessions([broken], TABLE))


def test_labels_of_the_reference_are_unique_in_a_record() -> None:
    lines = listing.text(listing.sessions([COPY], TABLE))
    for label in (
        "Real Device:",
        "Virtual Device:",
        "Changed Blocks Stored:",
        "Mounted:",
        "Time Created:",
        "Changed Blocks:",
    ):
        assert sum(label in line for line in lines) == 1, label
    assert [line.count(":") for line in lines if "Virtual Device" in line] == [1]


def test_mounted_is_one_word_whatever_the_path() -> None:
    table = mounts.parse(r"50 1 252:1 / /mnt/a\040b rw - ext4 /dev/hcp1 rw")
    (line,) = [line for line in listing.text(listing.sessions([COPY], table)) if "Mounted:" in line]
    assert line.split() == ["Mounted:", "/mnt/a\\040b"]
    (line,) = [line for line in listing.text(listing.sessions([COPY], ())) if "Mounted:" in line]
    assert line.split() == ["Mounted:", "-"]


def test_no_sessions() -> None:
    assert listing.text(()) == ("No Hot Copy sessions",)


def test_several_records() -> None:
    lines = listing.text(listing.sessions([COPY, COPY._replace(minor=3)], TABLE))
    assert [line for line in lines if line.startswith("*")] == ["****** hcp1 ******", "****** hcp3 ******"]


def test_json() -> None:
    document = json.loads(listing.as_json(listing.sessions([COPY], TABLE)))
    assert document["format"] == 1
    (copy,) = document["hot_copies"]
    assert copy == {
        "name": "hcp1",
        "number": 1,
        "device": "/dev/hcp1",
        "device_number": "252:1",
        "origin": "/dev/sdc1",
        "origin_number": "8:33",
        "state": "active",
        "reason": None,
        "read_only": False,
        "open": True,
        "mount_points": ["/var/hotcopy/sdc1_hcp1", "/second"],
        "created": "2013-07-02T09:31:02.000000789Z",
        "sequence": 7,
        "frozen_us": 19123,
        "sectors": 2048,
        "changed_bytes": 262144,
        "private_bytes": 4096,
        "in_flight_bytes": 0,
        "store": "/backup",
        "store_device_number": "8:33",
        "store_bytes": 64 << 20,
        "store_used_bytes": 1 << 20,
        "store_fixed": False,
        "store_grows": True,
        "growths": 2,
        "floor_percent": 5,
        "free_known": True,
        "free_bytes": 300 << 10,
        "changed_known": True,
    }
    assert json.loads(listing.as_json(())) == {"format": 1, "hot_copies": []}


def test_json_survives_a_path_that_is_not_utf8() -> None:
    odd = COPY._replace(path=os.fsdecode(b"/dev/\xff"))
    assert json.loads(listing.as_json(listing.sessions([odd], ())))["hot_copies"][0]["origin"] == "/dev/\udcff"


@pytest.mark.parametrize("text", ["/dev/hcp1", "hcp1"])
def test_find_by_name(text: str) -> None:
    assert find(text, [COPY], TABLE) is COPY


@pytest.mark.parametrize("text", ["/dev/hcp2", "hcp2", "/dev/nosuch", "/", "hcp01", "", "a\0b"])
def test_find_nothing(text: str) -> None:
    with pytest.raises(HcpError, match="no hot copy"):
        find(text, [COPY], TABLE)


def test_find_by_an_origin_whose_node_is_gone() -> None:
    gone = COPY._replace(path="/dev/nosuch")
    assert find("/dev/nosuch", [gone], TABLE) is gone
    with pytest.raises(HcpError, match="/dev/hcp1, /dev/hcp2"):
        find("/dev/nosuch", [gone, gone._replace(minor=2)], TABLE)
