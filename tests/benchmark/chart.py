# SPDX-License-Identifier: GPL-2.0-or-later
"""The bar chart of the report, as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from tests.benchmark.figures import Figures
from tests.benchmark.plan import WORKS, SetUp, Work
from tests.benchmark.tables import charted
from tests.benchmark.targets import TARGETS

COLOURS = {
    "hcp1": "#1b7837", "hcp4": "#5aae61", "hcp8": "#a6dba0", "elsewhere1": "#762a83", "classic1": "#b35806", "classic4": "#fdb863",
    "thin1": "#2166ac", "thin4": "#92c5de",
}  # fmt: skip
LEFT, WIDTH, RIGHT = 260, 520, 60  # of the names, of the axis up to 1, of what is beyond
BAR, GAP, TOP = 11, 16, 70
FONT = 'font-family="sans-serif" font-size="12" fill="#222"'


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def _legend(setups: tuple[SetUp, ...]) -> Iterator[str]:
    step = (LEFT + WIDTH) / max(1, len(setups))
    for index, row in enumerate(setups):
        x = 12 + index * step
        yield f'<rect x="{x:.0f}" y="34" width="12" height="12" fill="{COLOURS[row.name]}"/>'
        yield _text(x + 16, 44, row.title, size=11)


def _axis(bottom: float) -> Iterator[str]:
    for tenth in range(0, 11, 2):
        x = LEFT + WIDTH * tenth / 10
        yield f'<line x1="{x:.0f}" y1="{TOP - 6}" x2="{x:.0f}" y2="{bottom:.0f}" stroke="#ccc"/>'
        yield _text(x, bottom + 16, f"{tenth / 10:g}", anchor="middle", size=11)


def _bar(figures: Figures, row: SetUp, item: Work, y: float) -> Iterator[str]:
    share = figures.share(row.name, item.name)
    if not share:
        return
    # A read may be a little faster than the baseline's: noise, and no reason to leave the picture.
    length = WIDTH * min(share.middle, 1.05)
    yield (
        f'<rect x="{LEFT}" y="{y:.0f}" width="{length:.1f}" height="{BAR - 1}" fill="{COLOURS[row.name]}">'
        f"<title>{escape(f'{item.title}, {row.title}: {share.middle:.2f}')}</title></rect>"
    )
    yield _text(LEFT + length + 4, y + BAR - 2, f"{share.middle:.2f}", size=10)
    for target in TARGETS:
        if (target.measure, target.setup, target.work) == ("share", row.name, item.name):
            x = LEFT + WIDTH * target.bound
            yield f'<line x1="{x:.1f}" y1="{y - 1:.0f}" x2="{x:.1f}" y2="{y + BAR:.0f}" stroke="#000" stroke-width="2"/>'


def chart(figures: Figures) -> str:
    """Bars by work and set-up; a black mark where Hot Copy should reach."""
    setups = charted(figures)
    block = BAR * len(setups) + GAP
    bottom = TOP + block * len(WORKS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{bottom + 30}" {FONT}>',
        f'<rect width="{LEFT + WIDTH + RIGHT}" height="{bottom + 30}" fill="#fff"/>',
        _text(
            12, 20, "Rate as a share of the same disk without snapshots (black: what Hot Copy should reach)", size=14
        ),
        *_legend(setups),
        *_axis(bottom),
    ]
    for index, item in enumerate(WORKS):
        y = TOP + index * block
        parts.append(_text(LEFT - 8, y + BAR * len(setups) / 2 + 4, item.title, anchor="end"))
        for place, row in enumerate(setups):
            parts += _bar(figures, row, item, y + place * BAR)
    return "\n".join([*parts, "</svg>", ""])
