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


@dataclass
class Rig:
    """What stages work with, and the guests that they have left running for the next stage of the same row."""

    bench: Bench
    provider: Provider
    _guests: dict[str, tuple[ExitStack, Reached]] = field(default_factory=dict, init=False)

    def installed(self, row: Row) -> Reached:
        """The row's guest with our packages in it: the one that runs, or a new one."""
        if row.name not in self._guests:
            with ExitStack() as stack:
                reached = stack.enter_context(self.provider.installed(row))
                self._guests[row.name] = (stack.pop_all(), reached)
        return self._guests[row.name][1]

    def end(self, row: Row) -> None:
        """The row's guest goes, if there is one."""
        if row.name in self._guests:
            stack, _ = self._guests.pop(row.name)
            stack.close()


Step = Callable[[Rig, Row], str]
