"""The sweep for W&B's own agents: its keys are keys of ours, and its metric is one that a run logs."""

from pathlib import Path

import yaml

from distill.cli.arguments import parse
from distill.cli.compose import compose

SWEEP = Path(__file__).parents[2] / "sweeps" / "wandb.yaml"


def test_the_agent_would_start_a_run_that_composes():
    told = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    values = {key: one.get("values", [one.get("min")])[0] for key, one in told["parameters"].items()}
    words = [word for word in told["command"] if not word.startswith("$")]
    composed = compose(parse([*words, *(f"{key}={value}" for key, value in values.items())]))
    assert composed.verb == "train"
    assert composed.config["optim"]["learning_rate"] == values["optim.learning_rate"]
    assert composed.config["wandb"]["mode"] == "online"
    assert told["metric"]["name"] == "validation/nats_per_token"  # as training logs it
