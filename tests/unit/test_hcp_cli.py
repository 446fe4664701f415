# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a process: what it accepts, what it says, how it ends. Nothing here needs the driver."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hotcopy import checks, cli, errors, grammar, lock, mounting, signals, store
from hotcopy.run import run
from hotcopy.sizes import parse_size

TOP = Path(__file__).parents[2]


def hcp(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command, run from the tree."""
    argv = [sys.executable, "-m", "hotcopy", *words]
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    return subprocess.run(argv, text=True, capture_output=True, env=environment, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def refused(words: Sequence[str], status: int, *parts: str) -> None:
    """One line on stderr with every part in it, nothing on stdout, and this status."""
    done = hcp(*words)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert re.fullmatch(r"hcp: error: [^\n]+\n", done.stderr), done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "no device"),
        (["--nosuch"], "--nosuch"),
        (["-m", "/x", "/dev/a", "/dev/b"], "for one device"),
        (["/dev/a", "/dev/hcp1"], "hcp -r /dev/hcp1"),
        (["/dev/a", ""], "empty"),
        ([f"/dev/a{number}" for number in range(17)], "too many"),
        (["-l", "/dev/a"], "do not go together"),
        (["-l", "-r", "hcp1"], "do not go together"),
        (["-l", "-v"], "do not go together"),
        (["-l", "-o"], "do not go with --list"),
        (["-r", "hcp1", "-m", "/x"], "do not go with --remove"),
        (["-r"], "expected one argument"),
        (["-s"], "expected one argument"),
        (["-m"], "expected one argument"),
        (["--json"], "--json goes with"),
        (["--json", "/dev/a"], "--json goes with"),
        (["-m", "/x", "--skip-mount", "/dev/a"], "do not go together"),
        (["/dev/a", "-c"], "expected one argument"),
        (["/dev/a", "-c", ""], "empty"),
        (["--force", "/dev/a"], "--force goes with"),
        (["-l", "-q", "0"], "do not go with --list"),
        (["-q", "5", "-v"], "do not go with --version"),
        (["-q", "91", "/dev/a"], "the most is 90%"),
        (["-q", "-5", "/dev/a"], "-5"),
        (["--quota=5.5", "/dev/a"], "not a percentage"),
        (["--quota", "%", "/dev/a"], "not a percentage"),
        (["--all"], "--all goes with"),
        (["--all", "/dev/a"], "--all goes with"),
        (["-r", "hcp1", "--all"], "do not go together"),
        (["-r", "--all", "-m", "/x"], "do not go with --remove"),
        (["--since", "hcp1"], "--since goes with"),
        (["-l", "--until", "hcp1"], "--until goes with"),
        (["--bitmap", "/dev/a"], "--bitmap goes with"),
        (["--changed"], "expected one argument"),
        (["--changed", "/dev/a", "/dev/b"], "do not go together"),
        (["--changed", "/dev/a", "--json", "--bitmap"], "do not go together"),
        (["--changed", "/dev/a", "-o"], "do not go with --changed"),
        (["--chan", "/dev/a", "/dev/b"], "ambiguous"),
        (["--store-size", "big", "/dev/a"], "not a size"),
        (["--store-size", "4K", "/dev/a"], "too small"),
        (["--s", "/dev/a"], "ambiguous"),
        (["/dev/hcp1"], "hcp -r /dev/hcp1"),
        (["hcp7", "-o"], "hcp -r hcp7"),
        ([""], "empty"),
        (["-m", "", "/dev/a"], "empty"),
    ],
)
def test_usage(words: list[str], part: str) -> None:
    refused(words, 2, part, "; ")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["/dev/nosuch"], ["/dev/nosuch", "No such file", "lsblk"]),
        (["/etc/passwd"], ["regular file", "losetup"]),
        (["/"], ["directory", "hcp /dev/"]),
        (["/proc"], ["directory", "no block device"]),
        (["/dev/null"], ["not a block device"]),
        (["server:/export"], ["network filesystem", "server"]),
        (["//server/share"], ["network filesystem"]),
        (["[fe80::1]:/export"], ["network filesystem"]),
        (["-o", "/dev/nosuch"], ["/dev/nosuch"]),
        (["/dev/nosuch", "-o", "-m", "/x/"], ["/dev/nosuch"]),
        (["/dev/nosuch", "-c", "/x", "-q", "5%", "--force"], ["/dev/nosuch"]),
        (["/dev/nosuch", "--changed-b", "/x", "--quota=5"], ["/dev/nosuch"]),
        (["/dev/nosuch", "/dev/nosuch2"], ["/dev/nosuch"]),
        (["--changed", "/dev/nosuch"], ["/dev/nosuch"]),
        (["--mount-point=/x", "/dev/nosuch"], ["/dev/nosuch"]),
        (["--mou", "/x", "--read", "/dev/nosuch"], ["/dev/nosuch"]),
        (["--", "/dev/nosuch"], ["/dev/nosuch"]),
        (["-s", "/dev/nosuch"], ["/dev/nosuch"]),
        (["/dev/a\nb"], ["/dev/a b"]),
    ],
)
def test_refusals(words: list[str], parts: list[str]) -> None:
    refused(words, 1, *parts)


@pytest.mark.parametrize("words", [["-r", "hcp1"], ["-r", "/dev/hcp9"], ["--remove=/mnt"], ["--rem", "/dev/nosuch"]])
def test_remove_without_driver(words: list[str]) -> None:
    refused(words, 1, "there is no hot copy", "not loaded")


def test_remove_all_without_driver() -> None:
    for words in (("-r", "--all"), ("--all", "--remove")):
        done = hcp(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "No Hot Copy sessions\n", "")


def test_list_without_driver() -> None:
    done = hcp("-l")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No Hot Copy sessions\n", "")
    done = hcp("--list", "--json")
    assert json.loads(done.stdout) == {"format": 1, "hot_copies": []}
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [["/dev/sda1"], ["-l"], ["-r", "hcp1"], ["-r", "--all"], ["-s", "/dev/sda1"], ["--changed", "/dev/sda1"]]
)
def test_not_root(words: list[str]) -> None:
    code = f"import os, sys; os.setuid(65534); from hotcopy.cli import main; sys.exit(main({words!r}))"
    argv = [
        sys.executable,
        "-c",
        # All of it first: nobody may not read a clone in a directory of root's own.
        f"import sys; sys.path.insert(0, {str(TOP)!r}); import gettext, locale, shutil, pkgutil, importlib, hotcopy;"
        "[importlib.import_module(f'hotcopy.{each.name}') for each in pkgutil.iter_modules(hotcopy.__path__)"
        f" if each.name != '__main__']; {code}",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "hcp: error: hcp needs root; run it with sudo\n"


def test_help() -> None:
    for word in ("-h", "--help", "--he"):
        done = hcp(word)
        assert done.returncode == 0
        assert done.stderr == ""
    for option in (
        "--mount-point",
        "--skip-mount",
        "--read-only",
        "--list",
        "--remove",
        "--show-hcp-device",
        "--version",
        "--changed-blocks",
        "--quota",
        "--all",
        "--changed",
        "--since",
        "--until",
    ):
        assert option in done.stdout


def test_help_without_stdout() -> None:
    for redirection in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/null"):
        line = f'exec "{sys.executable}" -m hotcopy -h {redirection}'
        done = subprocess.run(["sh", "-c", line], cwd=TOP, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), redirection


def test_lost_output_is_a_failure_and_a_closed_pipe_is_not() -> None:
    line = f'"{sys.executable}" -m hotcopy -h >/dev/full'
    done = subprocess.run(["sh", "-c", line], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "standard output" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "hotcopy", "-h"]
    piped = subprocess.run(argv, cwd=TOP, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (piped.returncode, piped.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64M", 64 << 20),
        ("64m", 64 << 20),
        ("1GiB", 1 << 30),
        ("2T", 2 << 40),
        ("512K", 512 << 10),
        ("7", 7),
        ("3MB", 3 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "10%", "1P"])
def test_not_sizes(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


def test_errors_are_one_line() -> None:
    assert str(errors.HcpError("a\nb", "c\td")) == "a b; c d"
    assert str(errors.HcpError("a")) == "a"


@pytest.mark.parametrize(("text", "percent"), [("5", 5), ("5%", 5), ("0", 0), ("90 %", 90), (" 7 ", 7)])
def test_percentages(text: str, percent: int) -> None:
    assert grammar.parser().parse_args(["-q", text, "/dev/a"]).quota == percent


def test_swap_table() -> None:
    text = (
        "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
        "/dev/sda2                               partition\t1048572\t0\t-2\n"
        "/swap\\040file                           file\t\t1048572\t0\t-3\n"
        "/dev/dm\\0401                            partition\t1048572\t0\t-4\n"
    )
    assert checks.swap_devices(text) == ("/dev/sda2", "/dev/dm 1")
    assert checks.swap_devices("") == ()


def test_lock_excludes_and_names_the_holder(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with lock.held(path), pytest.raises(errors.HcpError, match=str(os.getpid())), lock.held(path, patience=0.1):
        pass
    with lock.held(path):
        pass


def test_run() -> None:
    done = run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.status, done.out, done.err, done.message) == (3, "out", "err", "err")
    with pytest.raises(errors.HcpError, match="missing"):
        run("no-such-program-at-all")
    with pytest.raises(errors.HcpError, match="did not finish"):
        run("sleep", "10", timeout=0.1)


@pytest.fixture
def handlers() -> Iterator[None]:
    """What the signals do is as before when the test has ended."""
    old = {number: signal.getsignal(number) for number in signals.STOPPING}
    yield
    for number, handler in old.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_signals_are_deferred() -> None:
    def work() -> None:
        with signals.deferred() as check:
            check()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            check()

    with pytest.raises(errors.InterruptedByUserError, match="SIGTERM"):
        work()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("handlers")
def test_signals_after_the_work_change_nothing() -> None:
    with signals.deferred() as check:
        check()
    for number in signals.STOPPING:
        os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.usefixtures("handlers")
def test_ignored_signals_stay_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals.deferred() as check:
        os.kill(os.getpid(), signal.SIGHUP)
        check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_mount_points_are_made_and_unmade(tmp_path: Path) -> None:
    place = mounting.prepare(str(tmp_path / "a" / "b" / ""))
    assert place.path == str(tmp_path / "a" / "b")
    assert Path(place.path).is_dir()
    place.undo()
    assert list(tmp_path.iterdir()) == []
    existing = mounting.prepare(str(tmp_path))
    existing.undo()
    assert tmp_path.is_dir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(errors.HcpError, match="mount point"):
            mounting.prepare(str(path))


def test_default_mount_point() -> None:
    path = mounting.default_path("sda1", "hcp1")
    assert path == "/var/hotcopy/sda1_hcp1"


def test_exit_status_constants() -> None:
    assert (cli.EXIT_DONE, cli.EXIT_FAILED, cli.EXIT_USAGE) == (0, 1, 2)


def test_standard_library_only() -> None:
    code = f"import sys; sys.path.insert(0, {str(TOP)!r}); import hotcopy.cli, hotcopy.__main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_the_floor_that_help_promises() -> None:
    assert f"(default {store.FLOOR_PERCENT})" in " ".join(hcp("--help").stdout.split())


def test_what_a_hot_copy_loads() -> None:
    """Every module costs time before the hot copy is taken; these cost most, and it needs none of them."""
    code = (
        "import sys; before = set(sys.modules); import hotcopy.cli, hotcopy.create; print(*set(sys.modules) - before)"
    )
    environment = {"PYTHONPATH": str(TOP)}
    argv = [sys.executable, "-S", "-c", code]
    loaded = subprocess.run(
        argv, text=True, capture_output=True, env=environment, check=True, timeout=60
    ).stdout.split()
    assert "hotcopy.create" in loaded
    for module in (
        "dataclasses",
        "subprocess",
        "json",
        "socket",
        "pickle",
        "inspect",
        "hotcopy.keeper",
        "hotcopy.remove",
    ):
        assert module not in loaded


def test_the_installed_command(tmp_path: Path) -> None:
    """As packages install it; PYTHON* variables and what lies in the directory have no say."""
    (tmp_path / "lib").symlink_to(TOP)
    (tmp_path / "hotcopy.py").write_text("raise SystemExit(77)")
    text = (TOP / "packaging/common/hcp").read_text()
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    (tmp_path / "hcp").write_text(text.replace("/usr/lib/hotcopy", str(tmp_path / "lib")))
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere"}
    argv = [sys.executable, "-IS", str(tmp_path / "hcp"), "--version", "--list"]
    done = subprocess.run(argv, text=True, capture_output=True, env=environment, check=False, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hcp: error: --list and --version do not go together; hcp --help shows what there is\n"
