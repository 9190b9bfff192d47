"""W&B's own sweep, as far as it goes without its servers: the command is put together by the agent's own code.

What the agent does between "start this run" and the process is executed here with the installed package: the command
from ``sweeps/wandb.yaml``, the words of the parameters, the environment with the run's and the sweep's name and the
file of its parameters. Left out: the queue that proposes values, which lives at W&B; the values here are of the yaml.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args
from wandb.sdk.lib.config_util import save_config_file_from_dict

from distill.rows import METRICS, read
from distill.training.tracking import flat
from tests.training.test_tracking import told

pytestmark = pytest.mark.slow

SWEEP = Path(__file__).parents[2] / "sweeps" / "wandb.yaml"


def proposed(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The lowest and the highest value of everything, as a command of W&B's queue carries them."""
    ends = {key: one.get("values") or [one["min"], one["max"]] for key, one in parameters.items()}
    return [{key: {"value": values[which]} for key, values in ends.items()} for which in (0, -1)]


def words(sweep: dict[str, Any], arguments: dict[str, Any]) -> list[str]:
    """The agent's command, word by word."""
    macros = create_sweep_command_args({"args": arguments})
    macros["program"] = [sweep["program"]]  # as Agent._command_run does, the only part that has no function
    command = create_sweep_command(list(sweep["command"]))
    return [word for one in command for word in (macros[one[2:-1]] if one.startswith("${") else [one])]


def agent_runs(run_id: str, arguments: dict[str, Any], tiny: list[str], where: Path) -> Path:
    """Start a run as the agent does, but for the size of the models and the network. Returns its folder."""
    program, verb, *told_by_agent = words(yaml.safe_load(SWEEP.read_text(encoding="utf-8")), arguments)
    assert (program, verb) == ("distill", "train")
    small = [word for word in tiny if not word.startswith("logger=")]
    offline = ["wandb.mode=offline" if word == "wandb.mode=online" else word for word in told_by_agent]
    root, parameters = where / run_id, where / f"config-{run_id}.yaml"
    save_config_file_from_dict(str(parameters), arguments)
    environment = {"WANDB_SWEEP_ID": "swept123", "WANDB_RUN_ID": run_id, "WANDB_SWEEP_PARAM_PATH": str(parameters)}
    line = [sys.executable, "-m", "distill", verb, *small, "control=none", f"paths.root={root}", *offline]
    ended = subprocess.run(
        line, env={**os.environ, **environment, "WANDB_MODE": "offline"}, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder,) = root.iterdir()
    return folder


@pytest.mark.parametrize("which", ["low", "high"])
def test_a_run_that_the_agent_starts_is_a_run_of_its_sweep(which, tiny, tmp_path):
    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    arguments = proposed(sweep["parameters"])[which == "high"]
    folder = agent_runs("agent-7", arguments, tiny, tmp_path)
    config = dict(flat(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))))
    assert {key: config[key] for key in arguments} == {key: one["value"] for key, one in arguments.items()}
    found = told(folder)
    runs = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert {(run.run_id, run.sweep_id) for run in runs} == {("agent-7", "swept123")}  # with the report's part of it
    logged: dict[str, list[float]] = {}
    for record in found:
        for item in record.history.item if record.WhichOneof("record_type") == "history" else ():
            logged.setdefault(item.key or ".".join(item.nested_key), []).append(json.loads(item.value_json))
    wanted = ("student", "nats_per_token", "validation")
    rows = [row.value for row in read(folder / METRICS) if (row.subject, row.metric, row.split) == wanted]
    assert logged[sweep["metric"]["name"]] == rows
    assert len(rows) >= sweep["early_terminate"]["min_iter"]
