# SPDX-License-Identifier: GPL-2.0-or-later
"""What hotcopy-install does, one function an action."""

from __future__ import annotations

import errno
import json

from hotcopy.output import Output
from installer import confirm, context, execute, findings, hotcopies, stopping
from installer import doctor as doctor_module
from installer import plan as plans
from installer import report as reports
from installer import uninstall as removal
from installer.checks.finding import Finding
from installer.context import Context
from installer.detect.system import Source, detect
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.journal import Journal
from installer.log import Log, Progress
from installer.matrix import table
from installer.matrix.load import load
from installer.matrix.model import Severity
from installer.options import Options
from installer.plan import Plan
from installer.run import Runner
from installer.session import Session
from installer.verdict import Verdict, judge

_LOG = "log"
_BRIEF = 5  # details of each step, where somebody is asked


def _look(source: Source) -> Context:
    return context.place(detect(source), load())


def _session(looked: Context, journal: Journal, *, silent: bool = False) -> Session:
    log = Log(journal.directory / _LOG)
    return Session(looked, journal, Runner(log), Progress(Output(), log, silent=silent))


def _print_json(value: object) -> None:
    Output().line(json.dumps(value, indent=2, ensure_ascii=False))


def _print(lines: list[str]) -> None:
    out = Output()
    for line in lines:
        out.line(line)


def explain(error: OSError) -> InstallError:
    """What the system refused us, as one of our own failures."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InstallError(
            f"a filesystem is full{where}", "free some space and run this again, it goes on", ExitCode.NO_SPACE
        )
    if error.errno == errno.EROFS:
        return InstallError(
            f"a filesystem is mounted read-only{where}", "mount -o remount,rw it and run this again", ExitCode.READ_ONLY
        )
    return InstallError(f"{error}", "this is unexpected, please report it (hotcopy-install report)")


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    return {"verdict": verdict.severity.value, "findings": findings.as_json(verdict.findings)}


def _worst(found: tuple[Finding, ...]) -> ExitCode:
    return ExitCode.REFUSED if any(item.severity is Severity.REFUSE for item in found) else ExitCode.DONE


def _verdict_line(looked: Context, verdict: Verdict) -> str:
    title = f"{looked.system.distro.title}, kernel {looked.system.kernel.release}"
    if verdict.refusals:
        return f"Verdict: refused ({', '.join(item.id for item in verdict.refusals)}): {title}"
    return f"Verdict: {'it can be installed, with warnings' if verdict.severity is Severity.WARN else 'all is well'}: {title}"


def check(source: Source, options: Options, *, as_json: bool) -> ExitCode:
    """--check."""
    looked = _look(source)
    verdict = judge(looked, options.force)
    if as_json:
        _print_json(_verdict_json(verdict))
    else:
        _print([*findings.lines(verdict.findings, forced=verdict.forced), "", _verdict_line(looked, verdict)])
    if verdict.refusals:
        return ExitCode.REFUSED
    plans.build(looked, Journal(source.root), options)  # what cannot be planned cannot be installed
    return ExitCode.DONE


def _show_plan(planned: Plan, most: int | None = None) -> list[str]:
    if not planned.steps:
        return ["Hot Copy is installed and was proven to work; there is nothing to do."]
    lines = [f"From {planned.source}:"]
    for number, step in enumerate(planned.steps, 1):
        lines.append(f"{number:>3}. {step.title}")
        lines += [f"       {detail}" for detail in step.details[:most]]
        if most is not None and len(step.details) > most:
            lines.append(f"       ... and {len(step.details) - most} more, which --dry-run shows")
    return lines


def plan(source: Source, options: Options, *, as_json: bool) -> ExitCode:
    """--dry-run, and the action plan."""
    looked = _look(source)
    verdict = judge(looked, options.force)
    planned = None if verdict.refusals else plans.build(looked, Journal(source.root), options)
    if as_json:
        shown = planned.as_json() if planned else {"source": None, "steps": []}
        _print_json({**_verdict_json(verdict), **shown})
    else:
        lines = list(findings.lines(verdict.findings, forced=verdict.forced, everything=False))
        _print([*lines, "", _verdict_line(looked, verdict), *(_show_plan(planned) if planned else ())])
    return ExitCode.REFUSED if verdict.refusals else ExitCode.DONE


def _done(as_json: bool, verdict: Verdict, planned: Plan, remark: str) -> ExitCode:
    if as_json:
        _print_json(
            {**_verdict_json(verdict), **planned.as_json(), "exit_status": int(ExitCode.DONE), "remark": remark}
        )
    else:
        _print([remark])
    return ExitCode.DONE


def install(source: Source, options: Options, *, yes: bool, as_json: bool) -> ExitCode:
    """Without an action."""
    looked = _look(source)
    verdict = judge(looked, options.force)
    if not as_json:
        shown = findings.lines(verdict.findings, forced=verdict.forced, everything=False)
        _print([*shown, "", _verdict_line(looked, verdict)])
    if verdict.refusals:
        if as_json:
            _print_json({**_verdict_json(verdict), "exit_status": int(ExitCode.REFUSED)})
        return ExitCode.REFUSED
    journal = Journal(source.root)
    planned = plans.build(looked, journal, options)
    if not planned.steps:
        return _done(as_json, verdict, planned, _show_plan(planned)[0])
    confirm.need_root()
    if not as_json:
        _print(_show_plan(planned, _BRIEF))
    confirm.ask("Go on?", yes=yes)
    with stopping.stoppable(), execute.alone(journal.directory):
        session = _session(looked, journal, silent=as_json)
        for finding in verdict.findings:
            if finding.id in verdict.forced:
                session.progress.line(f"forced by the user: {finding.id}: {finding.cause}")
        execute.execute(planned, session)
    return _done(
        as_json, verdict, planned, "Hot Copy is installed, and a hot copy was taken to prove it. Now: hcp DEVICE"
    )


def uninstall(source: Source, *, dry_run: bool, yes: bool, remove_hot_copies: bool) -> ExitCode:
    """The action uninstall."""
    looked = _look(source)
    journal = Journal(source.root)
    session = _session(looked, journal)
    steps = removal.steps(session)
    if not steps:
        _print(["hotcopy-install has installed nothing here; there is nothing to take away."])
        return ExitCode.DONE
    planned = Plan("what was installed", steps)
    if dry_run:
        _print(_show_plan(planned))
        return ExitCode.DONE
    confirm.need_root()
    active = tuple(copy for copy in hotcopies.active())
    if active and not remove_hot_copies:
        raise InstallError(
            f"hot copies are active: {', '.join(active)}",
            "hcp --remove --all first, or uninstall --remove-hot-copies",
            ExitCode.IN_USE,
        )
    _print([*_show_plan(planned, _BRIEF), *(f"     and end the hot copy {copy}" for copy in active)])
    confirm.ask("Go on?", yes=yes)
    with stopping.stoppable(), execute.alone(journal.directory):
        if active:
            hotcopies.end_all(Output())
        execute.run_steps(steps, session)
        removal.forget(session)
    _print(["Hot Copy is gone, and all that was installed for it."])
    return ExitCode.DONE


def doctor(source: Source, *, as_json: bool) -> ExitCode:
    """The action doctor."""
    found = doctor_module.examine(_look(source))
    if as_json:
        _print_json({"findings": findings.as_json(found)})
    else:
        _print(list(findings.lines(found)))
    return _worst(found)


def report(source: Source) -> ExitCode:
    """The action report."""
    looked = _look(source)
    _print(list(reports.text(looked, doctor_module.examine(looked))))
    return ExitCode.DONE


def support_matrix(*, as_json: bool) -> ExitCode:
    """The action support-matrix."""
    matrix = load()
    Output().line((table.as_json(matrix) if as_json else table.text(matrix)).rstrip("\n"))
    return ExitCode.DONE
