"""What a config may name as ``_target_``: a config is data, and must not be able to run anything else.

Parts of this project and of packages that the person named with ``--plugin`` are allowed where the named module
itself defines them at its top level (not what it imports: ``distill.rows.os.replace`` is no part). From libraries,
only the classes listed here.
"""

import ast
import sys

from distill.cli.definitions import find

OWN = ("distill", "experiments")
NO_PARTS = ("distill.cli", "distill.__main__", "distill.rows", "distill.errors", "distill.names", "distill.secrets")
FUNCTIONS = ("distill.divergences", "experiments")
"""Where a plain function is a part too. Elsewhere a function may write files, and a config must not call it."""
LIBRARY = frozenset(
    {
        "pytorch_lightning.trainer.trainer.Trainer",
        "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
        "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
        "pytorch_lightning.callbacks.timer.Timer",
        "pytorch_lightning.callbacks.device_stats_monitor.DeviceStatsMonitor",
        "pytorch_lightning.loggers.csv_logs.CSVLogger",
        "pytorch_lightning.loggers.tensorboard.TensorBoardLogger",
        "pytorch_lightning.loggers.wandb.WandbLogger",
        "torch.optim.adam.Adam",
        "torch.optim.adamw.AdamW",
        "torch.optim.sgd.SGD",
    }
)
RULE = "a part of distill or experiments, of a package named with --plugin, or a listed library class"


def refusal(target: object, plugins: tuple[str, ...] = ()) -> str | None:
    """Why a ``_target_`` may not be used, in words; None if it may."""
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        return f"expected a dotted name of {RULE}"
    if target in LIBRARY:
        return None
    if not within(target, (*OWN, *plugins)) or within(target, NO_PARTS):
        return f"not allowed; expected {RULE}"
    definition = find(target)
    if definition is None:
        return f"there is no such class in {target.rpartition('.')[0]}"
    if definition.name.startswith("_"):
        return "a name with a leading underscore is not a part"
    if not isinstance(definition.node, ast.ClassDef) and not within(target, (*FUNCTIONS, *plugins)):
        return "a function is not a part; name a class"
    return None


def plugin_refusal(package: str) -> str | None:
    """Why a package cannot be a plugin; None if it can."""
    top = package.partition(".")[0]
    if not all(part.isidentifier() for part in package.split(".")):
        return "expected the dotted name of a Python package"
    if top in sys.stdlib_module_names:
        return "a module of Python itself is no plugin"
    return None


def within(target: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these packages or lies inside one."""
    return any(target == package or target.startswith(f"{package}.") for package in packages)
