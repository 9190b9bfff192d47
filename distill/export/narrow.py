"""An ONNX graph with int8 matrices, made from a float32 one by ONNX Runtime's own quantisers.

One scale for a whole matrix, and one for everything it is multiplied with at a call, is the smallest and quickest. A
model with a few very large activations does not bear it: all others are rounded to nothing beside them. With a scale
for every block of a few numbers, on both sides, a large one spoils its own block only.
"""

import tempfile
from pathlib import Path
from typing import Any


def with_one_scale(source: Path, file: Path, per_channel: bool, apart: bool, kinds: tuple[str, ...] = ()) -> None:
    """Dynamic quantisation: y = s_W s_x (W_int8 x_int8), s_x from the largest x of the call.

    Args:
        source: the float32 graph.
        file: what to write.
        per_channel: s_W for each column of a matrix.
        apart: keep the numbers in a file of their own, beside the graph.
        kinds: of nodes to narrow; all where none is named.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source),
        str(file),
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        use_external_data_format=apart,
        op_types_to_quantize=list(kinds) or None,
    )


def by_blocks(source: Path, file: Path, block: int, apart: bool) -> None:
    """Blocks of ``block`` numbers along the inner dimension have a scale each (MatMulNBits); embeddings have one.

    Args:
        source, file, apart: as above.
        block: 16, 32, 64, …
    """
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    eight = 4  # ONNX Runtime's name for: round what is multiplied to int8 as well
    narrowed = MatMulNBitsQuantizer(
        onnx.load(str(source)), bits=8, block_size=block, is_symmetric=True, accuracy_level=eight
    )
    narrowed.process()
    made: Any = narrowed.model  # a wrapper by now, whatever it is declared as
    with tempfile.TemporaryDirectory(dir=file.parent) as draft:
        between = Path(draft) / file.name
        made.save_model_to_file(str(between), use_external_data_format=apart)
        with_one_scale(between, file, per_channel=False, apart=apart, kinds=("Gather",))
