"""TAID: ends, the walk of its target, and state that neither cutting nor resuming changes."""

import pytest
import torch

from distill.divergences.kl import forward_kl
from distill.losses.objective import Objective
from distill.losses.taid import Taid
from distill.types import Moment
from tests.losses.naive_pass import Scene, close, composed, gradients, part_of, run


def at(t: float, **numbers) -> Taid:
    loss = Taid(start=t, rate=0.0, **numbers)
    return loss.eval()  # the target stays where it is


def test_all_teacher_is_forward_kl():
    """I10: t = 1, in value and gradient."""
    scene = Scene()
    ours = run(Objective({"kd": at(1.0)}, temperature=2.0), scene)
    theirs = run(Objective({"kd": composed("loss", "forward_kl")}, temperature=2.0), scene)
    close([ours.total.detach()], [theirs.total.detach()], 1e-12)
    close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves), 1e-12)


def test_all_student_is_nothing():
    """I10: t = 0, value and gradient."""
    scene = Scene()
    total = run(Objective({"kd": at(0.0)}), scene).total
    assert abs(total.item()) < 1e-12
    assert all(g.abs().max() < 1e-12 for g in gradients(total, scene.leaves))


def test_between_the_target_is_a_geometric_mixture_and_the_value_a_true_kl():
    scene, t = Scene(), 0.3
    log_q = scene.head.logits(scene.hidden).log_softmax(-1)
    log_p = scene.teacher.log_softmax(-1)
    target = ((1 - t) * log_q.detach() + t * log_p).log_softmax(-1)
    total = forward_kl(target, log_q).sum()
    ours = run(Objective({"kd": at(t)}), scene).total
    close([ours.detach()], [total.detach()], 1e-12)
    close(gradients(ours, scene.leaves), gradients(total, scene.leaves), 1e-11)


def walked(rate: float, pieces: int = 1, stop: int | None = None, objective: Objective | None = None) -> Objective:
    """Twenty steps (or up to ``stop``), each on a scene of its own, cut into pieces."""
    objective = objective or Objective({"kd": Taid(start=0.2, rate=rate)})
    first = 0 if stop is not None or objective.losses["kd"]._step < 0 else objective.losses["kd"]._step + 1
    for step in range(first, 20 if stop is None else stop):
        scene, moment = Scene(tokens=12, seed=step), Moment(step, 20)
        size = 12 // pieces
        for start in range(0, 12, size):
            objective(*part_of(scene, slice(start, start + size)), moment)
    return objective


def test_without_the_adaptive_part_t_is_the_line():
    assert walked(0.0).losses["kd"].t == pytest.approx(1.0)
    assert walked(0.0, stop=11).losses["kd"].t == pytest.approx(0.2 + 0.8 * 10 / 19)


def test_with_it_t_runs_ahead_and_ends_at_one():
    ahead = walked(0.2, stop=11).losses["kd"].t
    assert 0.2 + 0.8 * 10 / 19 < ahead < 1.0
    assert walked(0.2).losses["kd"].t == pytest.approx(1.0)


def test_the_first_step_starts_at_the_start():
    assert walked(0.5, stop=1).losses["kd"].t == pytest.approx(0.2)


@pytest.mark.parametrize("pieces", [2, 4])
def test_cutting_a_step_does_not_move_t(pieces):
    whole, cut = walked(0.2, stop=11), walked(0.2, pieces, stop=11)
    assert cut.losses["kd"].t == pytest.approx(whole.losses["kd"].t, rel=1e-12)


def test_validation_does_not_move_t():
    objective = walked(0.2, stop=5)
    before = objective.losses["kd"].t
    objective.eval()
    with torch.no_grad():
        run(objective, Scene())
        objective(*part_of(Scene(), slice(0, 3)), Moment(15, 20))
    assert objective.losses["kd"].t == before


def test_resuming_from_its_state_is_not_resuming():
    straight = walked(0.2)
    half = walked(0.2, stop=9)
    resumed = Objective({"kd": Taid(start=0.2, rate=0.2)})
    resumed.load_state_dict(half.state_dict())
    walked(0.2, objective=resumed)
    assert torch.equal(
        resumed.state_dict()["terms.loss/kd._extra_state"], straight.state_dict()["terms.loss/kd._extra_state"]
    )


def test_excluded_tokens_leave_a_finite_gradient():
    for t in (0.0, 0.4, 1.0):
        scene = Scene()
        scene.teacher[:, 3] = -torch.inf
        made = gradients(run(Objective({"kd": at(t)}), scene).total, scene.leaves)
        assert all(g.isfinite().all() for g in made)


def _rank(rank: int, path: str, told: list) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    objective = Objective({"kd": Taid(start=0.2, rate=0.2)})
    for step in range(6):
        scene = Scene(tokens=12, seed=step)
        rows = slice(0, 5) if rank == 0 else slice(5, 12)
        objective(*part_of(scene, rows), Moment(step, 20))
    told.append((rank, objective.losses["kd"].t))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_agree_with_each_other_and_with_one_rank(tmp_path):
    with torch.multiprocessing.Manager() as manager:
        told = manager.list()
        torch.multiprocessing.spawn(_rank, args=(str(tmp_path / "meet"), told), nprocs=2)
        found = dict(told)
    assert found[0] == found[1]
    assert found[0] == pytest.approx(walked(0.2, stop=6).losses["kd"].t, rel=1e-12)
