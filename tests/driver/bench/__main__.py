"""The bench by hand: python3 -m tests.driver.bench {kernels,prepare,build,shell,test} ..."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.kernels import ARM, DEBUG, FURTHER, KERNELS, by_name, locate
from tests.driver.bench.module import build_module
from tests.driver.bench.progress import say
from tests.driver.bench.session import list_tests, run_and_print

NAMES = [kernel.name for kernel in KERNELS]
EVERY = [*NAMES, *(kernel.name for kernel in FURTHER), DEBUG.name, ARM.name]


def show_kernels(bench: Bench, _options: argparse.Namespace) -> int:
    """Print the package found for each kernel."""
    for kernel in KERNELS:
        found = locate(bench.cache, kernel)
        print(f"{kernel.name:6} {found.package} {found.version}")
    return 0


def prepare(bench: Bench, options: argparse.Namespace) -> int:
    """Build everything that guests of these kernels need, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(bench.prepare, options.kernel or NAMES))
    say(f"kernels ready; accelerator: {bench.accelerator()}")
    return 0


def build(bench: Bench, options: argparse.Namespace) -> int:
    """Compile the driver and print what the compiler and sparse complain about."""
    status = 0
    for name in options.kernel or NAMES:
        found = bench.prepare(name).found
        checks = [False, True] if found.kernel.sparse else [False]
        for check in checks:
            built = build_module(bench.cache, found, bench.driver, check=check)
            for line in built.complaints:
                print(f"{name}: {line}")
                status = 1
            print(f"{name}: {'sparse' if check else built.module}")
    return status


def shell(bench: Bench, options: argparse.Namespace) -> int:
    """Run one shell command in a guest and print its output."""
    with Guest(bench, options.kernel, check=False) as guest:
        status = guest.stream(["/bin/sh", "-c", options.command], sys.stdout, timeout=options.timeout)
        if status:
            print(f"exit {status}\n{guest.console_tail()}", file=sys.stderr)
    return status


def test(bench: Bench, options: argparse.Namespace) -> int:
    """Run guest tests on kernels, one line for each."""
    tests = [test for test in list_tests(["-k", options.k] if options.k else []) if test.core or not options.core]
    results = []
    for name in options.kernel or NAMES:
        lacks = by_name(name).lacks if options.core else ()
        left_out = [test for test in tests if set(lacks).intersection(test.marks)]
        for each in left_out:
            say(f"{name}: left out: {each.name} (the kernel has no {', '.join(lacks)})")
        results += run_and_print(bench, name, [test for test in tests if test not in left_out])
    bad = sum(result.outcome != "passed" for result in results)
    print(f"{len(results) - bad} passed, {bad} failed")
    return 1 if bad or not results else 0


def main() -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.driver.bench", description=__doc__)
    parser.add_argument("--driver", type=Path, help="driver source instead of kmod/")
    parser.add_argument("--keep-logs", type=Path, help="keep each guest's console in this directory")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("kernels").set_defaults(act=show_kernels)
    command = commands.add_parser("prepare")
    command.add_argument("kernel", nargs="*", help="all of them if none is named")
    command.set_defaults(act=prepare)
    command = commands.add_parser("build")
    command.add_argument("kernel", nargs="*", help="all of them if none is named")
    command.set_defaults(act=build)
    command = commands.add_parser("shell")
    command.add_argument("kernel", choices=EVERY)
    command.add_argument("command")
    command.add_argument("--timeout", type=float, default=300)
    command.set_defaults(act=shell)
    command = commands.add_parser("test")
    command.add_argument("kernel", nargs="*", help="all of them if none is named")
    command.add_argument("-k", help="only tests whose name fits, as pytest has it")
    command.add_argument(
        "--core", action="store_true", help="only the driver's core: what no marker takes from any kernel"
    )
    command.set_defaults(act=test)
    options = parser.parse_args()
    bench = Bench(keep_logs=options.keep_logs)
    if options.driver:
        bench.driver = options.driver.resolve()
    status: int = options.act(bench, options)
    return status


if __name__ == "__main__":
    sys.exit(main())
