# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of hotcopy-install build and build-modules."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hotcopy.errors import UsageError
from hotcopy.output import Output
from installer.exitcodes import ExitCode
from installer.words import Parser

_BUILD = """\
Builds the packages of Hot Copy: DIR/deb/*.deb with debhelper, for Debian,
Ubuntu and what derives from them, and DIR/rpm/TARGET/*.rpm with rpmbuild. Two
builds are the same to the byte (SOURCE_DATE_EPOCH is heeded).
"""
_MODULES = """\
Compiles the driver for one kernel and packages it, for servers without a
compiler: DIR/deb/hotcopy-modules-RELEASE_*.deb, or DIR/rpm/TARGET/*.rpm.
"""


def build_parser(targets: Sequence[str]) -> argparse.ArgumentParser:
    """The grammar of build."""
    grammar = Parser(prog="hotcopy-install build", description=_BUILD)
    grammar.add_argument("directory", metavar="DIR", type=Path, help="where the packages go")
    grammar.add_argument("--deb", action="store_true", help="only .deb (with --rpm: both, which is the default)")
    grammar.add_argument("--rpm", action="store_true", help="only .rpm")
    grammar.add_argument(
        "--target",
        action="append",
        choices=targets,
        metavar="TARGET",
        help=f"only this RPM target: {', '.join(targets)}",
    )
    return grammar


def modules_parser(targets: Sequence[str]) -> argparse.ArgumentParser:
    """The grammar of build-modules."""
    grammar = Parser(prog="hotcopy-install build-modules", description=_MODULES)
    add = grammar.add_argument
    add("directory", metavar="DIR", type=Path, help="where the package goes")
    add("--kernel", required=True, metavar="RELEASE", help="as uname -r says it")
    add("--headers", type=Path, metavar="DIR", help="its headers (default /lib/modules/RELEASE/build)")
    add("--target", choices=targets, metavar="TARGET", help=f"an RPM, for {', '.join(targets)}; without it a .deb")
    add("--sign-key", type=Path, metavar="PEM", help="sign the driver with this key (Secure Boot)")
    add("--sign-cert", type=Path, metavar="DER", help="and this certificate")
    return grammar


def build(words: Sequence[str]) -> ExitCode:
    """hotcopy-install build. InstallError."""
    from installer.build import deb, facts, rpm
    from installer.build.targets import TARGETS, by_key

    given = build_parser([target.key for target in TARGETS]).parse_args(words)
    if given.target and given.deb and not given.rpm:
        raise UsageError("--target does not go with --deb alone", "add --rpm")
    found, out = facts.read(), Output()
    both = given.deb == given.rpm
    if (both or given.deb) and not (given.target and both and not given.deb):
        deb.build(found, given.directory / "deb", out)
    if both or given.rpm:
        for target in [by_key(key) for key in given.target or ()] or TARGETS:
            rpm.build(found, target, given.directory / "rpm" / target.key, out)
    return ExitCode.DONE


def build_modules(words: Sequence[str]) -> ExitCode:
    """hotcopy-install build-modules. InstallError."""
    from installer.build import facts, modules
    from installer.build.targets import TARGETS, by_key

    given = modules_parser([target.key for target in TARGETS]).parse_args(words)
    if bool(given.sign_key) != bool(given.sign_cert):
        raise UsageError("--sign-key and --sign-cert go together", "give both, or none")
    kernel = modules.Kernel.installed(given.kernel)
    if given.headers:
        kernel = modules.Kernel(given.kernel, given.headers.resolve())
    signature = modules.Signature(given.sign_key.resolve(), given.sign_cert.resolve()) if given.sign_key else None
    found, out = facts.read(), Output()
    out.line(f"Compiling the driver for kernel {kernel.release}.")
    module = modules.compile_driver(found, kernel, signature)
    if given.target:
        target = by_key(given.target)
        modules.build_rpm(found, kernel, module, target, given.directory / "rpm" / target.key, out)
    else:
        modules.build_deb(found, kernel, module, given.directory / "deb", out)
    return ExitCode.DONE
