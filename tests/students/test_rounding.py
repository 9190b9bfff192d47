"""Rounding in training is the rounding of the files."""

import gguf
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils import parametrize

from distill.students.rounding import Rounded, RoundedInputs, rounded

LAYOUTS = ("int8", "int8_row", "q8_0", "q4_0")


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(12, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", ["q8_0", "q4_0"])
def test_blocks_are_those_of_the_gguf_package(weight, layout):
    kind = gguf.GGMLQuantizationType[layout.upper()]
    expected = gguf.dequantize(gguf.quantize(weight.numpy(), kind), kind)
    assert np.array_equal(rounded(weight, layout).numpy(), expected)


def test_int8_is_what_onnx_runtime_stores(weight, tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 12])],
        [numpy_helper.from_array(weight.T.contiguous().numpy(), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "a.onnx")
    quantize_dynamic(str(tmp_path / "a.onnx"), str(tmp_path / "b.onnx"), weight_type=QuantType.QInt8)
    told = {one.name: numpy_helper.to_array(one) for one in onnx.load(tmp_path / "b.onnx").graph.initializer}
    stored = (told["w_quantized"].astype(np.float32) - told["w_zero_point"]) * told["w_scale"]
    assert np.abs(rounded(weight, "int8").numpy() - stored.T).max() <= 1.01 * float(told["w_scale"]) / 2 + 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_rounded_stays_when_rounded_again(weight, layout):
    once = rounded(weight, layout)
    assert torch.allclose(rounded(once, layout), once, atol=2e-3)
    assert not torch.equal(once, weight)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_rounded_to_nothing(layout):
    assert torch.equal(rounded(torch.zeros(2, 32), layout), torch.zeros(2, 32))


def test_rows_that_are_no_blocks_stay(weight):
    assert torch.equal(rounded(weight[:, :40], "q8_0"), weight[:, :40])


def test_the_gradient_looks_through(weight):
    layer = nn.Linear(64, 12, bias=False)
    parametrize.register_parametrization(layer, "weight", Rounded("q4_0"))
    inputs = torch.randn(5, 64)
    layer(inputs).square().sum().backward()
    with torch.no_grad():
        expected = 2 * layer(inputs).T @ inputs
    assert torch.allclose(layer.parametrizations.weight.original.grad, expected, rtol=1e-4)


def test_inputs_keep_their_zero_and_lie_on_256_steps():
    layer = nn.Identity()
    layer.register_forward_pre_hook(RoundedInputs())
    values = torch.cat([torch.randn(999), torch.zeros(1)])
    told = layer(values)
    assert told[-1] == 0
    assert len(told.unique()) <= 256
    assert (told - values).abs().max() <= (values.max() - values.min()) / 255 * 0.51
    RoundedInputs.removed(layer)
    assert torch.equal(layer(values), values)
