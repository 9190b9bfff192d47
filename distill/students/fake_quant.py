"""A student trained with the rounding of the file that it becomes: quantisation-aware distillation."""

from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from distill.students.around import Around
from distill.students.rounding import Layout, Rounded, RoundedInputs
from distill.students.student import Student


class FakeQuant(Around):
    """Any student with its matrices rounded to 8 or 4 bits in every step, as ONNX or GGUF will store them.

    Formula: y = x' W'^T, W' and x' rounded, with a gradient that looks through the rounding (``rounding.Rounded``)
    Source: Jacob et al. 2018, https://arxiv.org/abs/1712.05877; with a teacher: Polino et al. 2018, Model Compression
        via Distillation and Quantization, https://arxiv.org/abs/1802.05668; Liu et al. 2023, LLM-QAT,
        https://arxiv.org/abs/2305.17888.

    The folder of a trained student holds the rounded weights in float32: what was measured is what was trained, and
    an export of the same layout loses nothing more on the weights.

    Args:
        source: the student.
        layout: of the weights: ``int8`` (export=onnx_int8), ``int8_row``, ``q8_0``, ``q4_0`` (the GGUF of that name).
        inputs: also round what a matrix is multiplied with to 8 bits, as ONNX Runtime's dynamic quantisation does; with
            one scale for a whole batch, where the runtime has one for each call.
        head: also the embedding and the head, which a small student's quality hangs on most.

    The control of a run is rounded too.
    """

    def __init__(self, source: Student, layout: Layout = "int8", inputs: bool = False, head: bool = False) -> None:
        super().__init__(source)
        self.layout: Layout = layout
        self.inputs, self.head = inputs, head

    def changed(self, model: PreTrainedModel) -> PreTrainedModel:
        output = model.get_output_embeddings()
        for module in list(model.modules()):
            if isinstance(module, nn.Linear) and module is not output:
                parametrize.register_parametrization(module, "weight", Rounded(self.layout))
                if self.inputs:
                    module.register_forward_pre_hook(RoundedInputs())
        if self.head:
            for module in (model.get_input_embeddings(), output):
                if isinstance(module, (nn.Linear, nn.Embedding)):
                    parametrize.register_parametrization(module, "weight", Rounded(self.layout))
        return model
