# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds hotcopy-install.pyz: ``python3 -m installer.pyz TARGET``. All of it in one file, for any Python from 3.9 on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipapp
from collections.abc import Sequence
from pathlib import Path

_OLDEST = "3.9"
_TREE = Path(__file__).resolve().parents[1]
_PACKAGES = ("hotcopy", "installer")
_LIBRARIES = ("distro", "packaging", "pyyaml")  # what it imports where it runs; packages are not built there yet
_EPOCH = 315532800  # 1980-01-01, the first day of a zip file: two builds are the same
_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("hotcopy-install: error: Python 3.9 or later is needed, this is %d.%d; install a newer one and name it:"
             " python3.11 %s" % (sys.version_info[0], sys.version_info[1], sys.argv[0]))
from installer.cli import main

sys.exit(main())
"""
_UNWANTED = shutil.ignore_patterns(
    "__pycache__", "*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", "config.h", "kernel.stamp", "pyz.py"
)


def _libraries(target: Path) -> None:
    """Pure Python only: a shared library in a zip file cannot be loaded."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--python-version", _OLDEST, "--only-binary", ":all:", "--target", str(target), *_LIBRARIES),
        ],
        check=True,
        timeout=600,
    )
    for path in sorted(target.rglob("*"), reverse=True):
        if path.suffix == ".so" or path.name == "__pycache__":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(target / "bin", ignore_errors=True)


def build(target: Path) -> None:
    """Writes the archive."""
    with tempfile.TemporaryDirectory(prefix="hotcopy-pyz-") as scratch:
        stage = Path(scratch)
        _libraries(stage)
        for name in _PACKAGES:
            shutil.copytree(_TREE / name, stage / name, ignore=_UNWANTED)
        shutil.copy(_TREE / "LICENSE", stage / "LICENSE")
        (stage / "__main__.py").write_text(_MAIN, encoding="utf-8")
        for path in stage.rglob("*"):
            os.utime(path, (_EPOCH, _EPOCH))
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        zipapp.create_archive(stage, new, interpreter="/usr/bin/env python3", compressed=True)
        new.chmod(0o755)
        new.replace(target)


def main(argv: Sequence[str]) -> int:
    """Builds it where the command line says."""
    if len(argv) != 1:
        print("usage: python3 -m installer.pyz TARGET", file=sys.stderr)
        return 2
    build(Path(argv[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
