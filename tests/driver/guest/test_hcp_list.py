# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp -l, -s and -v: every label, and what programs read."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from tests.driver.guest.commands import run
from tests.driver.guest.hcp import hcp, refused
from tests.driver.guest.origins import OTHER_LINK, Origin, hot_copies

pytestmark = pytest.mark.two_kernels

LABELS = ("Real Device", "Virtual Device", "Changed Blocks Stored", "Mounted", "Time Created", "Changed Blocks")


@pytest.mark.quick
def test_list_record(origin: Origin) -> None:
    hcp(origin.node)
    lines = hcp("-l").splitlines()
    assert lines[0] == "****** hcp1 ******"
    values = {}
    for line, label in zip(lines[1:], LABELS):
        assert line[:24] == f" {label}:".ljust(24), line
        assert line[24] != " ", line
        values[label] = line[24:]
    assert values["Real Device"] == origin.node
    assert values["Virtual Device"] == "/dev/hcp1"
    assert values["Changed Blocks Stored"] == f"{origin.path}/.hotcopy"
    assert values["Mounted"] == str(origin.default_mount)
    amount = re.fullmatch(r"(\d+\.\d\d) MiB \((\d+) bytes\)", values["Changed Blocks"])
    assert amount
    assert amount[1] == f"{int(amount[2]) / 2**20:.2f}"
    then = run("date", "-d", values["Time Created"], "+%s")
    assert abs(time.time() - int(then)) < 120
    assert " State:                 active" in lines
    assert not [line for line in lines[1:] if line[23] != " " or line[24] == " "]


@pytest.mark.one_kernel
def test_several_names_and_numbers(ext4: Origin) -> None:
    assert hcp("-s", ext4.node) == ""
    for number in (1, 2, 3):
        assert f"Hot Copy created at: /dev/hcp{number}\n" in hcp("--skip-mount", ext4.node)
    assert hcp("-s", ext4.node) == "/dev/hcp1\n/dev/hcp2\n/dev/hcp3\n"
    assert hcp("--show-hcp-device", ext4.link) == "/dev/hcp1\n/dev/hcp2\n/dev/hcp3\n"
    assert hcp("-s", os.path.realpath(OTHER_LINK)) == ""
    refused("-r", ext4.node, parts=("/dev/hcp1, /dev/hcp2, /dev/hcp3", "hcp -r /dev/hcp1"))
    assert hcp("-r", "hcp2") == "Hot Copy Session has successfully been stopped.\n"
    assert "Hot Copy created at: /dev/hcp2\n" in hcp("--skip-mount", ext4.node)
    assert [copy["number"] for copy in hot_copies()] == [1, 2, 3]
    assert hot_copies()[1]["sequence"] > hot_copies()[2]["sequence"]
    hcp("-r", "hcp1")
    hcp("-r", "hcp3")
    last = hcp("-r", ext4.node).splitlines()
    assert last[0] == "Hot Copy Session has successfully been stopped."
    assert last[1].startswith("All active Hot Copy sessions have been stopped.")
    assert hcp("-l") == "No Hot Copy sessions\n"


@pytest.mark.one_kernel
def test_json(ext4: Origin) -> None:
    before = time.time()
    hcp(ext4.node)
    document = json.loads(hcp("--list", "--json"))
    assert document["format"] == 1
    (copy,) = document["hot_copies"]
    assert (copy["name"], copy["number"], copy["device"], copy["origin"]) == ("hcp1", 1, "/dev/hcp1", ext4.node)
    status = os.stat("/dev/hcp1")
    assert copy["device_number"] == f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    source = os.stat(ext4.node)
    assert (
        copy["origin_number"] == copy["store_device_number"] == f"{os.major(source.st_rdev)}:{os.minor(source.st_rdev)}"
    )
    assert copy["sectors"] == int(run("blockdev", "--getsz", ext4.node))
    assert copy["sectors"] == int(run("blockdev", "--getsz", "/dev/hcp1"))
    assert copy["state"] == "active"
    assert copy["reason"] is None
    assert copy["open"]
    assert copy["mount_points"] == [str(ext4.default_mount)]
    assert copy["frozen_us"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", copy["created"])
    assert before - 1 < int(run("date", "-d", copy["created"], "+%s")) <= time.time() + 1


@pytest.mark.one_kernel
def test_version_is_the_drivers(ext4: Origin) -> None:
    hcp("--skip-mount", ext4.node)
    assert hcp("-v") == Path("/sys/module/hcpdriver/version").read_text(encoding="ascii")


@pytest.mark.one_kernel
def test_the_driver_is_loaded_when_needed(ext4: Origin) -> None:
    if os.path.exists("/sys/module/hcpdriver"):
        run("rmmod", "hcpdriver")
    assert hcp("-l") == "No Hot Copy sessions\n"
    refused("-r", "hcp1", parts=("no hot copy hcp1",))
    assert not os.path.exists("/sys/module/hcpdriver")
    hcp("--skip-mount", ext4.node)
    assert os.path.exists("/sys/module/hcpdriver")
