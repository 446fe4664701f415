"""make matrix: what runs and what does not, the list of known failures, and that nothing is called ok that did not run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from installer.matrix.load import load
from installer.matrix.model import Level, Provider, Tier
from tests.distro import known, results, stages
from tests.distro.cells import DRIVER, Cell, Outcome, Row, Stage
from tests.distro.known import KnownFailure
from tests.distro.report.machine import as_json, as_junit
from tests.distro.report.pages import as_html, as_markdown
from tests.distro.report.table import status, summary
from tests.distro.results import Kept, from_dict, sources, with_package
from tests.distro.rig import StageError
from tests.distro.rows import RPM_GUEST, box_rows, chosen, rows
from tests.distro.runner import LEFT_OUT, Plan, run
from tests.driver.bench.cache import Cache
from tests.driver.bench.debian import NoPackageError
from tests.driver.bench.kernels import KERNELS
from tests.driver.bench.run import CommandError
from tests.driver.bench.session import GuestTest, Result

HERE = Row("debian-13", "Debian 13", "6.12", "6.12", packages="deb")
AWAY = Row("rhel-9", "RHEL 9", "5.14", "", "no packages of it are reachable here")

Steps = dict[Stage, Callable[[Row], str]]


def fails(_row: Row) -> str:
    raise StageError("it broke\nlong story \x1b[31m<b>&")


def steps(**other: Callable[[Row], str]) -> Steps:
    """Every stage that there is passes, but for those given."""
    made: Steps = {stage: lambda row: f"log of {row.name}" for stage in stages.STEPS}
    return {**made, **{Stage(name): step for name, step in other.items()}}


def cells_of(
    made: Steps,
    *failures: KnownFailure,
    rows: tuple[Row, ...] = (HERE, AWAY),
    wanted: tuple[Row, ...] = (HERE, AWAY),
    only: tuple[Stage, ...] = tuple(Stage),
    had: dict[tuple[str, Stage], Cell] | None = None,
    finish: Callable[[Row], None] = lambda _row: None,
) -> tuple[list[Cell], list[Cell]]:
    """All cells, and those that ran anew."""
    kept: list[Cell] = []
    pending = {stage: f"{stage.value} is not done yet" for stage in Stage if stage not in made}
    plan = Plan(rows, {row.name for row in wanted}, only, made, pending, stages.NEEDS, failures, finish)
    return run(plan, 2, had or {}, kept.append), kept


def cell(cells: list[Cell], row: Row, stage: Stage) -> Cell:
    (found,) = [one for one in cells if (one.row, one.stage) == (row.name, stage)]
    return found


def test_every_stage_has_a_step_or_a_reason() -> None:
    assert set(stages.STEPS) == set(Stage)
    assert set(stages.BOX_STEPS) | set(stages.BOX_PENDING) == set(Stage)
    assert not set(stages.BOX_STEPS) & set(stages.BOX_PENDING)


def test_what_can_run_does_and_the_rest_says_why_not() -> None:
    made = steps()
    del made[Stage.INSTALL]
    cells, kept = cells_of(made)
    assert len(cells) == 2 * len(Stage)
    assert {one.stage for one in kept} == set(Stage) - {Stage.INSTALL, Stage.REBOOT, Stage.UNINSTALL}
    assert all(one.outcome is Outcome.PASSED for one in kept)
    assert all(one.reason for one in cells if one.outcome is not Outcome.PASSED)
    assert {one.reason for one in cells if one.row == AWAY.name} == {AWAY.reason}
    assert cell(cells, HERE, Stage.INSTALL).reason == "install is not done yet"
    assert cell(cells, HERE, Stage.REBOOT).reason == "install did not run: install is not done yet"
    assert status(cells) == 0


def test_a_failure_stops_what_needs_it_and_nothing_else() -> None:
    cells, _ = cells_of(steps(build=fails))
    failed = cell(cells, HERE, Stage.BUILD)
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, "it broke") and "long story" in failed.log
    assert cell(cells, HERE, Stage.DETECT).outcome is Outcome.PASSED
    for stage in (Stage.LOAD, Stage.SNAPSHOT):
        assert (cell(cells, HERE, stage).outcome, cell(cells, HERE, stage).reason) == (Outcome.NOT_RUN, "build failed")
    assert status(cells) == 1


def test_a_long_command_is_cut_to_how_it_begins_and_ends() -> None:
    def broken(_row: Row) -> str:
        raise CommandError(f"mmdebstrap {'--option ' * 99}: exit 25\nE: the log")

    failed = cell(cells_of(steps(detect=broken))[0], HERE, Stage.DETECT)
    assert failed.reason.startswith("mmdebstrap --option") and failed.reason.endswith(" ... exit 25")
    assert len(failed.reason) < 160 and failed.log.endswith("E: the log")


def test_a_fault_of_a_stage_itself_is_a_failure_of_that_cell() -> None:
    def broken(_row: Row) -> str:
        raise KeyError("facts")

    cells, _ = cells_of(steps(detect=broken))
    assert cell(cells, HERE, Stage.DETECT).reason == "KeyError: 'facts'"
    assert cell(cells, HERE, Stage.SNAPSHOT).outcome is Outcome.PASSED


def test_without_packages_nothing_runs_and_nothing_is_green() -> None:
    def absent(_row: Row) -> str:
        raise NoPackageError("none of 6.16")

    cells, _ = cells_of(steps(**{stage.value: absent for stage in Stage}))
    assert {one.outcome for one in cells} == {Outcome.NOT_RUN}
    assert "none of 6.16" in cell(cells, HERE, Stage.LOAD).reason
    assert status(cells) == 1  # a run in which nothing ran is no success


def test_only_the_unexpected_fails_the_run() -> None:
    failure = KnownFailure("debian-13/*", Stage.BUILD, "issue 99")
    cells, kept = cells_of(steps(build=fails), failure)
    assert (cell(cells, HERE, Stage.BUILD).outcome, cell(cells, HERE, Stage.BUILD).reason) == (
        Outcome.KNOWN,
        "issue 99",
    )
    assert cell(cells, HERE, Stage.LOAD).reason == "build failed"
    assert status(cells) == 0
    # What is kept is what happened: the list may change.
    assert [one.outcome for one in kept if one.stage is Stage.BUILD] == [Outcome.FAILED]

    cells, _ = cells_of(steps(), failure)
    assert cell(cells, HERE, Stage.BUILD).outcome is Outcome.UNEXPECTED
    assert status(cells) == 1


def test_the_list_of_known_failures(tmp_path: Path) -> None:
    names = {row.name for row in rows(load())}
    for failure in known.load():
        assert chosen(list(rows(load())), [failure.row]) and names
    path = tmp_path / "known.yaml"
    path.write_text("- {row: a, stage: build, reason: b}\n", encoding="utf-8")
    assert known.load(path) == (KnownFailure("a", Stage.BUILD, "b"),)
    path.write_text("- {row: a, stage: build}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="entry 1: the keys are reason, row, stage"):
        known.load(path)


def test_only_what_was_asked_for() -> None:
    other = Row("debian-12", "Debian 12", "6.1", "6.1")
    cells, kept = cells_of(steps(), rows=(HERE, other, AWAY), wanted=(other,), only=(Stage.LOAD,))
    assert [(one.row, one.stage) for one in kept] == [(other.name, Stage.LOAD)]
    assert cell(cells, HERE, Stage.LOAD).reason == LEFT_OUT
    assert cell(cells, other, Stage.BUILD).reason == LEFT_OUT
    assert cell(cells, AWAY, Stage.LOAD).reason == AWAY.reason  # which is the better one


def test_resume_keeps_what_passed_with_the_same_sources(tmp_path: Path) -> None:
    _, ran = cells_of(steps(snapshot=fails))
    for one in ran:
        Kept(tmp_path, lambda _stage: "key").keep(one)
    had = Kept(tmp_path, lambda _stage: "key").ran()
    assert {stage for _, stage in had} == set(stages.STEPS)
    assert Kept(tmp_path, lambda _stage: "another").ran() == {}
    # A change of what only packages depend on costs the stages of packages.
    changed = Kept(tmp_path, lambda stage: "key" if stage in DRIVER else "another").ran()
    assert {stage for _, stage in changed} == set(DRIVER)
    assert set(sources(Stage.BUILD)) < set(sources(Stage.INSTALL))
    cells, again = cells_of(steps(), had=had)
    assert [one.stage for one in again] == [Stage.SNAPSHOT]
    assert cell(cells, HERE, Stage.BUILD) == cell(ran, HERE, Stage.BUILD)
    # Nor does a failure vanish because the next run is of other stages.
    cells, again = cells_of(steps(), had=had, only=(Stage.BUILD,))
    assert not again and cell(cells, HERE, Stage.SNAPSHOT) == cell(ran, HERE, Stage.SNAPSHOT) and status(cells) == 1


def test_what_changes_while_stages_run_is_not_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell is kept under the sources as they were at the start."""
    now = "before"
    monkeypatch.setattr(results, "tree_key", lambda _tree, _names: now)
    one = Cell(HERE.name, Stage.BUILD, Outcome.PASSED)
    started = Kept.of_now(tmp_path)
    now = "after"
    started.keep(one)
    assert set(started.ran()) == {(HERE.name, Stage.BUILD)} and not Kept.of_now(tmp_path).ran()


def test_packages_are_rendered_for_a_row_whose_kernel_cannot_be_found(tmp_path: Path) -> None:
    """There is no archive in this cache: whoever asks for the kernel fails."""
    one = Cell("debian-13/6.16", Stage.RENDER, Outcome.PASSED)
    assert with_package(Cache(tmp_path), one, "6.16") == one


def test_the_drivers_tests_are_a_cell_only_if_all_passed() -> None:
    """Also where make test has run them, which may have been told to run fewer."""
    tests = [GuestTest(name, ("quick",), 1) for name in ("a", "b")]
    passed = [Result("6.12", test.name, "passed", 1.5) for test in tests]
    assert stages.judged(tests, passed) == "2 tests passed\na: passed, 1.5 s\nb: passed, 1.5 s"
    with pytest.raises(StageError, match="0 of 2 tests failed, 1 reported"):
        stages.judged(tests, passed[:1])
    with pytest.raises(StageError, match="1 of 2 tests failed, 2 reported"):
        stages.judged(tests, [passed[0], Result("6.12", "b", "skipped", 0)])


def test_make_test_has_all_of_the_drivers_quick_tests_for_the_oldest_kernel_and_the_newest() -> None:
    names = [kernel.name for kernel in KERNELS]
    assert len(stages.core()) > 10
    for test in stages.core():
        assert {names[0], names[-1]} <= set(test.kernels(names)), test.name


def test_rows_run_at_once() -> None:
    """Each waits for the other: one after another they would never end."""
    both = threading.Barrier(2, timeout=20)
    other = Row("debian-12", "Debian 12", "6.1", "6.1")

    def meet(_row: Row) -> str:
        both.wait()
        return ""

    cells, _ = cells_of(steps(detect=meet), rows=(HERE, other), wanted=(HERE, other))
    assert cell(cells, other, Stage.DETECT).outcome is Outcome.PASSED


def test_rows_are_those_of_matrix_yaml() -> None:
    matrix, every = load(), list(rows(load()))
    assert len({row.name for row in every}) == len(every)
    assert {row.distro for row in every} == {distro.key for distro in matrix.distros} | {RPM_GUEST.distro}
    # The row that it leaves stages to has them.
    assert [row.guest for row in chosen(every, [RPM_GUEST.kernel_of])] == [RPM_GUEST.guest]
    booted = {distro.key for distro in matrix.distros if distro.verified.level is Level.BOOTED}
    for distro in matrix.distros:
        own = [row for row in every if row.distro == distro.key]
        # What CI is told to boot is what can be booted here.
        assert all(bool(row.guest) == (distro.key in booted) for row in own)
        assert all(row.guest or row.reason for row in own)
        if distro.tier is Tier.SUPPORTED:
            assert set(distro.kernels) <= {row.kernel for row in own}
    assert [row.guest for row in chosen(every, ["debian-13/7.3"])] == ["7.x"]


def test_packages_are_made_also_for_rows_without_a_guest() -> None:
    """They are made on this host, hence rendering needs no guest; what is retired or planned has none."""
    every = {row.name: row for row in rows(load())}
    assert [every[name].packages for name in ("debian-11/5.10", "ubuntu-24.04/6.8", "rhel-9/5.14", "sles-15/6.4")] == [
        *("deb", "deb", "el9", "suse15")
    ]
    assert not [row for row in every.values() if row.packages and row.reason.startswith(("retired", "planned"))]
    away = Row("rhel-9", "RHEL 9", "5.14", "", "no guest", "el9")
    cells, kept = cells_of(steps(), rows=(away,), wanted=(away,))
    assert [one.stage for one in kept] == [Stage.RENDER]
    assert cell(cells, away, Stage.INSTALL).reason == "no guest"


def test_the_rpm_guest_repeats_nothing() -> None:
    cells, kept = cells_of(steps(), rows=(RPM_GUEST,), wanted=(RPM_GUEST,))
    assert [one.stage for one in kept] == [Stage.RENDER, Stage.INSTALL, Stage.REBOOT, Stage.UNINSTALL]
    assert "debian-12/6.1" in cell(cells, RPM_GUEST, Stage.SNAPSHOT).reason


def test_what_a_row_has_left_running_ends_with_it() -> None:
    ended: list[str] = []
    cells_of(steps(install=fails), finish=lambda row: ended.append(row.name))
    assert sorted(ended) == [HERE.name, AWAY.name]


def test_vagrant_has_a_row_for_each_box() -> None:
    matrix = load()
    for provider in Provider:
        assert [row.guest for row in box_rows(matrix, provider)] == [
            distro.key for distro in matrix.distros if provider in distro.boxes
        ]


def test_choosing_rows() -> None:
    every = list(rows(load()))
    assert chosen(every, []) == every
    assert {row.distro for row in chosen(every, ["debian-12", "rocky-9/5.14"])} == {"debian-12", "rocky-9"}
    assert {row.kernel for row in chosen(every, ["debian-12/6.1-*"])} == {"6.1-cloud", "6.1-oldest", "6.1-rt"}
    with pytest.raises(LookupError, match=r"no row 'debian-99'; there are: debian-13/6\.12"):
        chosen(every, ["debian-99"])


def test_reports() -> None:
    cells, _ = cells_of(steps(snapshot=fails))
    shown, when = (HERE, AWAY), "2026-11-29 06:00 UTC"

    content = json.loads(as_json(shown, cells, when))
    assert [from_dict(one) for one in content["cells"]] == cells

    top = Xml.fromstring(as_junit(shown, cells))
    assert [suite.get("failures") for suite in top] == ["1", "0"]
    assert len(top.findall(".//skipped")) == sum(one.outcome is Outcome.NOT_RUN for one in cells)
    assert top.findall(".//failure")[0].get("message") == "it broke"

    page = as_markdown(shown, cells, when)
    (line,) = [line for line in page.splitlines() if line.startswith("| Debian 13")]
    assert line.count("|") == 3 + len(Stage)
    assert line.count("ok, < 1 s") == sum(one.outcome is Outcome.PASSED for one in cells) == 7
    assert "FAILED, < 1 s [" in line and ". it broke\n" in page and f". {AWAY.reason}\n" in page
    assert summary(cells) == "16 cells: 7 passed, 1 failed, 8 not run"

    html = as_html(shown, cells, when)
    assert html.count('class="passed"') == 7 and html.count('class="failed"') == 1
    assert "&lt;b&gt;&amp;" in html and "<b>&" not in html
    assert "http" not in html and "<script" not in html and "<link" not in html
