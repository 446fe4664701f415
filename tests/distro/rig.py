"""What stages share: the bench, the provider of guests, and the guests that run from one stage to the next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.distro.cells import Row
from tests.distro.providers.reached import Provider, Reached
from tests.driver.bench.bench import Bench


class StageError(Exception):
    """A stage failed: the first line says how, the rest is its log."""


Step = Callable[[Rig, Row], str]
