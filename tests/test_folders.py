"""A model folder comes from a stranger: what is wrong with it is one line and exit code 2, and nothing in it runs."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from distill.errors import BadInput
from distill.folders import check_tokenizer, known_ids, load_causal_lm, load_config, load_tokenizer, locate
from distill.models import check_head, shape


@pytest.fixture(scope="session")
def good(tmp_path_factory, tiny_llama, tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("models") / "good"
    tiny_llama().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def use(path: str) -> None:
    """What every user of a model folder does."""
    found = locate(path)
    load_tokenizer(found)
    check_head(load_causal_lm(found))


def config(**changes: object) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        told = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in told.items() if v is not ...}))

    return spoil


def write(name: str, content: bytes) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        (folder / name).write_bytes(content)

    return spoil


def remove(*names: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def weight(value: float) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors["model.layers.1.mlp.up_proj.weight"][3, 2] = value
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def cut(keep: Callable[[int], int]) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: keep(len(whole))])

    return spoil


def link(name: str, target: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


class _Touch:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def pickled(name: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(pickle.dumps(_Touch(canary)))

    return spoil


def own_code(file: str, **more: object) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, canary: Path) -> None:
        code = f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
        for module in ("modeling_own", "configuration_own", "tokenization_own"):
            (folder / f"{module}.py").write_text(code)
        own = {
            "AutoConfig": "configuration_own.Own",
            "AutoModelForCausalLM": "modeling_own.Own",
            "AutoTokenizer": ["tokenization_own.Own", None],
        }
        told = json.loads((folder / file).read_text()) | {"auto_map": own} | more
        (folder / file).write_text(json.dumps(told))

    return spoil


def index(*names: str) -> Callable[[Path, Path], None]:
    told = {"metadata": {}, "weight_map": {f"w{i}": name for i, name in enumerate(names)}}
    return write("model.safetensors.index.json", json.dumps(told).encode())


BROKEN = {
    "no config": remove("config.json"),
    "empty config": write("config.json", b""),
    "config is no JSON": write("config.json", b'{"model_type": "llama",'),
    "config is a list": write("config.json", b"[1, 2]"),
    "config is binary": write("config.json", bytes(range(256))),
    "config nests too deeply": write("config.json", b"[" * 100_000),
    "config is a loop of links": link("config.json", "config.json"),
    "unknown architecture": config(model_type="llama9000"),
    "no architecture": config(model_type=...),
    "architecture is a number": config(model_type=7),
    "no language model": config(model_type="vit"),
    "own code for a known architecture": own_code("config.json"),
    "own code for an unknown architecture": own_code("config.json", model_type="own"),
    "own code for the tokenizer": own_code("tokenizer_config.json"),
    "no tokenizer": remove("tokenizer.json"),
    "tokenizer is no JSON": write("tokenizer.json", b"{"),
    "tokenizer is empty": write("tokenizer.json", b"{}"),
    "no weights": remove("model.safetensors"),
    "pickle only, bin": pickled("pytorch_model.bin"),
    "pickle only, pt": pickled("model.pt"),
    "half a safetensors": cut(lambda size: size // 2),
    "one byte short": cut(lambda size: size - 1),
    "empty safetensors": cut(lambda size: 0),
    "header of 2^60 bytes": write("model.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "weights are a loop of links": link("model.safetensors", "model.safetensors"),
    "weights are a dead link": link("model.safetensors", "elsewhere"),
    "a listed shard is missing": index("model-00001-of-00002.safetensors"),
    "a shard outside the folder": index("../good/model.safetensors"),
    "index is no JSON": write("model.safetensors.index.json", b"nothing"),
    "index without a map": write("model.safetensors.index.json", b"{}"),
    "wider than its weights": config(hidden_size=32),
    "far wider than any memory": config(hidden_size=10**9),
    "more tokens than its weights": config(vocab_size=301),
    "more layers than its weights": config(num_hidden_layers=3),
    "no heads": config(num_attention_heads=0),
    "width is a word": config(hidden_size="wide"),
    "NaN weights": weight(float("nan")),
    "infinite weights": weight(float("inf")),
}


def test_good_folder_is_used(good):
    use(str(good))


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_folder_is_refused(fault, good, tmp_path, capfd):
    folder, canary = tmp_path / "broken", tmp_path / "canary"
    shutil.copytree(good, folder)
    BROKEN[fault](folder, canary)
    capfd.readouterr()
    with pytest.raises(BadInput) as refusal:
        use(str(folder))
    assert capfd.readouterr() == ("", "")  # no library says more than the one line
    assert refusal.value.code == 2
    assert "\n" not in str(refusal.value)
    assert str(folder) in str(refusal.value)
    assert not canary.exists()


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere", "a/b/c", "../x", "org/name\n", "", "-x", "a b"])
def test_what_is_neither_folder_nor_hub_id_is_refused(path):
    with pytest.raises(BadInput):
        locate(path)


def test_file_and_loop_are_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "loop"):
        with pytest.raises(BadInput, match="no folder"):
            locate(str(tmp_path / name))


def test_attention_named_by_a_config_is_not_fetched(good, tmp_path):
    shutil.copytree(good, tmp_path / "named")
    names = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
    config(**dict.fromkeys(names, "org/kernel"))(tmp_path / "named", tmp_path / "canary")
    assert load_causal_lm(str(tmp_path / "named")).config._attn_implementation == "sdpa"
    assert shape(load_config(str(tmp_path / "named"))).layers == 2


def test_hub_id_is_passed_on_and_refused_when_nobody_has_it(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert locate("org/name") == "org/name"
    with pytest.raises(BadInput, match="org/no-such-model"):
        load_causal_lm("org/no-such-model")


def test_one_model_does_not_change_the_config_of_another(good):
    plain, eager = load_causal_lm(str(good)), load_causal_lm(str(good), attention="eager")
    assert (plain.config._attn_implementation, eager.config._attn_implementation) == ("sdpa", "eager")
    assert load_causal_lm(str(good), dtype="bfloat16").dtype == torch.bfloat16
    assert plain.dtype == torch.float32


def test_surplus_tensors_are_counted(good, tmp_path, caplog, monkeypatch):
    # a library that configures logging in this process (import-linter does) disables the loggers it finds
    monkeypatch.setattr("distill.folders.log.disabled", False)
    shutil.copytree(good, tmp_path / "more")
    tensors = load_file(tmp_path / "more" / "model.safetensors")
    save_file(
        tensors | {"value_head.weight": torch.zeros(1)}, tmp_path / "more" / "model.safetensors", {"format": "pt"}
    )
    load_causal_lm(str(tmp_path / "more"))
    assert "1 tensors" in caplog.text


def test_swapped_ids_are_another_tokenizer(tokenizer):
    check_tokenizer("here", tokenizer, tokenizer)
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = told["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    other = PreTrainedTokenizerFast(tokenizer_object=type(tokenizer.backend_tokenizer).from_str(json.dumps(told)))
    with pytest.raises(BadInput, match="2 of the data's 300"):
        check_tokenizer("here", other, tokenizer)


def test_more_added_tokens_of_its_own_do_no_harm(tokenizer, good):
    own = load_tokenizer(str(good))
    own.add_tokens(["<|more|>"])
    check_tokenizer("here", own, tokenizer)
    assert known_ids(own) == known_ids(tokenizer) + 1
