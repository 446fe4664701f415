# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests of the hcp command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.driver.guest.origins import Origin, origin_on


@pytest.fixture(params=["ext4", pytest.param("xfs", marks=pytest.mark.one_kernel)])
def origin(request: pytest.FixtureRequest) -> Iterator[Origin]:
    """A small filesystem of either kind."""
    with origin_on(request.param) as made:
        yield made


@pytest.fixture
def ext4() -> Iterator[Origin]:
    """A small ext4, where the kind does not matter."""
    with origin_on("ext4") as made:
        yield made
