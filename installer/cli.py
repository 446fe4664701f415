# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install: the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hotcopy import __version__, output
from hotcopy.errors import HcpError, UsageError
from installer import actions
from installer.detect.system import Source, this_host
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.matrix.jobs import Form
from installer.matrix.reader import MatrixError
from installer.options import Options
from installer.stopping import Stopped
from installer.words import ACTIONS, Parser

_HINT = "hotcopy-install --help shows what there is"
_DESCRIPTION = """\
Gets Hot Copy onto this machine, or says exactly why not. Without an action it
installs: packages that building takes, hcp, and the driver, which it compiles
here; then it takes a hot copy of a scratch device to prove that it works.
Nothing is sent anywhere. Running it again changes nothing, or goes on where a
run was stopped.

  plan             what would be done
  uninstall        take away exactly what was installed
  doctor           how the installation is
  report           facts of this machine, ready to paste
  support-matrix   every system that is supported, retired or refused

  build, build-modules, publish
                   packages and repositories; each has a --help of its own
"""
_ACTIONS = ("install", "plan", "uninstall", "doctor", "report", "support-matrix")


def parser() -> argparse.ArgumentParser:
    """The grammar."""
    codes = "\n".join(f"  {code.value:>2}  {code.meaning}" for code in ExitCode)
    grammar = Parser(
        prog="hotcopy-install",
        usage="hotcopy-install [--check | --dry-run] [--yes] [--json] [--force ID] [--repo URL --repo-key FILE | --from DIR]\n"
        "       hotcopy-install plan | uninstall [--remove-hot-copies] | doctor | report\n"
        "       hotcopy-install support-matrix [--format github | gitlab]",
        description=_DESCRIPTION,
        epilog=f"Exit status:\n{codes}",
        add_help=False,
        allow_abbrev=False,
    )
    add = grammar.add_argument
    add("action", nargs="?", default="install", choices=_ACTIONS, metavar="ACTION", help="see above")
    add("--check", action="store_true", help="look whether Hot Copy can be installed here, and do nothing")
    add("--dry-run", action="store_true", help="show every step, and do nothing")
    add("-y", "--yes", action="store_true", help="ask nothing; needed without a terminal")
    add("--json", action="store_true", help="for programs; goes with everything, and asks nothing")
    add(
        "--force",
        metavar="ID",
        action="append",
        default=[],
        help="install in spite of this refusal (HC-...); is logged",
    )
    add("--repo", metavar="URL", help="install packages from this repository, and add it")
    add("--repo-key", metavar="FILE", type=Path, help="with --repo: the key that signs it; no other is trusted")
    add(
        "--from",
        metavar="DIR",
        type=Path,
        dest="directory",
        help="install packages from this directory, without a network",
    )
    add("--remove-hot-copies", action="store_true", help="with uninstall: end hot copies that are active")
    add(
        "--format",
        choices=[form.value for form in Form],
        dest="form",
        help="with support-matrix: the job matrix of a CI service",
    )
    add("-v", "--version", action="store_true", help="print the version")
    add("-h", "--help", action="store_true", help="print this help")
    return grammar


_BELONGS = {
    "check": ("install",),
    "dry_run": ("install", "uninstall"),
    "force": ("install", "plan"),
    "repo": ("install", "plan"),
    "repo_key": ("install", "plan"),
    "directory": ("install", "plan"),
    "remove_hot_copies": ("uninstall",),
    "yes": ("install", "uninstall"),
    "form": ("support-matrix",),
}
_SPELT = {"directory": "from", "form": "format"}  # options whose attribute has another name

_EXCLUSIVE = (("check", "dry_run"), ("repo", "directory"), ("check", "yes"), ("dry_run", "yes"), ("json", "form"))


def _option(name: str) -> str:
    return _SPELT.get(name, name.replace("_", "-"))


def _refuse_strays(given: argparse.Namespace) -> None:
    for name, places in _BELONGS.items():
        if getattr(given, name) and given.action not in places:
            raise UsageError(f"--{_option(name)} does not go with {given.action}", _HINT)
    for one, other in _EXCLUSIVE:
        if getattr(given, one) and getattr(given, other):
            raise UsageError(f"--{_option(one)} and --{_option(other)} do not go together", _HINT)
    if given.repo_key and not given.repo:
        raise UsageError("--repo-key goes with --repo only", _HINT)


def _act(given: argparse.Namespace, source: Source) -> ExitCode:
    options = Options(given.repo, given.repo_key, given.directory, tuple(given.force))
    if given.action == "uninstall":
        return actions.uninstall(
            source,
            dry_run=given.dry_run,
            yes=given.yes,
            remove_hot_copies=given.remove_hot_copies,
            as_json=given.json,
        )
    if given.action == "doctor":
        return actions.doctor(source, as_json=given.json)
    if given.action == "report":
        return actions.report(source, as_json=given.json)
    if given.action == "support-matrix":
        return actions.support_matrix(as_json=given.json, form=Form(given.form) if given.form else None)
    if given.check:
        return actions.check(source, options, as_json=given.json)
    if given.dry_run or given.action == "plan":
        return actions.plan(source, options, as_json=given.json)
    return actions.install(source, options, yes=given.yes, as_json=given.json)


def main(argv: Sequence[str] | None = None, source: Source | None = None) -> int:
    """Runs hotcopy-install and returns its exit status; never raises for users."""
    output.secure_descriptors()
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words  # also where the rest cannot be understood
    try:
        if words and words[0] in ACTIONS:
            return ACTIONS[words[0]](words[1:])
        given = parser().parse_args(words)
        if given.help or given.version:
            text = parser().format_help().rstrip("\n") if given.help else __version__
            output.Output().line(text)
            return ExitCode.DONE
        _refuse_strays(given)
        return _act(given, source or this_host())
    except InstallError as error:
        return actions.fail(error, error.code, as_json=as_json)
    except HcpError as error:
        return actions.fail(error, error.exit_status, as_json=as_json)
    except MatrixError as error:
        damaged = InstallError(str(error), "this installer is damaged, get it again")
        return actions.fail(damaged, damaged.code, as_json=as_json)
    except Stopped as stopped:
        remedy = "run it again, and it goes on, or take away what is done: hotcopy-install uninstall"
        return actions.fail(HcpError(f"stopped by {stopped}", remedy), ExitCode.STOPPED, as_json=as_json)
    except OSError as error:
        wrong = actions.explain(error)
        return actions.fail(wrong, wrong.code, as_json=as_json)
    except KeyboardInterrupt:
        return actions.fail(HcpError("stopped; nothing was changed"), ExitCode.STOPPED, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
