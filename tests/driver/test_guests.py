"""Every guest test on every kernel, each a test of its own here.

The guests run in the background, two kernels at a time; the tests here wait for their results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conftest import kernel_names
from tests.driver.bench.bench import Bench
from tests.driver.bench.progress import say
from tests.driver.bench.session import GuestTest, Result, list_tests, run_tests

AT_ONCE = 2  # guests: as many as there are cores on the smallest machine

Key = tuple[str, str]


class Runs:
    """The guests in the background, and a future for the result of each test."""

    def __init__(self, bench: Bench, wanted: list[tuple[str, GuestTest]]) -> None:
        self._bench = bench
        self._futures: dict[Key, Future[Result]] = {}
        tests: dict[str, list[GuestTest]] = {}
        for kernel, test in wanted:
            self._futures[kernel, test.name] = Future()
            tests.setdefault(kernel, []).append(test)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        for kernel, chosen in tests.items():
            self._pool.submit(self._run, kernel, chosen)

    def _run(self, kernel: str, tests: list[GuestTest]) -> None:
        say(f"{kernel}: {len(tests)} tests")
        try:
            run_tests(self._bench, kernel, tests, self._report)
        except Exception as error:
            for test in tests:
                future = self._futures[kernel, test.name]
                if not future.done():
                    future.set_exception(error)
        say(f"{kernel}: all tests have ended")

    def _report(self, result: Result) -> None:
        future = self._futures.get((result.kernel, result.test))
        if future and not future.done():
            future.set_result(result)

    def result(self, kernel: str, test: str) -> Result:
        """Wait for the result of one test; the session bounds how long that can take."""
        return self._futures[kernel, test].result()

    def close(self) -> None:
        """Kill the guests that nobody waits for any more."""
        self._bench.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each kernel and guest test, kernel by kernel."""
    if "guest_test" in metafunc.fixturenames:
        tests = list_tests()
        metafunc.parametrize(
            ("kernel", "guest_test"),
            [
                pytest.param(
                    kernel,
                    test,
                    id=f"{kernel}-{test.name}",
                    marks=[pytest.mark.quick] if "quick" in test.marks else [],
                )
                for kernel in kernel_names(metafunc.config)
                for test in tests
            ],
        )


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Starts the guests with exactly the tests that this run has selected."""
    wanted: list[tuple[str, GuestTest]] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == "test_in_guest":
            kernel, test = item.callspec.params["kernel"], item.callspec.params["guest_test"]
            assert isinstance(kernel, str)
            assert isinstance(test, GuestTest)
            wanted.append((kernel, test))
    made = Runs(Bench(), wanted)
    yield made
    made.close()


@pytest.mark.guest
def test_in_guest(
    runs: Runs, kernel: str, guest_test: GuestTest, record_property: Callable[[str, object], None]
) -> None:
    """The guest reported this test as passed; skipped there is failed here."""
    result = runs.result(kernel, guest_test.name)
    record_property("guest_seconds", result.seconds)
    assert result.outcome == "passed", f"{result.outcome} in kernel {kernel}\n{result.detail}"
