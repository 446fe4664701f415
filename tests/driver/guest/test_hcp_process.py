# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp as it is installed: a process with whatever streams, descriptors and environment it is given."""

from __future__ import annotations

import re

import pytest

from tests.driver.guest.commands import eventually, outcome, run
from tests.driver.guest.hcp import call, hcp
from tests.driver.guest.hotcopies import copies
from tests.driver.guest.origins import Origin


def without_amounts(text: str) -> str:
    """A listing, less what grows while the filesystem goes on writing."""
    return re.sub(r"[\d.]+ MiB \(\d+ bytes\)", "AMOUNT", text)


@pytest.mark.one_kernel
def test_hotcopy_is_the_same_command(ext4: Origin) -> None:
    assert "Hot Copy created at: /dev/hcp1\n" in run("hotcopy", "--skip-mount", ext4.node)
    assert without_amounts(run("hotcopy", "-l")) == without_amounts(hcp("-l"))


@pytest.mark.one_kernel
@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/null", "| true"])
def test_standard_streams(ext4: Origin, redirection: str) -> None:
    done = outcome("sh", "-c", f"hcp --skip-mount {ext4.node} {redirection}")
    assert (done.status, done.err) == (0, "")
    # Nobody waits for the first of a pipe.
    assert eventually(lambda: len(copies()) == 1)
    assert eventually(lambda: call("-r", "hcp1").status == 0)
    assert copies() == ()


@pytest.mark.one_kernel
def test_foreign_descriptors_and_no_environment(ext4: Origin) -> None:
    line = f"exec 7</etc/passwd 8>/dev/null 9<{ext4.path}; exec env -i /usr/local/bin/hcp {ext4.node}"
    done = outcome("sh", "-c", line)
    assert done.err == ""
    assert "Hot Copy mounted at: " in done.out
    done = outcome("sh", "-c", "exec 7</etc/passwd; exec env -i /usr/local/bin/hcp -r hcp1 >&-")
    assert (done.status, done.err) == (0, "")


@pytest.mark.one_kernel
def test_help_and_version_need_nothing() -> None:
    help_text = hcp("--help")
    for option in ("-m", "--skip-mount", "-o", "-c", "-q", "-l", "-r", "-s", "-v", "-h"):
        assert option in help_text
    assert run("hotcopy", "-h") == help_text


@pytest.mark.one_kernel
def test_no_children_to_wait_for_and_many_descriptors(ext4: Origin) -> None:
    # An ignored SIGCHLD is inherited; descriptors from 1024 on are beyond select().
    crowd = "import os; [os.dup2(0, fd) for fd in range(10, 1500)]; os.execvp('hcp', ['hcp', '--skip-mount', %r])"
    line = f"trap '' CHLD; ulimit -n 4096; exec python3 -c \"{crowd % ext4.node}\""
    done = outcome("sh", "-c", line)
    assert (done.status, done.err) == (0, "")
    assert len(copies()) == 1
