# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole run: raw results and where they come from, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.benchmark.figures import Figures
from tests.benchmark.plan import Plan


@dataclass(frozen=True)
class Record:
    """Everything the report is made of."""

    facts: dict[str, str]
    plan: Plan
    loads: tuple[float, float]  # the host's load average, before and after
    results: tuple[dict[str, Any], ...]

    @property
    def figures(self) -> Figures:
        """What the results say."""
        return Figures.of(self.results)

    @property
    def release(self) -> str:
        """Of the guest's kernel."""
        return next((str(row["release"]) for row in self.results if row["kind"] == "boot"), "unknown")

    @property
    def capacity(self) -> str:
        """What the guest did without a throttle."""
        for row in self.results:
            if row["kind"] == "capacity":
                return f"{row['iops']:.0f} plain writes or {row['copied']:.0f} first overwrites a second"
        return "asked for"

    def to_json(self) -> str:
        """As text."""
        values = {"facts": self.facts, "plan": self.plan.to_json(), "loads": self.loads, "results": self.results}
        return json.dumps(values, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Record:
        """What to_json made."""
        values = json.loads(text)
        before, after = values["loads"]
        return Record(values["facts"], Plan.from_json(values["plan"]), (before, after), tuple(values["results"]))
