# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot: the key of the machine, the enrolment that waits for a reboot, and going on after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.exitcodes import ExitCode
from installer.journal import STATE
from tests.unit.installer import made_up
from tests.unit.installer.made_up import RELEASE, MadeUp

# The kernel takes the module when it is signed and its key is enrolled.
MODPROBE = """
module=$(find "$root/lib/modules" -name hcpdriver.ko)
if [ "$1" = hcpdriver ] && ! { grep -q signed "$module" && [ -e "$root/enrolled" ]; }; then
    echo "modprobe: ERROR: could not insert 'hcpdriver': Key was rejected by service" >&2
    exit 1
fi
"""
MOKUTIL = """
case $1 in
--test-key)
    if [ -e "$root/enrolled" ]; then echo "$2 is already enrolled"
    elif [ -e "$root/asked" ]; then echo "$2 is already in the enrollment request"
    else echo "$2 is not enrolled"; fi ;;
--import) touch "$root/asked" ;;
--generate-hash=*) echo 'hash' ;;
esac"""
OPENSSL = """
while [ $# -gt 0 ]; do
    case $1 in -keyout | -out) touch "$2" ;; esac
    shift
done"""
SIGNER = 'case "$*" in *signer*) grep -o signed "$4" || true ;; esac'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[MadeUp]:
    made = made_up.make(tmp_path / "root", tmp_path / "programs", "debian-12-secure-boot")
    made.program("modprobe", MODPROBE + made_up.PROGRAMS["modprobe"])
    made.program("modinfo", SIGNER.replace("$4", "$3"))
    made.program("mokutil", MOKUTIL)
    made.program("openssl", OPENSSL)
    signer = made.root / f"usr/src/linux-headers-{RELEASE}/scripts/sign-file"
    signer.parent.mkdir(parents=True)
    signer.write_text('#!/bin/sh\necho signed >"$4"\n', encoding="ascii")
    signer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.programs}:/usr/bin:/bin")
    yield made
    capfd.readouterr()


def imports(machine: MadeUp) -> list[str]:
    return [call for call in machine.calls() if call.startswith("mokutil --import")]


@pytest.mark.parametrize("by_dkms", [True, False], ids=["signed by DKMS", "signed by us"])
def test_a_reboot_enrols_the_key(by_dkms: bool, machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    script = made_up.PROGRAMS["dkms"]
    if by_dkms:
        script = script.replace("echo built", "echo signed")
    else:
        script = script.replace('touch "$root/var/lib/dkms/mok.key" "$root/var/lib/dkms/mok.pub"', "true")
    machine.program("dkms", script)
    assert machine.install("--yes") == ExitCode.REBOOT
    said = capfd.readouterr()
    (password,) = set(re.findall(r"password (\d{8})", said.out + said.err))
    assert f"mokutil --generate-hash={password}" in machine.calls()
    key = "var/lib/dkms/mok.pub" if by_dkms else f"{STATE}/mok.der"
    assert imports(machine) == [f"mokutil --import {machine.root / key} --hash-file {machine.root / STATE}/mok.hash"]
    assert not (machine.root / STATE / "mok.hash").exists()
    assert not (machine.root / "sys/module/hcpdriver").exists()

    assert machine.install("--yes") == ExitCode.REBOOT  # without a reboot nothing is asked for again
    assert "still waits to be enrolled" in capfd.readouterr().err and len(imports(machine)) == 1
    assert password in (machine.root / STATE / "log").read_text(encoding="utf-8")

    (machine.root / "enrolled").touch()  # at the console, after the reboot
    assert machine.install("--yes") == ExitCode.DONE
    assert len(imports(machine)) == 1
    assert (machine.root / "sys/module/hcpdriver").exists()
    builds = [call for call in machine.calls() if call.startswith("dkms install")]
    assert len(builds) == 1  # what is built and signed is not built again
    capfd.readouterr()
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert "mokutil --delete" in capfd.readouterr().out


def test_what_the_module_lacks_is_no_signature(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    (machine.root / "enrolled").touch()
    machine.program("modprobe", "echo 'Exec format error' >&2; exit 1")
    assert machine.install("--yes") == ExitCode.NOT_LOADED
    assert "signed by an enrolled key" in capfd.readouterr().err
    assert imports(machine) == []


def test_nothing_is_staged_where_no_signature_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine = made_up.make(tmp_path / "root", tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{machine.programs}:/usr/bin:/bin")
    machine.program("modprobe", MODPROBE + made_up.PROGRAMS["modprobe"])
    machine.program("mokutil", MOKUTIL)
    assert machine.install("--yes") == ExitCode.NOT_LOADED
    assert imports(machine) == []
    capfd.readouterr()
