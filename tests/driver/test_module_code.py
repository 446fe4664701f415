# SPDX-License-Identifier: GPL-2.0-or-later
"""What the compiler made of the driver, where the source alone cannot tell."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.kernels import by_name
from tests.driver.bench.module import build_module, source_files
from tests.driver.bench.run import in_chroot

HOOKED = "submit_bio_noacct"


@dataclass(frozen=True)
class Code:
    """How a disassembler writes what calls a function, and what takes its address."""

    relocation: str
    call: str
    address: tuple[str, ...]


CODES = {
    "amd64": Code("R_X86_64", "call", ("mov", "lea")),
    "arm64": Code("R_AARCH64", "bl", ("adrp", "add", "ldr")),
}


def tool_in_chroot(bench: Bench, kernel: str, module: Path, tool: str, *argv: str) -> str:
    """A program of the kernel's own suite on the module."""
    found = bench.prepare(kernel).found
    root = build_chroot(bench.cache, found)
    with module.open("rb") as file:
        copy = root / "tmp" / f"module-code-{kernel}.ko"
        copy.write_bytes(file.read())
    try:
        return in_chroot(root, [found.kernel.architecture.tools + tool, *argv, f"/tmp/{copy.name}"])
    finally:
        copy.unlink()


@pytest.mark.quick
def test_only_one_function_submits_and_it_calls(bench: Bench, kernel: str) -> None:
    """A jump would hide the caller from the hook, which would recurse for ever."""
    module = bench.module(kernel)
    assert module
    listing = tool_in_chroot(bench, kernel, module, "objdump", "-dr", "--no-show-raw-insn")
    code = CODES[by_name(kernel).architecture.name]
    function, instruction = "", ""
    uses: list[tuple[str, str]] = []
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(.+)>:$", line)
        if head:
            function = head[1]
        elif re.search(rf"{code.relocation}_\w+\s+{HOOKED}\b", line):
            uses.append((function, instruction))
        else:
            parts = line.split("\t")
            instruction = parts[1].split()[0].rstrip("q") if len(parts) > 1 and parts[1].split() else instruction
    address = [use for use in uses if use[1] in code.address]  # for ftrace, which is told where it is
    # Two instructions make an address on arm64.
    assert len(address) == len({use[1] for use in address}) and len({use[0] for use in address}) == 1, uses
    assert address[0][0].startswith(("hook_register", "hcp_hook_track")), uses
    assert [use for use in uses if use not in address] == [("hcp_io_submit", code.call)], uses
    body = listing.split("<hcp_io_submit>:", 1)[1].split("\n\n", 1)[0]
    assert re.search(rf"\b{code.call}q?\b[^\n]*\n[^\n]*{HOOKED}[^\n]*\n[^\n]*\t\w+", body), body


@pytest.mark.quick
def test_no_symbol_is_looked_up_behind_the_kernels_back(bench: Bench, kernel: str) -> None:
    """Nothing but exported symbols, which the module loader proves; and none that finds others by name."""
    module = bench.module(kernel)
    assert module
    undefined = set(re.findall(r"\bU (\w+)", tool_in_chroot(bench, kernel, module, "nm", "-u")))
    assert HOOKED in undefined
    assert not {name for name in undefined if re.match(r"kallsyms_|register_kprobe|__symbol_get|set_memory_", name)}


def without_mutants(source: Path, target: Path) -> None:
    """The driver's source as if kmod/mutant.h had never been; lines keep their numbers, which warnings have in the code."""
    for path in source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        if path.suffix in (".c", ".h"):
            text = re.sub(r"\bhcp_mutant\(\w+\)", "0", copy.read_text(encoding="utf-8"))
            copy.write_text(text.replace('#include "mutant.h"', ""), encoding="utf-8")
    (target / "mutant.h").unlink()


def test_faults_on_purpose_are_in_no_ordinary_build(bench: Bench, any_kernel: str, tmp_path: Path) -> None:
    """Instruction for instruction the code of a source that never had them."""
    module = bench.module(any_kernel)
    assert module
    without_mutants(bench.driver, tmp_path / "kmod")
    plain = build_module(bench.cache, bench.prepare(any_kernel).found, tmp_path / "kmod").module
    # Not .modinfo: it has a checksum of the source.
    for argv in (("objdump", "-dr"), ("objdump", "-s", "-j", ".rodata"), ("nm",)):
        ours, theirs = (tool_in_chroot(bench, any_kernel, path, *argv) for path in (module, plain))
        assert ours == theirs, argv
