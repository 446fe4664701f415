# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook stays while there is a hot copy, whoever else traces the kernel."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.disks import SIZE, filesystem, partitions
from tests.driver.guest.hotcopies import attempt, copies, hot_copy, info, take_bare
from tests.driver.guest.scene import changing, known

TRACING = Path("/sys/kernel/tracing")
SYSCTL = Path("/proc/sys/kernel/ftrace_enabled")


@contextlib.contextmanager
def traced(tracer: str) -> Iterator[None]:
    """submit_bio_noacct is traced by somebody else too."""
    if not (TRACING / "current_tracer").exists():
        run("mount", "-t", "tracefs", "tracefs", str(TRACING))
    if tracer == "kprobe":
        (TRACING / "kprobe_events").write_text("p:hcptest submit_bio_noacct\n", encoding="ascii")
        switch, off = TRACING / "events/kprobes/hcptest/enable", "0"
        switch.write_text("1", encoding="ascii")
    else:
        (TRACING / "set_ftrace_filter").write_text("submit_bio_noacct\n", encoding="ascii")
        (TRACING / "set_graph_function").write_text("submit_bio_noacct\n", encoding="ascii")
        switch, off = TRACING / "current_tracer", "nop"
        switch.write_text(tracer, encoding="ascii")
    try:
        yield
        assert "submit_bio_noacct" in (TRACING / "trace").read_text(errors="replace") or tracer == "kprobe"
    finally:
        switch.write_text(off, encoding="ascii")
        for name in ("kprobe_events", "set_ftrace_filter", "set_graph_function", "trace"):
            (TRACING / name).write_text("", encoding="ascii")


@pytest.mark.parametrize("tracer", ["function", "function_graph", "kprobe"])
def test_exact_while_the_hooked_function_is_traced(tracer: str) -> None:
    with changing() as (fs, change), known(fs) as (copy, truth):
        with background(change) as (worker,):
            worker.wait_rounds(5)
            with traced(tracer):
                worker.wait_rounds(10)
                second = take_bare(fs.node)
                worker.wait_rounds(10)
            worker.wait_rounds(5)
        fs.sync()
        assert info(second).state == "active"
        truth.check(copy, fs.store_ranges())


@pytest.mark.quick
def test_function_tracing_cannot_be_switched_off_beneath_a_hot_copy() -> None:
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes(1 << 20))
        fs.sync()
        with hot_copy(node) as copy:
            try:
                with contextlib.suppress(OSError):
                    SYSCTL.write_text("0", encoding="ascii")
                before = info(copy).preserved_bytes
                with open(path, "r+b") as file:
                    file.write(bytes([1]) * (1 << 20))
                    os.fsync(file.fileno())
                assert info(copy).preserved_bytes >= before + (1 << 20)
            finally:
                SYSCTL.write_text("1", encoding="ascii")


def switched_off() -> bool:
    """No function tracing from here on; newer kernels have no such switch any more and say so."""
    try:
        SYSCTL.write_text("0", encoding="ascii")
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return False
    return True


def test_a_hot_copy_without_function_tracing_is_refused() -> None:
    """With the hook refused, nothing is made and nothing left."""
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        if switched_off():
            try:
                status, text = attempt("--skip-mount", node)
            finally:
                SYSCTL.write_text("1", encoding="ascii")
            assert (status, copies(), fs.store_names()) == (1, (), []), text
        with hot_copy(node) as copy:
            assert info(copy).state == "active"
