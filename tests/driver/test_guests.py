"""Every guest test on every kernel that it is for, each a test of its own here.

The guests run in the background from the first test of the session on; the tests here, which come last, wait for their results.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import kernel_names
from tests.driver.bench.runs import Runs
from tests.driver.bench.session import GuestTest, list_tests


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each kernel and guest test, kernel by kernel."""
    if "guest_test" in metafunc.fixturenames:
        tests = list_tests()
        chosen = kernel_names(metafunc.config)
        thorough = bool(metafunc.config.getoption("--thorough"))
        metafunc.parametrize(
            ("kernel", "guest_test"),
            [
                pytest.param(
                    kernel,
                    test,
                    id=f"{kernel}-{test.name}",
                    marks=[pytest.mark.quick] if "quick" in test.marks else [],
                )
                for kernel in chosen
                for test in tests
                if kernel in test.kernels(chosen, thorough=thorough)
            ],
        )


@pytest.mark.guest
def test_in_guest(
    runs: Runs, kernel: str, guest_test: GuestTest, record_property: Callable[[str, object], None]
) -> None:
    """The guest reported this test as passed; skipped there is failed here."""
    result = runs.result(kernel, guest_test.name)
    record_property("guest_seconds", result.seconds)
    assert result.outcome == "passed", f"{result.outcome} in kernel {kernel}\n{result.detail}"
