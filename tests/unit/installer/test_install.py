# SPDX-License-Identifier: GPL-2.0-or-later
"""Installing, going on after a kill, and uninstalling, on a made-up machine."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotcopy import __version__
from installer import heartbeat
from installer.exitcodes import ExitCode
from installer.journal import STATE, Journal
from installer.steps import dkms, services
from tests.unit.installer import made_up
from tests.unit.installer.made_up import RELEASE, MadeUp


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[MadeUp]:
    made = made_up.make(tmp_path / "root", tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{made.programs}:/usr/bin:/bin")
    yield made
    capfd.readouterr()


def test_install_and_uninstall(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    before = machine.listing()
    assert machine.install("--yes") == ExitCode.DONE
    said = capfd.readouterr().out
    assert "[1/5] Install packages" in said and "[5/5] done" in said
    assert (machine.root / "usr/sbin/hcp").read_text(encoding="utf-8").startswith("#!/usr/bin/python3 -IS\n")
    unit = (machine.root / "etc/systemd/system/hotcopy.service").read_text(encoding="utf-8")
    assert "exec /usr/lib/hotcopy/system stop-all" in unit and "python3" not in unit
    conf = (machine.root / f"usr/src/hotcopy-{__version__}/dkms.conf").read_text(encoding="utf-8")
    assert f'PACKAGE_VERSION="{__version__}"' in conf
    assert f"dkms install --force -m hotcopy -v {__version__} -k {RELEASE}" in machine.calls()

    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before
    assert (machine.root / "db").read_text(encoding="ascii") == "libc6\nbash\n"


def test_second_run_does_nothing(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.install("--yes") == ExitCode.DONE
    after, calls = machine.listing(), machine.calls()
    capfd.readouterr()
    assert machine.install() == ExitCode.DONE  # nothing to confirm either
    assert "there is nothing to do" in capfd.readouterr().out
    assert (machine.listing(), machine.calls()) == (after, calls)


@pytest.mark.parametrize("words", [["--check"], ["--dry-run"], ["plan"], ["plan", "--json"], ["doctor"], ["report"]])
def test_looking_changes_nothing(words: list[str], machine: MadeUp) -> None:
    before = machine.listing()
    machine.install(*words)
    assert machine.listing() == before
    assert machine.calls() == []


def test_plan_is_what_is_done(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.install("plan", "--json") == ExitCode.DONE
    planned = json.loads(capfd.readouterr().out)
    assert planned["verdict"] == "warn"
    machine.install("--yes")
    entries = Journal(machine.root).entries
    assert [step["key"] for step in planned["steps"]] == [
        entry["key"] for entry in entries if entry["kind"] == "step" and entry["state"] == "done"
    ]


def test_killed_anywhere_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the ends of every step, at the first and the last of each other kind of entry, and at some files."""
    path = "/usr/bin:/bin"
    whole = made_up.make(tmp_path / "whole", tmp_path / "whole-programs")
    monkeypatch.setenv("PATH", f"{whole.programs}:{path}")
    before = whole.listing()
    assert whole.install("--yes") == ExitCode.DONE
    entries = Journal(whole.root).entries
    kinds = [entry["kind"] for entry in entries]
    points = {number for number, kind in enumerate(kinds, 1) if kind == "step"}
    points |= {kinds.index(kind) + 1 for kind in kinds} | {len(kinds) - kinds[::-1].index(kind) for kind in kinds}
    points |= {number for number, kind in enumerate(kinds, 1) if kind == "file" and number % 40 == 0}
    done = {name for name in whole.listing() if not name.startswith(STATE)}
    assert len(points) > 15
    for number in sorted(points):
        machine = made_up.make(tmp_path / f"{number}", tmp_path / f"{number}-programs")
        monkeypatch.setenv("PATH", f"{machine.programs}:{path}")
        assert machine.killed_at(number, "--yes"), number
        assert machine.install("--yes") == ExitCode.DONE, number
        assert {name for name in machine.listing() if not name.startswith(STATE)} == done, number
        assert machine.install("uninstall", "--yes") == ExitCode.DONE, number
        assert machine.listing() == before, number
        assert (machine.root / "db").read_text(encoding="ascii") == "libc6\nbash\n", number
    capfd.readouterr()


def test_killed_and_given_up(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    before = machine.listing()
    assert machine.killed_at(40, "--yes")
    assert machine.install("doctor") == ExitCode.REFUSED
    assert "stopped at the step 'files'" in capfd.readouterr().out
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before


def test_killed_while_packages_were_installed(machine: MadeUp) -> None:
    """What came before the kill belongs to us as well."""
    machine.program("apt-get", made_up.PROGRAMS["apt-get"] + '\ncase " $* " in *" dkms "*) kill -9 $PPID ;; esac')
    assert machine.killed_at(10**6, "--yes")
    machine.program("apt-get", made_up.PROGRAMS["apt-get"])
    assert machine.install("--yes") == ExitCode.DONE
    assert "dpkg --configure -a --force-confdef" in machine.calls()
    assert set(Journal(machine.root).listed("packages", "names")) == {
        "gcc", "make", "dkms", "libdependency", f"linux-headers-{RELEASE}",
    }  # fmt: skip


def test_killed_while_packages_were_installed_and_given_up(machine: MadeUp) -> None:
    before = machine.listing()
    machine.program("apt-get", made_up.PROGRAMS["apt-get"] + '\ncase " $* " in *" gcc "*) kill -9 $PPID ;; esac')
    assert machine.killed_at(10**6, "--yes")
    machine.program("apt-get", made_up.PROGRAMS["apt-get"])
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before
    assert (machine.root / "db").read_text(encoding="ascii") == "libc6\nbash\n"


def process(machine: MadeUp, pid: int, name: str, parent: int, place: Path, words: str = "", under: str = "") -> Path:
    """A process as /proc has it, which ends when its cwd goes; ``under`` make it has a level."""
    directory = machine.root / f"proc/{pid}"
    directory.mkdir()
    (directory / "stat").write_text(f"{pid} ({name}) R {parent} 1 1", encoding="ascii")
    (directory / "cmdline").write_text(words.replace(" ", "\0"), encoding="ascii")
    (directory / "environ").write_text(f"HOME=/root\0{under}\0", encoding="ascii")
    (directory / "cwd").symlink_to(place)
    return directory


@pytest.fixture
def build(machine: MadeUp) -> Path:
    """Where DKMS builds."""
    directory = machine.root / f"var/lib/dkms/hotcopy/{__version__}/build"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("in_tree", [True, False])
def test_a_build_that_somebody_waits_for_is_waited_for(
    in_tree: bool, build: Path, machine: MadeUp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What make has started makes a part of the tree again, which DKMS then calls broken; kbuild stands elsewhere."""
    process(machine, 4710, "dkms", 1, machine.root, "bash /usr/sbin/dkms autoinstall")
    compiler = process(machine, 4711, "cc1", 4710, build if in_tree else machine.root, f"cc1 -o {build}/main.o")
    monkeypatch.setattr(dkms, "sleep", lambda _: (compiler / "cwd").unlink())  # it ends meanwhile
    assert machine.install("--yes") == ExitCode.DONE
    assert "has not ended yet (process 4711); waiting" in capfd.readouterr().out
    assert machine.install("uninstall", "--yes") == ExitCode.DONE


@pytest.mark.parametrize(("caller", "left"), [("sh", False), ("make", True), ("dkms", True)])
def test_what_a_killed_build_left_running_is_ended(
    caller: str,
    left: bool,
    build: Path,
    machine: MadeUp,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A compiler whose make was killed; but nothing that make or DKMS still wait for."""
    with subprocess.Popen(["sleep", "9999"]) as compiler:
        process(machine, 4711, caller, 1, machine.root)
        entry = process(machine, compiler.pid, "cc1", 4711, build, "cc1 main.c", "MAKELEVEL=2")
        monkeypatch.setattr(dkms, "sleep", lambda _: (entry / "cwd").unlink())  # it ends meanwhile
        assert machine.install("--yes") == ExitCode.DONE
        assert (compiler.poll() is None) == left or compiler.wait(10) == -signal.SIGKILL
        compiler.kill()
    assert ("Ending what a build" in capfd.readouterr().out) != left


def test_what_an_orphan_has_started_is_ended_with_it(
    build: Path, machine: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its make stands in the headers' directory, and names no tree in what it has started (seen on Debian 13)."""
    with subprocess.Popen(["sleep", "9999"]) as script, subprocess.Popen(["sleep", "9999"]) as make:
        entries = [
            process(machine, script.pid, "probe.sh", 1, build, "sh ./compat/probe.sh", "MAKELEVEL=1"),
            process(machine, make.pid, "make", script.pid, machine.root, "make -k"),
        ]

        def end(_: float) -> None:
            for entry in entries:
                (entry / "cwd").unlink()

        monkeypatch.setattr(dkms, "sleep", end)
        assert machine.install("--yes") == ExitCode.DONE
        assert script.wait(10) == make.wait(10) == -signal.SIGKILL


def test_who_only_looks_at_a_build_is_left_alone(
    build: Path, machine: MadeUp, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "9999"]) as shell:
        process(machine, shell.pid, "bash", 1, build)
        process(machine, 4712, "less", shell.pid, build, f"less {build}/make.log")
        assert machine.install("--yes") == ExitCode.DONE
        assert shell.poll() is None and "a build that was stopped" not in capfd.readouterr().out.lower()
        shell.kill()


def test_units_that_others_have_enabled_are_disabled(machine: MadeUp) -> None:
    """systemd does, by its presets, when an installation was stopped before the first boot (seen on Debian 13)."""
    before = machine.listing()
    machine.program("dkms", "exit 10")
    assert machine.install("--yes") == ExitCode.NOT_BUILT
    machine.program("dkms", made_up.PROGRAMS["dkms"])
    subprocess.run([machine.programs / "systemctl", "enable"], check=True, timeout=60)
    assert machine.install("--yes") == ExitCode.DONE
    assert "unit" not in {entry["kind"] for entry in Journal(machine.root).entries}
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before


def test_a_make_above_is_no_business_of_dkms(machine: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """make install, on Debian 12: its DKMS finds no compiler then."""
    monkeypatch.setenv("MAKELEVEL", "1")
    machine.program("dkms", '[ -z "${MAKELEVEL-}" ] || exit 10\n' + made_up.PROGRAMS["dkms"])
    assert machine.install("--yes") == ExitCode.DONE


def test_uninstall_after_a_build_that_was_killed(machine: MadeUp) -> None:
    assert machine.install("--yes") == ExitCode.DONE
    (machine.root / f"var/lib/dkms/hotcopy/{__version__}/source").unlink()
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert not (machine.root / "var/lib/dkms/hotcopy").exists()


def test_a_signal_lets_the_package_manager_end(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    machine.program("apt-get", "kill -TERM $PPID\nsleep 0.2\n" + made_up.PROGRAMS["apt-get"])
    assert machine.install("--yes") == ExitCode.STOPPED
    assert "stopped by SIGTERM; run it again" in capfd.readouterr().err
    assert not [call for call in machine.calls() if " install " in call]  # what came next was not run
    machine.program("apt-get", made_up.PROGRAMS["apt-get"])
    assert machine.install("--yes") == ExitCode.DONE


def test_report_names_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    machine = made_up.make(tmp_path / "root", tmp_path / "programs", "debian-12")
    table = machine.root / "proc/self/mountinfo"
    table.write_text(table.read_text(encoding="ascii").replace("/srv", "/home/customer"), encoding="ascii")
    assert machine.install("report") == ExitCode.DONE
    said = capfd.readouterr().out
    assert "customer" not in said and "xfs at a place of its own" in said and "debian-12" in said


def test_without_dkms_it_is_built_all_the_same(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    script = 'case " $* " in *" dkms "*) echo "E: Unable to locate package dkms"; exit 100 ;; esac\n'
    machine.program("apt-get", script + made_up.PROGRAMS["apt-get"])
    machine.install("--yes")
    assert "without dkms: no repository has the package dkms" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("program", "script", "code", "part"),
    [
        ("apt-get", "echo 'E: Could not get lock /var/lib/dpkg/lock. It is held'; exit 100", ExitCode.LOCKED, "lock"),
        (
            "apt-get",
            "echo 'E: Unable to locate package linux-headers-6'; exit 100",
            ExitCode.NO_HEADERS,
            "dist-upgrade",
        ),
        ("apt-get", "echo 'Temporary failure resolving'; exit 100", ExitCode.NO_NETWORK, "--from DIR"),
        ("apt-get", "echo 'No space left on device'; exit 100", ExitCode.NO_SPACE, "df -h"),
        ("apt-get", "echo 'Read-only file system'; exit 100", ExitCode.READ_ONLY, "remount,rw"),
        ("apt-get", "exit 0", ExitCode.NO_HEADERS, "another kernel"),
        ("dkms", "exit 10", ExitCode.NOT_BUILT, "make.log"),
        ("dkms", "exit 21", ExitCode.NOT_BUILT, "headers"),
        ("modprobe", "echo 'Exec format error'; exit 1", ExitCode.NOT_LOADED, "dmesg"),
        ("systemctl", "echo 'Failed to connect to bus'; exit 1", ExitCode.FAILED, "bus"),
        ("losetup", "echo 'no free loop device'; exit 1", ExitCode.NOT_VERIFIED, "no free loop device"),
        ("hcp", "echo 'hcp: error: no'; exit 1", ExitCode.NOT_VERIFIED, "hcp: error: no"),
    ],
)
def test_failures(
    program: str, script: str, code: ExitCode, part: str, machine: MadeUp, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.program(program, script)
    assert machine.install("--yes") == code
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and said.startswith("hotcopy-install: error: ") and part in said
    machine.program(program, made_up.PROGRAMS[program])
    assert machine.install("--yes") == ExitCode.DONE


def test_what_a_full_disk_left_is_completed_first(machine: MadeUp) -> None:
    machine.program("apt-get", "case $* in *install*) echo 'No space left on device'; exit 100 ;; esac")
    assert machine.install("--yes") == ExitCode.NO_SPACE
    machine.program("apt-get", made_up.PROGRAMS["apt-get"])
    machine.program(
        "dpkg", "echo 'dependency problems - leaving unconfigured'; exit 1"
    )  # until apt has fetched the rest
    (machine.root / "calls").unlink()
    assert machine.install("--yes") == ExitCode.DONE
    calls = [call for call in machine.calls() if call.startswith(("dpkg ", "apt-get "))]
    assert calls[0].startswith("dpkg --configure -a") and "--fix-broken install" in calls[1]


def test_a_hot_copy_that_is_wrong_is_found_out(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    machine.program("hcp", made_up.PROGRAMS["hcp"].replace("cp ", "ln "))  # it shows what is written later
    assert machine.install("--yes") == ExitCode.NOT_VERIFIED
    assert "does not show its device as it was" in capfd.readouterr().err


def test_an_older_installation_is_replaced(machine: MadeUp) -> None:
    assert machine.install("--yes") == ExitCode.DONE
    journal = Journal(machine.root)
    for path in ("usr/src/hotcopy-0.0.1/main.c", "usr/lib/hotcopy/hotcopy/gone.py"):
        target = machine.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        journal.note("file", path=path, sha256="")
    (machine.root / "usr/lib/hotcopy/hotcopy/cli.py").write_text("changed", encoding="ascii")
    assert machine.install("--yes") == ExitCode.DONE
    assert not (machine.root / "usr/src/hotcopy-0.0.1").exists()
    assert not (machine.root / "usr/lib/hotcopy/hotcopy/gone.py").exists()
    assert (machine.root / "usr/lib/hotcopy/hotcopy/cli.py").stat().st_size > len("changed")


@pytest.mark.parametrize("words", [["--yes"], ["--check"], ["plan"]])
def test_what_others_put_there_stays(words: list[str], machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    path = machine.root / "usr/sbin/hcp"
    path.write_text("R1Soft's\n", encoding="ascii")
    assert machine.install(*words) == ExitCode.REFUSED
    assert "/usr/sbin/hcp is there already" in capfd.readouterr().err
    assert path.read_text(encoding="ascii") == "R1Soft's\n"


def test_a_mirror_that_apt_update_shrugs_at(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    machine.program(
        "apt-get",
        """case " $* " in
*" update ") echo "W: Failed to fetch http://mirror/x  Could not resolve 'mirror'" ;;
*) echo "E: Unable to locate package linux-headers-6.1.0-40-amd64"; exit 100 ;;
esac""",
    )
    assert machine.install("--yes") == ExitCode.NO_NETWORK
    assert "mirror cannot be reached" in capfd.readouterr().err


def test_doctor_finds_what_is_amiss(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    def refused() -> set[str]:
        found = answer(machine, capfd, "doctor")["findings"]
        return {row["id"] for row in found if row["severity"] == "refuse"}

    assert machine.install("--yes") == ExitCode.DONE
    capfd.readouterr()
    assert refused() == set()
    (machine.root / "dev/hcp").unlink()
    (machine.root / "usr/sbin/hcp").unlink()
    next(machine.root.glob("lib/modules/*/updates/dkms/hcpdriver.ko")).unlink()
    assert refused() == {"HC-HCP", "HC-DRIVER-FILE", "HC-DRIVER-LOADED"}


def test_unconfirmed(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    before = machine.listing()
    assert machine.install() == ExitCode.UNCONFIRMED
    assert "--yes" in capfd.readouterr().err
    assert machine.listing() == before


def test_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    machine = made_up.make(tmp_path / "root", tmp_path / "programs", "debian-12-docker")
    before = machine.listing()
    assert machine.install("--yes", "--json") == ExitCode.REFUSED
    answer = json.loads(capfd.readouterr().out)
    assert answer["verdict"] == "refuse" and answer["exit_status"] == ExitCode.REFUSED
    assert machine.listing() == before


def test_forced_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    machine = made_up.make(tmp_path / "root", tmp_path / "programs", "debian-12-usr-read-only")
    monkeypatch.setenv("PATH", f"{machine.programs}:/usr/bin:/bin")
    assert machine.install("--yes") == ExitCode.READ_ONLY
    assert machine.install("--yes", "--force", "HC-USR") == ExitCode.DONE
    capfd.readouterr()
    assert "forced by the user: HC-USR" in (machine.root / STATE / "log").read_text(encoding="utf-8")


def answer(machine: MadeUp, capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What it says to programs: one JSON value and nothing else, with the exit status in it."""
    status = machine.install(*words, "--json")
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert found["exit_status"] == status
    return found


def test_json(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    assert answer(machine, capfd, "--check")["verdict"] == "warn"
    steps = answer(machine, capfd, "--dry-run")["steps"]
    assert steps == answer(machine, capfd, "plan")["steps"] and len(steps) == 5
    assert "there is nobody to ask" in answer(machine, capfd)["error"]["cause"]
    assert answer(machine, capfd, "--yes")["steps"] == steps
    assert answer(machine, capfd, "--yes")["steps"] == []
    assert {row["id"] for row in answer(machine, capfd, "doctor")["findings"]} > {"HC-HCP", "HC-DRIVER-LOADED"}
    assert answer(machine, capfd, "report")["facts"]["hcp"] == "/usr/sbin/hcp"
    planned = answer(machine, capfd, "uninstall", "--dry-run")["steps"]
    assert answer(machine, capfd, "uninstall", "--yes")["steps"] == planned != []
    assert answer(machine, capfd, "uninstall")["steps"] == []
    assert answer(machine, capfd, "--nonsense")["error"]["remedy"]


def test_a_long_step_says_that_it_is_alive(
    machine: MadeUp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.1)
    # It goes on when its words have arrived.
    wait = (
        'for _ in $(seq 600); do grep -q "Unpacking gcc" "$root/var/lib/hotcopy-install/log" && break; sleep 0.1; done'
    )
    machine.program("apt-get", f"echo 'Unpacking gcc ...'\n{wait}\n{made_up.PROGRAMS['apt-get']}")
    assert machine.install("--yes") == ExitCode.DONE
    assert re.search(r"^    \.\.\. \d+ s Unpacking gcc \.\.\.$", capfd.readouterr().out, re.MULTILINE)


def test_a_program_that_hangs_is_ended(
    machine: MadeUp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(services, "_PATIENCE", 0.5)
    machine.program("systemctl", "sleep 9999 & sleep 9999")
    assert machine.install("--yes") == ExitCode.FAILED
    assert "systemctl did not finish in 0 seconds" in capfd.readouterr().err


def test_packages_do_not_go_over_what_was_built_here(
    machine: MadeUp, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert machine.install("--yes") == ExitCode.DONE
    (tmp_path / "hotcopy_0.1.0_all.deb").touch()
    assert machine.install("--yes", "--from", str(tmp_path)) == ExitCode.REFUSED
    assert "hotcopy-install uninstall" in capfd.readouterr().err


def test_packages_from_a_directory(machine: MadeUp, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "packages"
    directory.mkdir()
    assert machine.install("--yes", "--from", str(directory)) == ExitCode.USAGE
    assert "no package hotcopy*.deb" in capfd.readouterr().err
    for name in ("hotcopy_0.1.0_all.deb", "hotcopy-dkms_0.1.0_all.deb"):
        (directory / name).touch()
    assert machine.install("plan", "--json", "--from", str(directory)) == ExitCode.DONE
    keys = [step["key"] for step in json.loads(capfd.readouterr().out)["steps"]]
    assert keys == ["local-packages", "driver", "verify"]


@pytest.mark.parametrize(
    ("modules", "driver"),
    [
        ((), "hotcopy-dkms_0.1.0-1_all.deb"),
        ((f"hotcopy-modules-{RELEASE}_0.1.0-1_amd64.deb",), f"hotcopy-modules-{RELEASE}_0.1.0-1_amd64.deb"),
        (("hotcopy-modules-6.1.0-4-amd64_0.1.0-1_amd64.deb",), "hotcopy-dkms_0.1.0-1_all.deb"),
    ],
    ids=["no compiled driver", "one for this kernel", "one for another kernel"],
)
def test_of_what_build_has_made_the_driver_that_fits(
    modules: tuple[str, ...], driver: str, machine: MadeUp, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("hotcopy_0.1.0-1_all.deb", "hotcopy-dkms_0.1.0-1_all.deb", "hotcopy-installer_0.1.0-1_all.deb", *modules)
    for name in names:
        (tmp_path / "deb").mkdir(exist_ok=True)
        (tmp_path / "deb" / name).touch()
    for directory in (tmp_path, tmp_path / "deb"):
        assert machine.install("plan", "--json", "--from", str(directory)) == ExitCode.DONE
        step = json.loads(capfd.readouterr().out)["steps"][0]
        given = {Path(word).name for word in step["details"][0].split() if word.endswith(".deb")}
        assert given == {"hotcopy_0.1.0-1_all.deb", driver}


def test_packages_from_a_directory_after_a_kill(machine: MadeUp, tmp_path: Path) -> None:
    """What dpkg had begun is ended first, and what had come already goes with an uninstall, too."""
    for name in ("hotcopy_0.1.0_all.deb", "hotcopy-dkms_0.1.0_all.deb"):
        (tmp_path / name).touch()
    machine.program("apt-get", 'echo hotcopy >>"$root/db"\nkill -9 $PPID')
    assert machine.killed_at(10**6, "--yes", "--from", str(tmp_path))
    machine.program("apt-get", made_up.PROGRAMS["apt-get"])
    (machine.root / "calls").unlink()
    machine.install("--yes", "--from", str(tmp_path))
    calls = [call for call in machine.calls() if call.startswith(("dpkg ", "apt-get "))]
    assert calls[0].startswith("dpkg --configure -a") and "--fix-broken install" in calls[1]
    assert "hotcopy" in Journal(machine.root).listed("packages", "names")
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert (machine.root / "db").read_text(encoding="ascii") == "libc6\nbash\n"


@pytest.mark.parametrize("words", ["install", "uninstall"])
def test_a_package_that_is_half_there_and_in_no_repository(words: str, machine: MadeUp, tmp_path: Path) -> None:
    """Of a file that was given to apt, killed in the midst of unpacking: apt does nothing more until it is gone."""
    for name in ("hotcopy_0.1.0_all.deb", "hotcopy-dkms_0.1.0_all.deb"):
        (tmp_path / name).touch()
    machine.program("apt-get", 'echo hotcopy >>"$root/db"; touch "$root/calls.half"; kill -9 $PPID')
    assert machine.killed_at(10**6, "--yes", "--from", str(tmp_path))
    stuck = '[ -e "$root/calls.half" ] && { echo "E: The package hotcopy needs to be reinstalled"; exit 100; }\n'
    machine.program("apt-get", stuck + made_up.PROGRAMS["apt-get"])
    machine.program(
        "dpkg-query",
        'case "$*" in *Eflag*) echo "ok libc6"; [ ! -e "$root/calls.half" ] || echo "reinstreq hotcopy" ;; *) cat "$root/db" ;; esac',
    )
    machine.program("dpkg", 'case "$*" in *--purge*) rm "$root/calls.half"; sed -i "/^hotcopy$/d" "$root/db" ;; esac')
    if words == "install":
        machine.install("--yes", "--from", str(tmp_path))  # which finds no driver: this apt has put none there
        assert {"kind": "step", "key": "local-packages", "state": "done"} in Journal(machine.root).entries
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert "dpkg --purge --force-remove-reinstreq --force-depends hotcopy" in machine.calls()
    assert (machine.root / "db").read_text(encoding="ascii") == "libc6\nbash\n"


def test_repository(machine: MadeUp, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key.asc"
    key.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n", encoding="ascii")
    words = ("--repo", "https://example.org/hotcopy")
    assert machine.install("--yes", *words) == ExitCode.USAGE
    assert "--repo-key" in capfd.readouterr().err
    before = machine.listing()
    machine.install("--yes", *words, "--repo-key", str(key))
    source = (machine.root / "etc/apt/sources.list.d/hotcopy.sources").read_text(encoding="ascii")
    assert (
        "URIs: https://example.org/hotcopy/apt/\n" in source and "Signed-By: /etc/apt/keyrings/hotcopy.asc\n" in source
    )
    assert (machine.root / "etc/apt/keyrings/hotcopy.asc").read_bytes() == key.read_bytes()
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before


def test_a_key_is_as_it_was_given(machine: MadeUp, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    words = ("--repo", "https://example.org", "--repo-key", str(key))
    key.write_text("<html>not found</html>", encoding="ascii")
    assert machine.install("--yes", *words) == ExitCode.USAGE
    assert "no armoured public key" in capfd.readouterr().err
    key.write_bytes(b"\x99\x01\x8d\x04")
    machine.install("--yes", *words)
    assert (machine.root / "etc/apt/keyrings/hotcopy.gpg").read_bytes() == key.read_bytes()
    source = (machine.root / "etc/apt/sources.list.d/hotcopy.sources").read_text(encoding="ascii")
    assert "Signed-By: /etc/apt/keyrings/hotcopy.gpg\n" in source


def test_packages_are_left_alone(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever installed them: what is missing is the driver in the kernel, and the proof."""
    for path in ("usr/sbin/hcp", "var/lib/dpkg/info/hotcopy.list", "usr/lib/hotcopy/hotcopy/cli.py"):
        (machine.root / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / path).touch()
    assert machine.install("plan", "--json") == ExitCode.DONE
    said = json.loads(capfd.readouterr().out)
    assert said["source"] == "the packages of Hot Copy that are installed"
    assert [step["key"] for step in said["steps"]] == ["driver", "verify"]


def test_packages_of_another_version_than_the_installer(machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    """Their driver is the right one: it is not unloaded (hot copies may be active), and a second run does nothing."""
    for path, text in (
        ("usr/sbin/hcp", ""),
        ("var/lib/dpkg/info/hotcopy.list", ""),
        ("usr/lib/hotcopy/hotcopy/__init__.py", '"""Hot Copy."""\n\n__version__ = "9.9"\n'),
        ("sys/module/hcpdriver/version", "9.9\n"),
        ("dev/hcp", ""),
    ):
        (machine.root / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / path).write_text(text, encoding="ascii")
    assert machine.install("--yes") == ExitCode.DONE
    assert machine.install() == ExitCode.DONE
    assert "there is nothing to do" in capfd.readouterr().out
    assert "modprobe -r hcpdriver" not in machine.calls()
    machine.install("doctor")
    assert "the driver 9.9 is loaded" in capfd.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--check", "--dry-run"],
        ["plan", "--yes"],
        ["doctor", "--force", "X"],
        ["--repo", "u", "--from", "d"],
        ["--repo-key", "k"],
        ["uninstall", "--check"],
        ["--nonsense"],
        ["nonsense"],
        ["--remove-hot-copies"],
    ],
)
def test_usage(words: list[str], machine: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.install(*words) == ExitCode.USAGE
    assert capfd.readouterr().err.startswith("hotcopy-install: error: ")


def test_nothing_to_uninstall(machine: MadeUp) -> None:
    before = machine.listing()
    assert machine.install("uninstall", "--yes") == ExitCode.DONE
    assert machine.listing() == before
