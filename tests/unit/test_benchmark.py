"""The benchmark's pure parts: the plan, the figures, the verdicts, the report."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree
from typing import Any

import pytest

from tests.benchmark import tables
from tests.benchmark.chart import COLOURS, chart
from tests.benchmark.document import document
from tests.benchmark.figures import CREDIT, Figures
from tests.benchmark.guest.fio import parse
from tests.benchmark.lines import SIGN, Lines
from tests.benchmark.plan import (
    BASELINE,
    FREEZES,
    FULL_BPS,
    FULL_IOPS,
    QUICK_SETUPS,
    SETUPS,
    STEPS,
    WORKS,
    Plan,
    Sizes,
    affordable,
    bps_of,
    full_plan,
    quick_plan,
    works_of,
)
from tests.benchmark.record import Record
from tests.benchmark.targets import MEASURES, TARGETS, Target, Verdict, judge


def sample(setup: str, work: str, rate: float, number: int = 0, **more: Any) -> dict[str, Any]:
    """As the guest reports it."""
    count = 100 if next(row for row in WORKS if row.name == work).unit == "ios" else 409600
    values = {
        "kind": "sample", "round": number, "setup": setup, "work": work, "ios": 100, "bytes": 409600,
        "settled_seconds": count / rate - CREDIT,
        "disk_ios": 200, "disk_bytes": 819200, "disk_read_bytes": 409600, "kept_bytes": 409600, "write_p99_ms": 5.0, "busy": 0.5,
    }  # fmt: skip
    return {**values, **more}


def everything(share: float) -> list[dict[str, Any]]:
    """A run in which every set-up has this share of the baseline."""
    rows: list[dict[str, Any]] = [{"kind": "boot", "release": "6.12.0", "seconds": 5.0}]
    for setup in SETUPS:
        for work in works_of(setup):
            rows.append(sample(setup.name, work.name, 1000.0 if setup.name == BASELINE else 1000.0 * share))
    rows.append({"kind": "freeze", "where": "quiet", "seconds": [0.001, 0.003, 0.002]})
    rows.append({"kind": "freeze", "where": "load", "seconds": [0.01]})
    rows.append({"kind": "command", "where": "made", "seconds": [0.5, 0.7]})
    rows.append({"kind": "command", "where": "mounted", "seconds": [0.8]})
    rows.append({"kind": "command", "where": "python", "seconds": [0.2]})
    return rows


def record_of(results: list[dict[str, Any]]) -> Record:
    """A run on no machine in particular."""
    return Record({"host": "a machine"}, full_plan(1000), (0.5, 1.5), tuple(results))


def test_shares_are_of_the_same_round() -> None:
    """A round in which everything is slow does not count against anybody."""
    rows = []
    for number, (base, rate) in enumerate(((1000, 500), (100, 60), (1000, 400))):
        rows += [sample(BASELINE, "sparse", base, number), sample("hcp1", "sparse", rate, number)]
    share = Figures.of(rows).share("hcp1", "sparse")
    assert share
    assert (share.middle, share.lowest, share.highest) == pytest.approx((0.5, 0.4, 0.6))
    assert Figures.of(rows).rounds() == 3


def test_a_round_without_its_baseline_is_left_out() -> None:
    rows = [sample(BASELINE, "sparse", 1000, 0), sample("hcp1", "sparse", 500, 0), sample("hcp1", "sparse", 1, 1)]
    share = Figures.of(rows).share("hcp1", "sparse")
    assert share
    assert share.middle == pytest.approx(0.5)
    assert Figures.of(rows).share("hcp8", "sparse") is None


def test_figures_of_one_sample() -> None:
    figures = Figures.of([sample("hcp1", "sparse", 1.0, kept_bytes=532480)])
    assert figures.kept("hcp1", "sparse") == 1.3
    assert figures.disk_ios("hcp1", "sparse") == 2.0
    assert figures.disk_bytes("hcp1", "sparse") == 2.0
    assert figures.latency("hcp1", "again") is None


def test_frozen_time_is_a_median_in_milliseconds() -> None:
    figures = Figures.of(everything(1.0))
    assert figures.frozen_ms("quiet") == 2.0
    assert figures.frozen_ms("never") is None
    assert (figures.command_seconds("made"), figures.command_seconds("mounted")) == (0.6, 0.8)
    assert figures.command_seconds("never") is None


def test_everything_at_full_speed_meets_every_target() -> None:
    found = judge(Figures.of(everything(1.0)))
    assert len(found) == len(TARGETS)
    assert [row.word for row in found] == ["met"] * len(TARGETS)


def test_half_speed_misses_what_asks_for_more() -> None:
    missed = {(row.target.setup, row.target.work) for row in judge(Figures.of(everything(0.46))) if row.missed}
    assert ("hcp1", "sparse") in missed
    assert ("hcp8", "sparse") not in missed
    assert ("hcp1", "sequential") not in missed
    assert ("loaded", "sparse") in missed


@pytest.mark.parametrize(
    ("measure", "value", "tolerance", "missed"),
    [
        ("share", 0.469, 0.0, True),
        ("share", 0.47, 0.0, False),
        ("share", 0.46, 0.02, False),
        ("kept", 0.48, 0.0, True),
        ("kept", 0.46, 0.0, False),
    ],
)
def test_a_bound_is_met_from_its_good_side(measure: str, value: float, tolerance: float, missed: bool) -> None:
    verdict = Verdict(Target(measure, "hcp1", "sparse", 0.47, "", tolerance), value)
    assert verdict.missed == missed
    assert verdict.word == ("MISSED" if missed else "met")


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = judge(Figures.of([]))
    assert {row.word for row in found} == {"not measured"}
    assert not any(row.missed for row in found)


def test_every_target_names_what_there_is() -> None:
    setups, works = {row.name for row in SETUPS}, {row.name for row in WORKS}
    for target in TARGETS:
        assert target.measure in MEASURES
        assert target.setup in setups
        assert target.title
        assert target.measure != "share" or target.work in works


def test_the_throttle_follows_the_slowest_of_three() -> None:
    assert affordable(1e6, 1e6, 1e12) == FULL_IOPS == STEPS[0]
    assert affordable(2500, 1e6, 1e12) == 1000
    assert affordable(1e6, 1000, 1e12) == 600
    assert bps_of(affordable(1e6, 1e6, 1e8)) <= 0.5e8
    assert affordable(1, 1, 1) == STEPS[-1]
    assert bps_of(FULL_IOPS) == FULL_BPS


@pytest.mark.parametrize("iops", STEPS)
def test_sizes_are_whole_and_fit(iops: int) -> None:
    sizes = Sizes(iops)
    files = sizes.sparse + sizes.dense + sizes.sequential + sizes.new_file + sizes.mixed
    assert sizes.file_system > files + sizes.store
    assert sizes.disk > 2 * sizes.file_system + sizes.pool + 4 * sizes.store
    assert all(size % (1 << 20) == 0 for size in (sizes.sparse, sizes.dense, sizes.store, sizes.disk))
    # A sparse write for each 128 KiB is what the report says.
    assert sizes.sparse >= sizes.seconds * iops * 128 * 1024


def test_a_plan_survives_the_way_to_the_guest() -> None:
    for plan in (full_plan(), quick_plan(300, ["none", "hcp1"], ["dense", "freezes"])):
        assert Plan.from_json(plan.to_json()) == plan
    assert quick_plan().setups == QUICK_SETUPS
    assert full_plan().setups[0] == BASELINE, "the baseline opens each round"


def test_rounds_end_with_the_time() -> None:
    """All set-ups, then those that targets depend on."""
    plan = dataclasses.replace(full_plan(), rounds=3, budget=1000.0)
    first, second = plan.setups_of_round(0), plan.setups_of_round(1)
    assert len(first) == len(SETUPS)
    assert not {target.setup for target in TARGETS} - {row.name for row in second}
    pace = 1000.0 / (len(first) + len(second))
    assert plan.another_round(0, pace * len(first) - 1)
    assert not plan.another_round(0, pace * len(first) + 1)
    assert not plan.another_round(2, 1.0), "three are enough"


def test_a_part_of_it() -> None:
    plan = full_plan(names=["none", "loaded", "elsewhere1", "hcp8"], works=["dense", "sequential"])
    assert [[work.name for work in plan.works_of(row)] for row in plan.setups_of_round(0)] == [
        ["dense", "sequential"],
        ["sequential"],
        ["sequential"],
        ["dense", "sequential"],
    ]
    assert not plan.is_wanted(FREEZES) and full_plan().is_wanted(FREEZES)
    only = full_plan(works=[FREEZES])
    assert only.is_wanted(FREEZES) and not only.setups_of_round(0) and not only.another_round(0, 1.0)


def test_lines_are_sorted_whatever_the_pieces() -> None:
    results: list[dict[str, Any]] = []
    texts: list[str] = []
    lines = Lines(results.append, texts.append)
    for piece in ("hel", "lo\n" + SIGN[:3], SIGN[3:] + '{"kind": "x"}', "\nbye\nrest"):
        lines.write(piece)
    assert results == [{"kind": "x"}]
    assert texts == ["hello", "bye"]


FIO = """fio: a remark before the JSON
{"jobs": [{"error": 0, "job_start": 5000,
  "read": {"runtime": 900, "io_bytes": 0, "total_ios": 0},
  "write": {"runtime": 2000, "io_bytes": 8192, "total_ios": 2,
            "lat_ns": {"percentile": {"99.000000": 2500000}}}}]}"""


def test_fio_is_understood() -> None:
    ran = parse(FIO, 1.0)
    assert (ran.begun, ran.ended, ran.seconds) == (5.0, 7.0, 2.0)
    assert (ran.io_bytes, ran.ios, ran.write_p99_ms) == (8192, 2, 2.5)
    assert parse(FIO.replace('"job_start": 5000,', ""), 1.0).begun == 1.0, "fio before 3.36"


def test_tables_have_a_cell_for_each_column() -> None:
    figures = Figures.of(everything(0.5))
    every = (
        tables.shares(figures), tables.spreads(figures), tables.latencies(figures), tables.disk_use(figures),
        tables.busyness(figures), tables.freezes(figures), tables.commands(figures), tables.verdicts(judge(figures)),
    )  # fmt: skip
    for table in every:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.head)}
        assert len(table.markdown().splitlines()) == len(table.rows) + 2
        assert len(table.text().splitlines()) == len(table.rows) + 1


def test_the_document_is_complete_and_says_what_was_missed() -> None:
    text = document(record_of(everything(0.46)))
    assert "MISSED" in text
    assert "6.12.0" in text and "a machine" in text
    assert "None missed." in document(record_of(everything(1.0)))
    assert "| random 4 KiB, first overwrite, sparse | 1000/s | 0.46 |" in text


def test_a_record_can_be_read_again() -> None:
    record = record_of(everything(0.5))
    again = Record.from_json(record.to_json())
    assert again == record
    assert document(again) == document(record)


def test_the_chart_is_svg_with_a_bar_for_each_share() -> None:
    root = xml.etree.ElementTree.fromstring(chart(Figures.of(everything(0.5))))
    bars = root.findall(".//{http://www.w3.org/2000/svg}title")
    assert len(bars) == sum(len(works_of(row)) for row in SETUPS if row.snapshots)
    assert set(COLOURS) == {row.name for row in SETUPS if row.snapshots}
