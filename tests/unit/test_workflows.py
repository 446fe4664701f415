"""What CI services are told: the workflows, and the job matrix that makes their jobs. No service is asked: the schemas are theirs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.cli import main
from installer.matrix.jobs import Form, job_matrix
from installer.matrix.load import load

TREE = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((TREE / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (TREE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
LONGEST = 360  # minutes for which a job may run on GitHub


def conform(schema: str, path: Path) -> None:
    """Checks a file against a schema that check-jsonschema brings along."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def parsed(path: Path) -> dict[str, Any]:
    """A workflow; its "on" is a string here, not YAML 1.1's true."""
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    assert isinstance(content, dict)
    return content


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "matrix.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))
def test_workflow(path: Path) -> None:
    conform("github-workflows", path)
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    used = set()
    for job in workflow["jobs"].values():
        assert 0 < int(job["timeout-minutes"]) <= LONGEST
        assert "permissions" not in job
        for step in job["steps"]:
            # An expression in a script is text that somebody else may choose: by way of env only.
            assert "${{" not in step.get("run", "")
            used |= set(re.findall(r"\bmake (?:-s )?([a-z-]+)(?: ARGS=|$)", step.get("run", ""), re.MULTILINE))
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": "false"}
    assert used and used <= TARGETS
    assert "secrets." not in path.read_text(encoding="utf-8")


def test_the_matrix_workflow_takes_its_jobs_from_matrix_yaml() -> None:
    jobs = parsed(TREE / ".github/workflows/matrix.yml")["jobs"]
    assert 'ARGS="support-matrix --format github"' in jobs["rows"]["steps"][1]["run"]
    assert jobs["row"]["strategy"]["matrix"] == "${{ fromJSON(needs.rows.outputs.matrix) }}"
    entry = json.loads(job_matrix(load(), Form.GITHUB))["include"][0]
    used = re.findall(r"\$\{\{ matrix\.(\w+) \}\}", json.dumps(jobs["row"]))
    assert set(used) <= set(entry)


def test_job_matrix_for_gitlab(tmp_path: Path) -> None:
    child = json.loads(job_matrix(load(), Form.GITLAB))
    child["test"] = {"extends": ".support-matrix", "script": ["make matrix"]}
    path = tmp_path / "child.gitlab-ci.yml"
    path.write_text(json.dumps(child), encoding="utf-8")
    conform("gitlab-ci", path)
    variables = child[".support-matrix"]["parallel"]["matrix"]
    assert sum(len(row["KERNEL"]) for row in variables) <= 200  # GitLab's limit


def test_both_services_get_the_same_jobs() -> None:
    github = json.loads(job_matrix(load(), Form.GITHUB))["include"]
    gitlab = json.loads(job_matrix(load(), Form.GITLAB))[".support-matrix"]["parallel"]["matrix"]
    flat = [(row["ROW"], kernel, row["TIER"], row["GUEST"]) for row in gitlab for kernel in row["KERNEL"]]
    assert [(row["row"], row["kernel"], row["tier"], row["guest"]) for row in github] == flat
    assert len(github) <= 256  # GitHub's limit
    keys = {row["row"] for row in github}
    assert {"debian-12", "ubuntu-24.04", "almalinux-9"} <= keys
    assert not {"debian-10", "rhel-8"} & keys  # retired, planned
    assert ("debian-12", "6.1", "supported", "packages") in flat
    assert ("almalinux-9", "5.14", "supported", "box") in flat
    assert not [row for row in flat if row[:2] == ("ubuntu-20.04", "5.4")]  # a planned kernel of a supported row


def test_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["support-matrix", "--format", "github"]) == 0
    assert capfd.readouterr().out == job_matrix(load(), Form.GITHUB) + "\n"
    assert main(["support-matrix", "--format", "github", "--json"]) == 2
    assert "--json and --format do not go together" in capfd.readouterr().err
    assert main(["doctor", "--format", "github"]) == 2
    assert "--format does not go with doctor" in capfd.readouterr().err
    assert main(["support-matrix", "--format", "jenkins"]) == 2
    assert "invalid choice: 'jenkins'" in capfd.readouterr().err
