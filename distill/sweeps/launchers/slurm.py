"""Runs as jobs of a Slurm queue, through submitit; ``cluster=local`` runs the same code path on this machine.

When a job's time is over, Slurm sends SIGUSR2 first: the run checkpoints, counts as stopped, and the driver submits
it again, where it goes on. So the driver has to live as long as the sweep (in a terminal multiplexer on the login
node, or as a small job itself); killed and started again it takes up the same folder. Left out on purpose: runs over
several nodes. Tried with submitit's local executor, not on a real Slurm.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill.errors import BadInput, ResourceStop
from distill.ranges import Count, Natural
from distill.sweeps.keeper import perform
from distill.sweeps.launchers.launcher import Handle, Launcher
from distill.sweeps.task import Task

if TYPE_CHECKING:
    from submitit import AutoExecutor


class SlurmLauncher(Launcher):
    """Runs as jobs of a Slurm queue (needs the extra ``slurm``).

    Args:
        jobs: how many jobs at most are queued or at work at a time.
        minutes: time limit of each job; a run that needs longer goes on in another job.
        partition, account, qos, constraint: where, as ``sbatch`` has them; null: the cluster's default.
        cpus: cores of each job.
        gpus: accelerators of each job; several need ``trainer.devices`` equal to it.
        memory_gb: memory of each job; null: the cluster's default.
        cluster: ``local`` runs jobs on this machine without Slurm, to try things out.
    """

    restarts: ClassVar[int] = 20

    def __init__(
        self,
        jobs: Count = 32,
        minutes: Count = 240,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        cpus: Count = 4,
        gpus: Natural = 0,
        memory_gb: Count | None = None,
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        self.jobs, self.cluster = jobs, cluster
        self._wants: dict[str, Any] = {
            "timeout_min": minutes,
            "cpus_per_task": cpus,
            "gpus_per_node": gpus,
            "mem_gb": memory_gb,
            "slurm_partition": partition,
            "slurm_account": account,
            "slurm_qos": qos,
            "slurm_constraint": constraint,
        }

    def start(self, task: Task) -> Handle:
        """Submit one keeper.

        Raises:
            BadInput: submitit is not installed.
            ResourceStop: the queue does not take the job.
        """
        try:
            job = self._executor(task).submit(perform, task)
        except (RuntimeError, OSError) as problem:
            raise ResourceStop(
                "launcher", f"the queue took no job ({problem})", remedy="see sbatch's words above"
            ) from None
        return _Submitted(job)

    def _executor(self, task: Task) -> "AutoExecutor":
        try:
            from submitit import AutoExecutor
        except ImportError:
            raise BadInput(
                "launcher", "needs submitit", value="slurm", remedy="pip install 'distill-lab[slurm]'"
            ) from None
        executor = AutoExecutor(folder=task.folder / "slurm", cluster=self.cluster)
        delay = {"slurm_signal_delay_s": int(task.patience.grace) + 30} if self.cluster == "slurm" else {}
        told = {key: value for key, value in (self._wants | delay).items() if value is not None}
        executor.update_parameters(name=task.run[:60], stderr_to_stdout=True, **told)
        return executor


class _Submitted(Handle):
    def __init__(self, job: Any) -> None:
        self._job = job

    def poll(self) -> int | None:
        if not self._job.done():
            return None
        try:
            return int(self._job.result())
        except Exception:  # whatever ended it is told in the queue's own log; to us the keeper is lost
            return 1

    def stop(self) -> None:
        self._job.cancel()
