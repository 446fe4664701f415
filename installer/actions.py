# SPDX-License-Identifier: GPL-2.0-or-later
"""What hotcopy-install does, one function an action."""

from __future__ import annotations

import errno
import json

from hotcopy import output
from hotcopy.errors import HcpError
from hotcopy.output import Output, Silent
from installer import confirm, context, execute, findings, hotcopies, stopping
from installer import doctor as doctor_module
from installer import plan as plans
from installer import report as reports
from installer import uninstall as removal
from installer.checks.finding import exit_code
from installer.context import Context
from installer.detect.system import Source, detect
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.journal import Journal
from installer.log import Log, Progress
from installer.matrix import jobs, table
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


def _print_json(value: dict[str, object], code: int) -> None:
    Output().line(json.dumps({**value, "exit_status": int(code)}, indent=2, ensure_ascii=False))


def _print(lines: list[str]) -> None:
    out = Output()
    for line in lines:
        out.line(line)


def fail(error: HcpError, code: int, *, as_json: bool) -> int:
    """Says what went wrong: a line on standard error, and JSON as well where that was asked for."""
    output.complain(f"hotcopy-install: error: {error}")
    if as_json:
        _print_json({"error": {"cause": error.cause, "remedy": error.remedy}}, code)
    return code


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


def _verdict_line(looked: Context, verdict: Verdict) -> str:
    title = f"{looked.system.distro.title}, kernel {looked.system.kernel.release}"
    if verdict.refusals:
        return f"Verdict: refused ({', '.join(item.id for item in verdict.refusals)}): {title}"
    return f"Verdict: {'it can be installed, with warnings' if verdict.severity is Severity.WARN else 'all is well'}: {title}"


def check(source: Source, options: Options, *, as_json: bool) -> ExitCode:
    """--check."""
    looked = _look(source)
    verdict = judge(looked, options.force)
    if not verdict.refusals:
        plans.build(looked, Journal(source.root), options)  # what cannot be planned cannot be installed
    if as_json:
        _print_json(_verdict_json(verdict), verdict.code)
    else:
        _print([*findings.lines(verdict.findings, forced=verdict.forced), "", _verdict_line(looked, verdict)])
    return verdict.code


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
        _print_json({**_verdict_json(verdict), **shown}, verdict.code)
    else:
        lines = list(findings.lines(verdict.findings, forced=verdict.forced, everything=False))
        _print([*lines, "", _verdict_line(looked, verdict), *(_show_plan(planned) if planned else ())])
    return verdict.code


def _done(as_json: bool, verdict: Verdict, planned: Plan, remark: str) -> ExitCode:
    if as_json:
        _print_json({**_verdict_json(verdict), **planned.as_json(), "remark": remark}, ExitCode.DONE)
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
            _print_json(_verdict_json(verdict), verdict.code)
        return verdict.code
    journal = Journal(source.root)
    planned = plans.build(looked, journal, options)
    if not planned.steps:
        return _done(as_json, verdict, planned, _show_plan(planned)[0])
    confirm.need_root()
    if not as_json:
        _print(_show_plan(planned, _BRIEF))
    confirm.ask("Go on?", yes=yes, silent=as_json)
    with stopping.stoppable(), execute.alone(journal.directory):
        session = _session(looked, journal, silent=as_json)
        for finding in verdict.findings:
            if finding.id in verdict.forced:
                session.progress.line(f"forced by the user: {finding.id}: {finding.cause}")
        execute.execute(planned, session)
    return _done(
        as_json, verdict, planned, "Hot Copy is installed, and a hot copy was taken to prove it. Now: hcp DEVICE"
    )


def _removed(as_json: bool, planned: Plan, remark: str) -> ExitCode:
    if as_json:
        _print_json({**planned.as_json(), "remark": remark}, ExitCode.DONE)
    else:
        _print([remark])
    return ExitCode.DONE


def uninstall(source: Source, *, dry_run: bool, yes: bool, remove_hot_copies: bool, as_json: bool) -> ExitCode:
    """The action uninstall."""
    looked = _look(source)
    journal = Journal(source.root)
    session = _session(looked, journal, silent=as_json)
    planned = Plan("what was installed", removal.steps(session))
    if not planned.steps:
        return _removed(as_json, planned, "hotcopy-install has installed nothing here; there is nothing to take away.")
    if dry_run:
        return _removed(as_json, planned, "\n".join(() if as_json else _show_plan(planned)))
    confirm.need_root()
    active = hotcopies.active()
    if active and not remove_hot_copies:
        raise InstallError(
            f"hot copies are active: {', '.join(active)}",
            "hcp --remove --all first, or uninstall --remove-hot-copies",
            ExitCode.IN_USE,
        )
    if not as_json:
        _print([*_show_plan(planned, _BRIEF), *(f"     and end the hot copy {copy}" for copy in active)])
    confirm.ask("Go on?", yes=yes, silent=as_json)
    enrolled = journal.texts("enrolment", "certificate")
    with stopping.stoppable(), execute.alone(journal.directory):
        if active:
            hotcopies.end_all(Silent() if as_json else Output())
        execute.run_steps(planned.steps, session)
        removal.forget(session)
    remark = "Hot Copy is gone, and all that was installed for it."
    if enrolled:
        remark += " The firmware keeps the key that was enrolled: mokutil --list-enrolled, mokutil --delete."
    return _removed(as_json, planned, remark)


def doctor(source: Source, *, as_json: bool) -> ExitCode:
    """The action doctor."""
    found = doctor_module.examine(_look(source))
    code = exit_code([item for item in found if item.severity is Severity.REFUSE])
    if as_json:
        _print_json({"findings": findings.as_json(found)}, code)
    else:
        _print(list(findings.lines(found)))
    return code


def report(source: Source, *, as_json: bool) -> ExitCode:
    """The action report."""
    looked = _look(source)
    found = doctor_module.examine(looked)
    if as_json:
        _print_json({"facts": reports.facts(looked), "findings": findings.as_json(found)}, ExitCode.DONE)
    else:
        _print(list(reports.text(looked, found)))
    return ExitCode.DONE


def support_matrix(*, as_json: bool, form: jobs.Form | None = None) -> ExitCode:
    """The action support-matrix; with ``form`` the job matrix of that CI service, one line of JSON."""
    matrix = load()
    if form:
        Output().line(jobs.job_matrix(matrix, form))
        return ExitCode.DONE
    Output().line((table.as_json(matrix) if as_json else table.text(matrix)).rstrip("\n"))
    return ExitCode.DONE
