"""A config is data: whatever it names, composing and building it runs nothing that is not a listed part."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill.cli.allow import plugin_refusal, refusal
from distill.cli.arguments import Arguments
from distill.cli.build import instantiate
from distill.cli.compose import compose
from distill.errors import BadInput

TARGETS = [
    "os.system",
    "os.unlink",
    "posix.system",
    "nt.system",
    "subprocess.run",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "builtins.__import__",
    "builtins.getattr",
    "io.open",
    "pathlib.Path.write_text",
    "pathlib.Path.unlink",
    "shutil.rmtree",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "ctypes.CDLL",
    "importlib.import_module",
    "runpy.run_path",
    "code.interact",
    "sys.exit",
    "torch.load",
    "torch.hub.load",
    "torch.serialization.load",
    "torch.utils.cpp_extension.load_inline",
    "numpy.load",
    "yaml.unsafe_load",
    "joblib.load",
    "urllib.request.urlopen",
    "socket.create_connection",
    "functools.partial",
    "functools.reduce",
    "operator.methodcaller",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "hydra._internal.utils._locate",
    "omegaconf.OmegaConf.register_new_resolver",
    "logging.config.dictConfig",
    "logging.FileHandler",
    "transformers.AutoModelForCausalLM.from_pretrained",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.trainer.trainer.os.system",
    "distill.__main__.main",
    "distill.cli.build.instantiate",
    "distill.rows.append",
    "distill.rows.os.replace",
    "distill.rows.json.loads",
    "distill.storage.write_text",
    "distill.storage.write_json",
    "distill.errors.DistillError",
    "distill.folders.load_causal_lm",
    "distill.training.optim.AdamW.build",
    "distill.training.tracking.sys.exit",
    "distill.students.from_scratch.AutoModelForCausalLM",
    "distill.students.from_scratch._hidden",
    "distill.nowhere.Thing",
    "experiments.nowhere.thing",
    "evil",
    "evil.Payload",
    "..os.system",
    "os;system",
    "distill.students.from_scratch.FromScratch.__init__",
    "distill.students.from_scratch.FromScratch.__class__",
    "",
    "__main__.main",
]
PLACES = [
    ("student._target_={}", "direct"),
    ("+student.deep={{_target_: {}}}", "nested"),
    ("+objective.losses.more={{_target_: {}}}", "loss"),
    ("+callbacks.more={{_target_: {}, _partial_: true}}", "partial"),
    ("+trainer.plugins=[[{{_target_: {}}}]]", "in lists"),
    ("+measure.more={{a: [{{b: {{_target_: {}}}}}]}}", "deep"),
]
FILES = {
    "target": "_target_: os.system\ncommand: touch pwned\n",
    "list": "_target_: distill.students.from_scratch.FromScratch\nlayers: [{_target_: os.system, command: touch x}]\n",
    "args": "_target_: distill.students.from_scratch.FromScratch\n_args_: [{_target_: os.system}]\n",
    "recursive": "_target_: distill.students.from_scratch.FromScratch\n_recursive_: true\n",
    "convert": "_target_: distill.students.from_scratch.FromScratch\n_convert_: object\n",
    "whitelist": "_target_: os.system\n_execution_whitelist_: [os]\n",
    "number": "_target_: 3\n",
    "listed": "_target_: [os, system]\n",
    "interpolated": "_target_: ${oc.env:DISTILL_TEST_TARGET}\n",
    "built": "a: os\n_target_: ${.a}.system\n",
    "tag": "layers: !!python/object/apply:os.system ['touch pwned']\n",
    "new": "layers: !!python/object/new:os.system ['touch pwned']\n",
    "module": "layers: !!python/module:evil\n",
    "name": "layers: !!python/name:os.system\n",
    "eval": "layers: ${eval:'1'}\n",
    "resolver": "layers: ${python:os.system}\n",
    "hydra": "layers: ${hydra:runtime.cwd}\n",
    "decode": "layers: ${oc.decode:'2'}\n",
    "create": "layers: ${oc.create:'a: 1'}\n",
    "dynamic": "r: hydra\nlayers: ${${.r}:runtime.cwd}\n",
    "callbacks": "hydra: {callbacks: {x: {_target_: evil.Payload}}}\n",
    "launcher": "defaults: [override /hydra/launcher: submitit_local]\n",
    "logging": "hydra: {job_logging: {handlers: {x: {'()': os.system}}}}\n",
    "sweeper": "# @package hydra\nsweeper: {_target_: evil.Payload}\n",
    "searchpath": "hydra: {searchpath: ['pkg://evil']}\n",
    "instantiator": "_instantiator: os.system\n",
    "class_path": "class_path: os.system\ninit_args: {command: touch pwned}\n",
}
OVERRIDES = [
    "hydra.callbacks.x._target_=evil.Payload",
    "+hydra.callbacks.x={_target_: evil.Payload}",
    "hydra/launcher=submitit_local",
    "hydra/job_logging=custom",
    "hydra.job_logging.handlers.x={class: os.system}",
    "hydra.searchpath=[pkg://evil]",
    "hydra.run.dir=/tmp/elsewhere",
    "hydra.output_subdir=x",
    "++hydra.mode=MULTIRUN",
    "~hydra.job",
]


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing appears in the working folder, no process starts, and the evil module is not imported."""
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_TEST_TARGET", "os.system")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    STARTED.clear()
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"evil.py", "configs"}
    assert "evil" not in sys.modules
    assert STARTED == []


STARTED: list[str] = []


def _watch(event: str, arguments: tuple) -> None:
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "ctypes.dlopen"):
        STARTED.append(event)


sys.addaudithook(_watch)


def refused(*overrides: str, config_dir: Path | None = None, plugins: tuple[str, ...] = ()) -> str:
    with pytest.raises(BadInput) as caught:
        compose(Arguments("train", overrides=overrides, config_dir=config_dir and str(config_dir), plugins=plugins))
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    return str(caught.value)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_outside_the_list_is_refused(target: str) -> None:
    assert refusal(target) is not None
    with pytest.raises(BadInput):
        instantiate({"_target_": target})
    with pytest.raises(BadInput):
        instantiate({"a": [{"_target_": target, "_partial_": True}]})


@pytest.mark.parametrize(("place", "name"), PLACES, ids=[name for _, name in PLACES])
@pytest.mark.parametrize("target", ["os.system", "torch.load", "evil.Payload", "distill.rows.append"])
def test_wherever_it_stands(place: str, name: str, target: str) -> None:
    assert target in refused(place.format(target))


@pytest.mark.parametrize("name", FILES)
def test_in_a_file(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "student"
    folder.mkdir(parents=True)
    (folder / "tried.yaml").write_text(FILES[name])
    refused("student=tried", config_dir=tmp_path / "configs")


@pytest.mark.parametrize("override", OVERRIDES)
def test_hydra_itself_cannot_be_configured(override: str) -> None:
    assert "Hydra's own settings" in refused(override)


@pytest.mark.parametrize("plugin", ["os", "subprocess", "builtins", "os.path", "a b", "../x", ""])
def test_python_itself_is_no_plugin(plugin: str) -> None:
    assert plugin_refusal(plugin)
    refused(plugins=(plugin,))


def test_a_plugin_is_allowed_only_when_named(tmp_path: Path) -> None:
    package = tmp_path / "configs" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(
        "class Thing:\n    def __init__(self, size: int = 1) -> None:\n        self.size = size\n"
    )
    sys.path.insert(0, str(package.parent))
    try:
        node = {"_target_": "mine.parts.Thing", "size": 3}
        with pytest.raises(BadInput):
            instantiate(node)
        assert instantiate(node, plugins=("mine",)).size == 3
        assert "size" in refused("+callbacks.x={_target_: mine.parts.Thing, size: big}", plugins=("mine",))
    finally:
        sys.path.remove(str(package.parent))
        sys.modules.pop("mine.parts", None)
        sys.modules.pop("mine", None)
