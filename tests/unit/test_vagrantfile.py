"""The Vagrantfile asks for exactly what matrix.yaml says: evaluated by Ruby, with a stand-in for Vagrant."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from installer.matrix.load import load
from installer.matrix.model import Provider

TREE = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("vagrant") / "stand_in.rb"
ROWS = {row.key: row for row in load().distros if row.boxes}

Said = dict[str, Any]


def evaluate(vagrantfile: Path, **environment: str) -> Said:
    """Everything a Vagrantfile asked for, in the form that stand_in.rb prints."""
    done = subprocess.run(
        ["ruby", STAND_IN, vagrantfile],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["vm"]
    assert isinstance(said, dict)
    return said


@pytest.fixture(scope="module")
def asked() -> Said:
    return evaluate(TREE / "Vagrantfile")


def test_ruby_finds_nothing() -> None:
    done = subprocess.run(["ruby", "-wc", TREE / "Vagrantfile"], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("Syntax OK\n", "")


def test_every_row_with_a_box_is_a_guest(asked: Said) -> None:
    assert [machine["arguments"] for machine in asked["define"]] == [[key] for key in ROWS]
    # Nothing is brought up that nobody named.
    assert all(machine["options"] == {"autostart": False} for machine in asked["define"])


def test_each_provider_has_its_box_and_a_blank_disk(asked: Said) -> None:
    for machine in asked["define"]:
        row, own = ROWS[machine["arguments"][0]], machine["block"][0]["vm"]
        assert {call["arguments"][0] for call in own["provider"]} == {provider.value for provider in Provider}
        for call in own["provider"]:
            provider = Provider(call["arguments"][0])
            settings, override = call["block"]
            assert override["vm"]["box"] == row.boxes.get(provider)
            disks = settings["storage"] if provider is Provider.LIBVIRT else override["vm"]["disk"]
            assert len(disks) == 1
            assert settings["memory"] >= load().requirements.memory_mib
        # What DNS allows.
        assert own["hostname"].replace("-", "").isalnum()


def test_the_tree_is_copied_and_nothing_else_shared(asked: Said) -> None:
    default, tree = asked["synced_folder"]
    assert default == {"arguments": [".", "/vagrant"], "options": {"disabled": True}}
    assert tree["options"]["type"] == "rsync"
    assert ".git" in tree["options"]["rsync__exclude"]


def test_an_emulated_guest_can_have_a_single_processor() -> None:
    for environment, cpus in (({}, 2), ({"HOTCOPY_CPUS": "1"}, 1)):
        machine = evaluate(TREE / "Vagrantfile", **environment)["define"][0]
        assert [call["block"][0]["cpus"] for call in machine["block"][0]["vm"]["provider"]] == [cpus, cpus]


def test_it_is_read_at_each_start(tmp_path: Path) -> None:
    """A row that is added is a guest at once."""
    (tmp_path / "Vagrantfile").write_bytes((TREE / "Vagrantfile").read_bytes())
    (tmp_path / "matrix.yaml").write_text(
        "distros:\n  - {key: none-1, end: 2026-01-01}\n  - {key: new-2, boxes: {libvirt: some/box}}\n", encoding="utf-8"
    )
    (machine,) = evaluate(tmp_path / "Vagrantfile")["define"]
    assert machine["arguments"] == ["new-2"]
