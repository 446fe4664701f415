"""Options and fixtures of every test on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.kernels import KERNELS
from tests.driver.bench.runs import Runs
from tests.driver.bench.session import GuestTest, one_of, two_of

collect_ignore = ["driver/guest", "demo/guest_demo.py", "distro/guest"]  # these run in guests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which kernels to boot."""
    names = ",".join(kernel.name for kernel in KERNELS)
    parser.addoption("--thorough", action="store_true", help="the driver's core tests on every kernel")
    parser.addoption("--installs", action="store_true", help="what installs on more machines, too, for minutes each")
    parser.addoption("--kernels", default=names, help=f"of {names}, those to test on")


def kernel_names(config: pytest.Config) -> list[str]:
    """The kernels chosen on the command line."""
    return str(config.getoption("--kernels")).split(",")


def guest_parameters(item: pytest.Item) -> tuple[str, GuestTest] | None:
    """Kernel and test, of an item that only waits for a guest."""
    if not isinstance(item, pytest.Function) or item.originalname != "test_in_guest":
        return None
    kernel, test = item.callspec.params["kernel"], item.callspec.params["guest_test"]
    assert isinstance(kernel, str)
    assert isinstance(test, GuestTest)
    return kernel, test


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only waits for the guests comes last: the rest runs beside them."""
    if not config.getoption("--installs"):
        left_out = [item for item in items if item.get_closest_marker("installs")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: guest_parameters(item) is not None or is_last(item))


def is_last(item: pytest.Item) -> bool:
    """Whether an item waits for what runs in the background."""
    return any(item.get_closest_marker(name) is not None for name in ("waits", "beside"))


def beside(item: pytest.Item) -> Callable[[Bench], object] | None:
    """What an item marked so does; it takes a bench and parameters, and no other fixture."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("beside") is None:
        return None
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return functools.partial(item.obj, **parameters)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """What is marked `beside` was begun with the guests: here its end is waited for."""
    if beside(pyfuncitem) is None:
        return None
    runs = pyfuncitem.funcargs["runs"]
    assert isinstance(runs, Runs)
    pyfuncitem.user_properties.append(("guest_seconds", runs.ended(pyfuncitem.nodeid)))
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `kernel` runs once for each, one with `any_kernel` on one of them."""
    if "kernel" in metafunc.fixturenames and "guest_test" not in metafunc.fixturenames:
        names = kernel_names(metafunc.config)
        if metafunc.definition.get_closest_marker("two_kernels") and not metafunc.config.getoption("--thorough"):
            names = two_of(names, metafunc.definition.name)
        metafunc.parametrize("kernel", names, scope="session")
    if "any_kernel" in metafunc.fixturenames:
        names = kernel_names(metafunc.config)
        metafunc.parametrize("any_kernel", [one_of(names, metafunc.definition.name)], scope="session")
    if "sparse_kernel" in metafunc.fixturenames:
        able = [kernel.name for kernel in KERNELS if kernel.sparse]
        chosen = [name for name in kernel_names(metafunc.config) if name in able]
        metafunc.parametrize("sparse_kernel", chosen, scope="session")


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Show how long a guest test took in its guest: here it only waited."""
    if isinstance(report, pytest.CollectReport):
        return None
    seconds = dict(report.user_properties).get("guest_seconds")
    if report.when == "call" and report.passed and isinstance(seconds, float):
        return "passed", ".", f"PASSED in {seconds:.1f} s"
    return None


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The guest bench, shared by everything that boots a kernel."""
    made = Bench()
    yield made
    made.stop()


@pytest.fixture(scope="session", autouse=True)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Starts the guests, before any other test, with exactly the tests that this run has selected."""
    wanted = [found for item in request.session.items if (found := guest_parameters(item))]
    others = {item.nodeid: task for item in request.session.items if (task := beside(item))}
    made = Runs(Bench(), wanted, others)
    yield made
    made.close()
