# SPDX-License-Identifier: GPL-2.0-or-later

"""hotcopy/abi.py says the same as kmod/hcp_ioctl.h, as a C compiler understands it."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hotcopy import abi

HEADER = Path(__file__).parents[2] / "kmod" / "hcp_ioctl.h"
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "hcp_ioc_version": abi.IocVersion,
    "hcp_ioc_extent": abi.IocExtent,
    "hcp_ioc_segment": abi.IocSegment,
    "hcp_ioc_origin": abi.IocOrigin,
    "hcp_ioc_create": abi.IocCreate,
    "hcp_ioc_remove": abi.IocRemove,
    "hcp_ioc_info": abi.IocInfo,
    "hcp_ioc_store": abi.IocStore,
    "hcp_ioc_free": abi.IocFree,
    "hcp_ioc_grow": abi.IocGrow,
    "hcp_ioc_end": abi.IocEnd,
    "hcp_ioc_wait": abi.IocWait,
    "hcp_ioc_changed": abi.IocChanged,
}
NUMBERS: dict[str, int] = {
    "HCP_ABI_VERSION": abi.ABI_VERSION,
    "HCP_UNIT_SIZE": abi.UNIT_SIZE,
    "HCP_REASON_LEN": abi.REASON_LEN,
    "HCP_PATH_LEN": abi.PATH_LEN,
    "HCP_VERSION_LEN": abi.VERSION_LEN,
    "HCP_MAX_ORIGINS": abi.MAX_ORIGINS,
    "HCP_MAX_FREEZE": abi.MAX_FREEZE,
    "HCP_MAX_EXTENTS": abi.MAX_EXTENTS,
    "HCP_MAX_SNAPSHOTS": abi.MAX_SNAPSHOTS,
    "HCP_MAX_SEGMENTS": abi.MAX_SEGMENTS,
    "HCP_MAX_FREE": abi.MAX_FREE,
    "HCP_CREATE_READ_ONLY": abi.CREATE_READ_ONLY,
    "HCP_CREATE_FIXED_STORE": abi.CREATE_FIXED_STORE,
    "HCP_CREATE_UNCOUNTED": abi.CREATE_UNCOUNTED,
    "HCP_INFO_READ_ONLY": abi.INFO_READ_ONLY,
    "HCP_INFO_OPEN": abi.INFO_OPEN,
    "HCP_INFO_FREE_KNOWN": abi.INFO_FREE_KNOWN,
    "HCP_INFO_WANTS_SPACE": abi.INFO_WANTS_SPACE,
    "HCP_INFO_FIXED_STORE": abi.INFO_FIXED_STORE,
    "HCP_INFO_CHANGED_LOST": abi.INFO_CHANGED_LOST,
    "HCP_WAIT_KEEPER": abi.WAIT_KEEPER,
    "HCP_STATE_ACTIVE": abi.State.ACTIVE,
    "HCP_STATE_OVERFLOW": abi.State.OVERFLOW,
    "HCP_STATE_FAILED": abi.State.FAILED,
    "HCP_IOC_VERSION": abi.IOC_VERSION,
    "HCP_IOC_CREATE": abi.IOC_CREATE,
    "HCP_IOC_REMOVE": abi.IOC_REMOVE,
    "HCP_IOC_NEXT": abi.IOC_NEXT,
    "HCP_IOC_STORE": abi.IOC_STORE,
    "HCP_IOC_FREE": abi.IOC_FREE,
    "HCP_IOC_GROW": abi.IOC_GROW,
    "HCP_IOC_END": abi.IOC_END,
    "HCP_IOC_WAIT": abi.IOC_WAIT,
    "HCP_IOC_CHANGED": abi.IOC_CHANGED,
}


def from_header(expressions: list[str], directory: Path) -> list[str]:
    """What the compiler makes of C expressions with the header included."""
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed"
    source = directory / "print.c"
    lines = "".join(f'printf("%llu\\n", (unsigned long long)({text}));' for text in expressions)
    source.write_text(
        f'#include <stdio.h>\n#include <stddef.h>\n#include <sys/ioctl.h>\n#include "{HEADER}"\n'
        f'int main(void) {{ {lines} puts("/dev/" HCP_CONTROL_NAME); return 0; }}\n',
        encoding="ascii",
    )
    program = directory / "print"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)], check=True)
    return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split()


def members(struct: str) -> list[str]:
    """The names of a structure's members, as the header lists them."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="ascii"), flags=re.DOTALL)
    body = re.search(rf"struct {struct} \{{(.*?)\}};", text, re.DOTALL)
    assert body, struct
    return re.findall(r"(\w+)(?:\[\w+\])?;", body[1])


def test_every_structure_of_the_header_is_compared() -> None:
    text = HEADER.read_text(encoding="ascii")
    assert set(re.findall(r"^struct (\w+) \{", text, re.MULTILINE)) == set(STRUCTS)
    assert set(re.findall(r"^\s*(?:#define\s+)?(HCP_STATE_\w+|HCP_IOC_(?!MAGIC)\w+)", text, re.MULTILINE)) <= set(
        NUMBERS
    )


@pytest.mark.parametrize("struct", STRUCTS)
def test_layout(struct: str, tmp_path: Path) -> None:
    layout = STRUCTS[struct]
    names = [field[0] for field in layout._fields_]
    assert names == members(struct)
    wanted = [f"sizeof(struct {struct})"]
    ours = [ctypes.sizeof(layout)]
    for name in names:
        wanted += [f"offsetof(struct {struct}, {name})", f"sizeof(((struct {struct} *)0)->{name})"]
        ours += [getattr(layout, name).offset, getattr(layout, name).size]
    assert [str(number) for number in ours] == from_header(wanted, tmp_path)[:-1]


def test_numbers(tmp_path: Path) -> None:
    *numbers, node = from_header(list(NUMBERS), tmp_path)
    assert dict(zip(NUMBERS, map(int, numbers))) == {name: int(value) for name, value in NUMBERS.items()}
    assert node == f"/dev/{abi.CONTROL_NAME}"
