"""``distill train`` with every way of writing and the objectives that are about it, from the command line."""

import pytest

from distill.rows import METRICS, read

SHORT = ["rollout.prompt_length=4", "rollout.new_tokens=6"]
NESTED = ["rollout.writer.prompt_length=4", "rollout.writer.new_tokens=6", "rollout.rest.prompt_length=4"]
WAYS = {
    "student": ["rollout=student", "objective=on_policy", *SHORT],
    "top_k": ["rollout=student", "objective=on_policy", "loss@objective.losses.kd=top_k_reverse_kl", *SHORT],
    "sampled": ["rollout=student", "objective=on_policy", "loss@objective.losses.kd=sampled_reverse_kl", *SHORT],
    "teacher": ["rollout=teacher", *SHORT],
    "mixture": ["rollout=mixture", "rollout.until=1", "objective=gkd", *NESTED],
    "seq_kd": [
        "rollout=mixture",
        "rollout@rollout.rest=teacher",
        "objective=gkd",
        *NESTED,
        "rollout.rest.new_tokens=6",
    ],
    "speculative": ["rollout=speculative", "objective=reverse_kl", "rollout.top=5", *SHORT],
    "replay": ["rollout=replay", "rollout.start=0.9", "objective=distillm", *NESTED],
    "blended": ["rollout=blended", "objective=minillm", *SHORT],
    "pairs": ["rollout=pairs", "objective=distillm2", *SHORT],
    "privileged": ["rollout=privileged", "teacher=ema_self", "objective=on_policy", *SHORT],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_run_on_written_text(distill, laboratory, way):
    folder = laboratory / f"way-{way}"
    own = ["~teacher.recipe"] if way == "privileged" else []
    assert distill("train", *own, *WAYS[way], "control=none", f"paths.run={folder}") == 0
    told = read(folder / METRICS)
    (written,) = [row.value for row in told if row.metric == "written_tokens"]
    logged = [row.value for row in told if row.metric == "rollout/written" and row.split == "train"]
    assert written == logged[-1] > 0
    assert "written for it" in (folder / "report.md").read_text()
