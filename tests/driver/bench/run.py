"""The one way this bench starts other programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

Arg = Union[str, Path]


class CommandError(RuntimeError):
    """A program failed; the message carries what it said."""


def run(
    argv: Sequence[Arg],
    *,
    timeout: float = 600,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, its output and errors taken together as text."""
    command = [str(arg) for arg in argv]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{shlex.join(command)}: no end after {timeout:.0f} s") from error
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]}: not found (tests/setup/prepare installs it)") from error
    if check and done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise CommandError(f"{shlex.join(command)}: exit {done.returncode}\n{tail}")
    return done


def in_chroot(root: Path, argv: Sequence[str], *, check: bool = True, timeout: float = 300) -> str:
    """Run a program in a tree, with /proc, in namespaces that vanish with it."""
    done = run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root / 'proc'}",
         "chroot", root, *argv],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        check=check,
        timeout=timeout,
    )  # fmt: skip
    return done.stdout
