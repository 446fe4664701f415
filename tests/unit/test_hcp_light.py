# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes hcp quick to start: few modules for a hot copy, light records, plain command lines read without argparse."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Callable

import pytest

from hotcopy import context, grammar, options
from hotcopy.errors import UsageError
from hotcopy.light import NamedTuple
from hotcopy.light import signal as light_signal
from hotcopy.options import Given

TOP = Path(__file__).parents[2]
# Each takes 10 to 100 ms of an emulated CPU; what they are for here is done in a child, after a failure, or not at all.
HEAVY = {
    *(
        "argparse",
        "collections",
        "contextlib",
        "dataclasses",
        "enum",
        "functools",
        "gettext",
        "inspect",
        "json",
        "locale",
    ),
    *("mmap", "operator", "pathlib", "pickle", "re", "shutil", "signal"),
    *("socket", "subprocess", "tempfile", "threading", "traceback", "typing", "uuid"),
    *(
        f"hotcopy.{name}"
        for name in ("counting", "ending", "fat", "fibmap", "grammar", "holders", "keeper", "namespaces")
    ),
}
# Ends where a hot copy begins to be made: all modules are there then, and no device is needed.
LOAD = """
import sys
sys.path.insert(0, sys.argv.pop(1))
before = set(sys.modules)
from hotcopy import cli, create
create.create = lambda request, out: print(*sorted(set(sys.modules) - before))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [("/dev/sda1",), ("--skip-mount", "/dev/a", "/dev/b"), ("-m", "/x", "/dev/a"), ("-c", "/x", "-o", "/dev/a")],
)
def test_a_hot_copy_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    argv = (sys.executable, "-IS", "-c", LOAD, str(TOP), *words)
    loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert {"hotcopy.create", "hotcopy.planning", "hotcopy.freespace"} <= loaded
    assert loaded & HEAVY == set()


def test_the_installed_program_is_that_one() -> None:
    text = (TOP / "packaging/common/hcp").read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    assert [line for line in text.splitlines() if "import" in line] == [
        "import sys",
        "from hotcopy.process import run  # noqa: E402",
    ]


WORDS = [
    *(
        "/dev/a",
        "dir",
        "hcp1",
        "",
        "-",
        "--",
        "-m",
        "--mount-point",
        "--mount",
        "-c",
        "-o",
        "--read-only",
        "--skip-mount",
    ),
    *(
        "--force",
        "-q",
        "5",
        "--store-size",
        "64M",
        "--all-blocks",
        "--all",
        "-l",
        "--list",
        "--json",
        "-r",
        "-s",
        "-v",
        "-h",
    ),
    *("--remove", "--remove=hcp1", "-rhcp1", "-oc", "--changed", "--since", "--bitmap", "--nosuch", "-1"),
]


def by_grammar(words: tuple[str, ...]) -> Given | None:
    try:
        return grammar.read(words)
    except UsageError:
        return None


def test_plain_lines_are_read_as_the_grammar_has_them() -> None:
    read = [words for count in range(3) for words in itertools.product(WORDS, repeat=count) if options.read(words)]
    # Of three words only what is read here without the last one, or with it: the rest is the grammar's anyway.
    plain = [word for word in WORDS if word in options._ALONE or word in options._WITH_WORD or not word.startswith("-")]
    read += [words for words in itertools.product(plain, repeat=3) if options.read(words)]
    assert len(read) > 1000
    differing = [words for words in read if options.read(words) != by_grammar(words)]
    assert differing == []


@pytest.mark.parametrize(
    "line",
    ["/dev/a", "/dev/a /dev/b", "-o /dev/a", "-m /x /dev/a", "--skip-mount -c /x --force /dev/a", "-l", "-r hcp1"],
)
def test_what_is_usual_needs_no_grammar(line: str) -> None:
    assert options.read(line.split()) == grammar.read(line.split())


@pytest.mark.parametrize("line", ["-q 5 /dev/a", "--store-size=64M /dev/a", "--skip /dev/a", "-r", "--nosuch", "-h"])
def test_all_else_is_for_the_grammar(line: str) -> None:
    assert options.read(line.split()) is None


class Record(NamedTuple):
    """Like those of hcp."""

    number: int
    name: str = "none"
    parts: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        """Twice the number."""
        return self.number * 2

    @classmethod
    def of(cls, text: str) -> Record:
        """From text."""
        return cls(int(text))


def test_records_are_named_tuples() -> None:
    record = Record(7, parts=(1, 2))
    assert (record.number, record.name, record.parts, record.double) == (7, "none", (1, 2), 14)
    assert tuple(record) == (7, "none", (1, 2))
    assert record == Record._make([7, "none", (1, 2)])
    assert record._replace(name="one") == Record(7, "one", (1, 2)) != record
    assert repr(record) == "Record(number=7, name='none', parts=(1, 2))"
    assert {record: 1}[Record(7, "none", (1, 2))] == 1
    assert Record.of("3") < record
    number, *_ = record
    assert number == 7
    assert not hasattr(record, "__dict__")
    with pytest.raises(AttributeError):
        record.number = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, "a", (), 4), {}), ((1,), {"number": 2}), ((1,), {"nosuch": 2}), ((1, "a", ()), {"name": "b"})],
)
def test_records_want_each_field_once(values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Record has the fields"):
        Record(*values, **named)  # type: ignore[arg-type]


@contextlib.contextmanager
def original(log: list[str], does: str) -> Iterator[str]:
    """A manager as hcp's own ones are made, by the original."""
    yield from noted(log, does)


@context.contextmanager
def light(log: list[str], does: str) -> Iterator[str]:
    """The same, by ours."""
    yield from noted(log, does)


def noted(log: list[str], does: str) -> Iterator[str]:
    """Notes what happens to it, and does something unusual if asked to."""
    log.append("entered")
    if does == "fails at once":
        raise KeyError(does)
    if does == "has no yield":
        return
    try:
        yield "given"
    except OSError as error:
        log.append(f"saw {error!r}")
        if does == "turns it":
            raise ValueError(does) from error
        if does != "swallows":
            raise
    finally:
        log.append("left")
    if does == "yields twice":
        yield "again"


def outcome(manager: Callable[[list[str], str], AbstractContextManager[str]], does: str, raises: str) -> list[str]:
    """All that a with statement shows of a manager."""
    log: list[str] = []
    kinds = {"OSError": OSError, "StopIteration": StopIteration, "RuntimeError": RuntimeError}
    try:
        with manager(log, does) as given:
            log.append(given)
            if raises:
                raise kinds[raises]("inside")
        log.append("went on")
    except Exception as error:
        log.append(f"{error!r} from {error.__cause__!r}, in {len(traceback.extract_tb(error.__traceback__)) > 0}")
    return log


@pytest.mark.parametrize("raises", ["", "OSError", "StopIteration", "RuntimeError"])
@pytest.mark.parametrize("does", ["nothing", "fails at once", "has no yield", "turns it", "swallows", "yields twice"])
def test_light_managers_do_what_the_originals_do(does: str, raises: str) -> None:
    assert outcome(light, does, raises) == outcome(original, does, raises)


def stacked(kind: type[contextlib.ExitStack], failing: Collection[str], raises: bool) -> list[str]:
    """All that a stack of three managers and a callback shows; those named fail when they are left, "swallow" swallows."""
    log: list[str] = []

    @contextlib.contextmanager
    def manager(name: str) -> Iterator[str]:
        log.append(f"{name} entered")
        try:
            yield name
        except Exception as error:
            log.append(f"{name} saw {error!r}")
            if name not in failing and "swallow" not in failing:
                raise
        if name in failing:
            raise ValueError(name)

    def call(word: str) -> None:
        log.append(f"called with {word}")
        if "call" in failing:
            raise KeyError(word)

    try:
        with kind() as stack:
            log.append(stack.enter_context(manager("a")))
            stack.callback(call, "word")
            stack.enter_context(manager("b"))
            if raises:
                raise OSError("inside")
        log.append("went on")
    except Exception as error:
        log.append(f"{error!r} after {error.__context__!r}")
    return log


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("failing", [(), ("a",), ("b",), ("call",), ("a", "b"), ("a", "b", "call"), ("swallow",)])
def test_a_light_stack_does_what_the_original_does(failing: tuple[str, ...], raises: bool) -> None:
    assert stacked(context.ExitStack, failing, raises) == stacked(contextlib.ExitStack, failing, raises)
    assert context.ExitStack is not contextlib.ExitStack


@pytest.mark.parametrize("kind", [OSError, FileNotFoundError, ValueError])
def test_suppress_lets_only_the_named_ones_pass(kind: type[Exception]) -> None:
    for named in ((), (OSError,), (OSError, KeyError), (Exception,)):
        with contextlib.suppress(*named) as nothing, context.suppress(*named) as nothing_either:
            assert nothing is nothing_either is None
        answers = [bool(one(*named).__exit__(kind, kind("x"), None)) for one in (contextlib.suppress, context.suppress)]
        assert answers == [issubclass(kind, named)] * 2


def test_signals_have_their_numbers() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGKILL", "SIGURG", "SIG_BLOCK", "SIG_SETMASK"):
        assert getattr(light_signal, name) == getattr(signal, name)
