"""What the tests are told of the guest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.distro.guest.shell import Shell

# testinfra comes without types.
Host = Any


def pytest_addoption(parser: pytest.Parser) -> None:
    """As tests/distro/verify.py gives them; --hosts, --ssh-config and --sudo are testinfra's."""
    parser.addoption("--manager", choices=("apt", "dnf"), required=True, help="what has installed the packages")
    parser.addoption("--driver", required=True, help="the package that has the driver")
    parser.addoption("--signer", default="", help="who has signed the driver; DKMS does so with the machine's key")
    parser.addoption("--before", type=Path, required=True, help="a list of all files before the installation")


@pytest.fixture
def manager(request: pytest.FixtureRequest) -> str:
    """apt or dnf."""
    return str(request.config.getoption("--manager"))


@pytest.fixture
def driver_package(request: pytest.FixtureRequest) -> str:
    """hotcopy-dkms, or hotcopy-modules-RELEASE."""
    return str(request.config.getoption("--driver"))


@pytest.fixture
def signer(request: pytest.FixtureRequest) -> str:
    """Who has signed the driver."""
    return str(request.config.getoption("--signer"))


@pytest.fixture
def before(request: pytest.FixtureRequest) -> list[str]:
    """Every file as it was before the installation: type, mode, path, target."""
    text = Path(request.config.getoption("--before")).read_text(encoding="utf-8")
    assert text.count("\n") > 1000  # a list that is nearly empty would prove nothing
    return text.splitlines()


@pytest.fixture
def shell(host: Host) -> Shell:
    """Scripts in the guest, as root."""
    return Shell(host)
