"""Students that see: their positions, their head, relations between visual tokens, and a part that is not trained."""

import pytest
import torch

from distill.data.image_text import ImageTextData
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput
from distill.losses.states.visual_relation import brought, gap
from distill.models import answer, check_head
from distill.students.frozen import Frozen
from distill.students.llava import Llava
from distill.students.vision_decoder import VisionDecoder
from tests.data.media_samples import pictures


@pytest.fixture
def data(tmp_path) -> ImageTextData:
    found = ImageTextData(
        str(pictures(tmp_path)),
        layout="cross",
        image_size=32,
        patch_size=16,
        tokenizer=TrainedBPE(300),
        batch_size=4,
        validation=0.2,
        test=0.3,
    )
    found.prepare()
    return found


def test_a_decoder_that_looks_predicts_from_its_start(data):
    model = VisionDecoder(1, 1, 16, 2).of(data.task).build(data.prepare()).eval()
    check_head(model)
    batch = data.batch(0)
    told = answer(model, batch.inputs, batch.positions)
    logits = model(**batch.inputs).logits.flatten(0, 1)[batch.positions]
    torch.testing.assert_close(told.head.logits(told.hidden), logits)
    assert (batch.inputs["decoder_input_ids"][:, 0] == model.config.decoder_start_token_id).all()


def test_relations_do_not_depend_on_width_or_rotation():
    torch.manual_seed(0)
    states = torch.randn(2, 4, 8, dtype=torch.float64)
    turned = states @ torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    torch.testing.assert_close(gap(states, 3 * turned), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    assert (gap(states, torch.randn(2, 4, 5, dtype=torch.float64)) > 0.01).all()


def test_a_finer_grid_is_averaged_and_a_strange_one_refused():
    fine = torch.arange(16.0).reshape(1, 16, 1)
    torch.testing.assert_close(brought(fine, 4)[0, :, 0], torch.tensor([2.5, 4.5, 10.5, 12.5]))
    with pytest.raises(BadInput, match="no refinement"):
        brought(torch.zeros(1, 9, 1), 4)


def test_a_frozen_part_gets_no_gradient_and_the_rest_does(data):
    model = Frozen(Llava(32, 16, 1, 16, 2, 1, 16, 2), ["model.vision_tower"])
    inline = ImageTextData(str(data.source.name), image_size=32, patch_size=16, tokenizer=TrainedBPE(300))
    inline.prepare()
    built = model.of(inline.task).build(inline.prepare())
    batch = inline.batch(0)
    answer(built, batch.inputs, batch.positions).hidden.sum().backward()
    wanted = {name: parameter.grad is not None for name, parameter in built.named_parameters()}
    assert not any(there for name, there in wanted.items() if "vision_tower" in name)
    assert any(there for name, there in wanted.items() if "projector" in name)
