# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages as they are built: the same twice, clean, with the files they are to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotcopy import __version__
from installer import payload
from installer.build.targets import TARGETS, by_key
from tests.driver.bench.run import run
from tests.packages.building import TREE, hotcopy_install
from tests.packages.conftest import WORDS, rpmlint

PACKAGES = ("hotcopy", "hotcopy-dkms", "hotcopy-installer")


def deb(built: Path, name: str) -> Path:
    return next((built / "deb").glob(f"{name}_*.deb"))


def rpm(built: Path, target: str, name: str) -> Path:
    return next((built / "rpm" / target).glob(f"{name}-{__version__}-*.rpm"))


def deb_files(package: Path) -> dict[str, str]:
    """Mode and target of each path that is no directory."""
    found = {}
    for line in run(["dpkg-deb", "--contents", package]).stdout.splitlines():
        mode, *_, path = line.split(maxsplit=5)
        name, _, target = path.partition(" -> ")
        if not mode.startswith("d"):
            found[name.removeprefix(".")] = target or mode
    return found


def rpm_files(package: Path) -> set[str]:
    return set(run(["rpm", "-qpl", "--nosignature", package]).stdout.split())


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        pytest.param(WORDS, 3, id="some"),
        pytest.param((), 1 + len(TARGETS), id="all", marks=pytest.mark.installs),  # make test-packages
    ],
)
def test_two_builds_are_the_same(words: tuple[str, ...], kinds: int, built: Path, tmp_path: Path) -> None:
    hotcopy_install("build", *words, tmp_path)
    again = sorted(path for path in tmp_path.rglob("*.*") if path.is_file())
    assert len(again) == kinds * len(PACKAGES)
    for path in again:
        assert path.read_bytes() == (built / path.relative_to(tmp_path)).read_bytes(), path.name


def test_lintian_finds_nothing(built: Path) -> None:
    packages = sorted((built / "deb").glob("*.deb"))
    done = run(["lintian", "--allow-root", "--fail-on", "error,warning", *packages], check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_rpmlint_finds_nothing(built: Path) -> None:
    assert f"{len(TARGETS) * len(PACKAGES)} packages" in rpmlint(*sorted((built / "rpm").iterdir()))


def test_every_override_has_its_reason() -> None:
    lines = (TREE / "packaging/rpm/rpmlint.toml").read_text(encoding="utf-8").splitlines()
    overrides = [lines[lines.index("Filters = [") + 1 : -1]]
    for path in (TREE / "packaging/deb").rglob("*lintian-overrides.j2"):
        overrides.append(path.read_text(encoding="utf-8").splitlines())
    assert len(overrides) > 3
    for found in overrides:
        for number, line in enumerate(found):
            if not line.strip().startswith("#"):
                assert number and found[number - 1].strip().startswith("#"), line


def test_deb_has_the_command(built: Path) -> None:
    files = deb_files(deb(built, "hotcopy"))
    for name in ("hcp", "hcp-setup"):
        assert files[f"/usr/sbin/{name}"] == "-rwxr-xr-x" and f"/usr/share/man/man8/{name}.8.gz" in files
    assert files["/usr/sbin/hotcopy"] == "hcp"
    assert {f"/usr/lib/hotcopy/hotcopy/{path.name}" for path in (TREE / "hotcopy").glob("*.py")} <= set(files)
    for unit in payload.UNITS:
        assert any(path.endswith(f"lib/systemd/system/{unit}") for path in files)
    assert any(path.endswith("lib/udev/rules.d/59-hotcopy.rules") for path in files)
    depends = run(["dpkg-deb", "--field", deb(built, "hotcopy"), "Depends"]).stdout
    assert f"hotcopy-dkms (= {__version__}-1) | hotcopy-modules (= {__version__}-1)" in depends


def test_deb_has_the_driver(built: Path) -> None:
    package = deb(built, "hotcopy-dkms")
    files = deb_files(package)
    assert {f"/{file.path}" for file in payload.driver()} <= set(files)
    assert "dkms" in run(["dpkg-deb", "--field", package, "Depends"]).stdout


@pytest.mark.parametrize("target", [target.key for target in TARGETS])
def test_rpm_has_the_same(built: Path, target: str) -> None:
    row = by_key(target)
    files = rpm_files(rpm(built, target, "hotcopy"))
    programs, units = f"/{row.places.programs}", f"/{row.places.units}"
    assert {f"{programs}/{name}" for name in ("hcp", "hotcopy", "hcp-setup")} <= files
    assert {f"{units}/{unit}" for unit in payload.UNITS} | {f"{units}-preset/80-hotcopy.preset"} <= files
    assert f"/{row.places.rules}/59-hotcopy.rules" in files
    assert {f"/{file.path}" for file in payload.driver()} <= rpm_files(rpm(built, target, "hotcopy-dkms"))
    package = rpm(built, target, "hotcopy")
    needs = run(["rpm", "-qp", "--nosignature", "--requires", package]).stdout
    assert row.python in needs.split() and row.python_package in needs.split(), needs
    scripts = run(["rpm", "-qp", "--nosignature", "--scripts", package]).stdout
    assert "%" not in scripts.replace("%{", "%"), f"a macro that {target} lacks"
    assert "systemctl" in scripts and "try-restart" not in scripts


def test_installed_launcher_runs(built: Path, tmp_path: Path) -> None:
    """hotcopy-install of the package, with nothing of this checkout."""
    run(["dpkg-deb", "--extract", deb(built, "hotcopy-installer"), tmp_path])
    program = tmp_path / "usr/sbin/hotcopy-install"
    library = tmp_path / "usr/lib/hotcopy-installer"
    program.write_text(program.read_text(encoding="utf-8").replace("/usr/lib/hotcopy-installer", str(library)))
    site = str(Path(pytest.__file__).parents[1])  # distro, yaml, packaging, jinja2: Debian's are not installed here
    code = (
        f"import sys; sys.argv[0] = {str(program)!r}; sys.path.insert(0, {site!r}); exec(open({str(program)!r}).read())"
    )
    done = run(["/usr/bin/python3", "-I", "-S", "-c", code, "--version"], check=False)
    assert done.stdout.strip() == __version__
    done = run(
        ["/usr/bin/python3", "-I", "-S", "-c", code, "build", "--rpm", "--target", "el9", tmp_path / "again"],
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for package in PACKAGES:
        assert rpm(tmp_path / "again", "el9", package).read_bytes() == rpm(built, "el9", package).read_bytes()
