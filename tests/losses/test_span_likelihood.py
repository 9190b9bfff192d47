"""Likelihoods of spans: the chain rule on both sides, with gradients to every token of a span."""

import pytest
import torch

from distill.alignment.byte_spans import ByteSpans
from distill.losses.likelihood import log_likelihood
from distill.losses.objective import Objective
from distill.models import answer
from distill.signals.hidden import Hidden
from distill.types import Outputs, Spanned
from tests.alignment.pairs import Sides, nats, paired, prepared
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients, run

KINDS = {
    "plain": {},
    "bias": {"bias": True},
    "cap and scale": {"scale": 0.5, "softcap": 3.0},
    "frozen": {"frozen": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_log_likelihood_is_the_naive_one_in_value_and_gradient(kind, size):
    scene = Scene(**KINDS[kind])
    weights = torch.randn(scene.tokens, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    ours = log_likelihood(scene.outputs, scene.batch.targets, size)
    logits = scene.head.logits(scene.hidden)
    theirs = logits.log_softmax(-1).gather(1, scene.batch.targets[:, None])[:, 0]
    torch.testing.assert_close(ours, theirs)
    close(gradients((ours * weights).sum(), scene.leaves), gradients((theirs * weights).sum(), scene.leaves))


@pytest.mark.parametrize("flattening", [1.0, 10.0])
def test_of_equal_tokenizers_every_token_is_a_span(flattening):
    scene = Scene()
    loss = composed("loss", "span_likelihood", [f"loss.flattening={flattening}"])
    total = run(Objective({"spans": loss}), scene).total
    targets = scene.batch.targets[:, None]
    p, q = (
        (logits.log_softmax(-1).gather(1, targets)[:, 0] / flattening).exp()
        for logits in (scene.teacher, scene.hidden @ scene.weight.T)
    )
    expected = flattening * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    torch.testing.assert_close(total, expected)
    close(gradients(total, scene.leaves), gradients(expected, scene.leaves))


def test_flattened_without_end_it_is_the_divergence_of_log_likelihoods():
    scene = Scene()
    loss = composed("loss", "span_likelihood", ["loss.flattening=1e4"])
    targets = scene.batch.targets[:, None]
    x, y = (
        -logits.log_softmax(-1).gather(1, targets)[:, 0] for logits in (scene.teacher, scene.hidden @ scene.weight.T)
    )
    expected = (x * (x / y).log() - x + y).sum()
    torch.testing.assert_close(run(Objective({"spans": loss}), scene).total, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("student_first", [True, False])
def test_spans_of_two_tokenizers_are_sums_over_their_tokens(tmp_path, tokenizer, two, student_first):
    one, other = (tokenizer, two) if student_first else (two, tokenizer)
    batch = paired(tmp_path / "d", one, other).batch(0)
    sides = Sides.of(batch, one, other)
    sides.student.requires_grad_()
    signal = prepared(ByteSpans(), one, other).align(sides.signal, batch)
    told: Spanned = signal.spanned
    total = Objective({"spans": composed("loss", "span_likelihood", ["loss.flattening=1.0"])})(
        sides.outputs, signal, batch, NOW
    ).total
    chains = []
    for logits, ids, groups in (
        (sides.teacher, batch.spans.teacher_targets, told.teacher_groups),
        (sides.student, batch.targets, told.groups),
    ):
        tokens = logits.log_softmax(-1).gather(1, ids[:, None])[:, 0]
        chains.append(torch.stack([tokens[groups == g].sum() for g in range(told.count)]).exp())
    p, q = chains
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    torch.testing.assert_close(total, expected)
    (slope,) = gradients(total, [sides.student])
    close([slope], gradients(expected, [sides.student]))
    assert (slope.abs().sum(1) > 0).equal(told.groups >= 0)  # every token of a span, none outside


def test_a_sure_span_has_a_finite_value_and_gradient():
    scene = Scene()
    scene.teacher.scatter_(1, scene.batch.targets[:, None], 80.0)
    total = run(Objective({"spans": composed("loss", "span_likelihood", ["loss.flattening=1.0"])}), scene).total
    assert torch.isfinite(total)
    assert all(torch.isfinite(slope).all() for slope in gradients(total, scene.leaves))


@pytest.fixture(scope="module")
def two():
    """Another byte-level BPE, with fewer and other merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet, end = pre_tokenizers.ByteLevel.alphabet(), "<|e|>"
    trainer = trainers.BpeTrainer(vocab_size=275, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["reads the text, teaches the student"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=end, eos_token=end, pad_token=end)


@torch.no_grad()
def test_all_spans_together_are_the_bits_per_byte_of_the_raw_text(tmp_path, tokenizer, two, tiny_llama):
    """Σ log p over groups of whole documents is the text's own log-likelihood, for student and teacher."""
    data = paired(tmp_path / "d", tokenizer, two, packing=False, sequence_length=400)
    batch = data.test_batches()[0]
    models = tiny_llama(len(tokenizer)), tiny_llama(len(two), seed=1)
    told = answer(models[1], batch.teacher_inputs, batch.teacher_positions)
    signal = prepared(ByteSpans(), tokenizer, two).align(Hidden(told.hidden, told.head), batch)
    groups = signal.spanned
    assert (groups.groups >= 0).all()
    assert (groups.teacher_groups >= 0).all()
    for model, who, view in zip(models, (tokenizer, two), (batch, batch.taught), strict=True):
        raw = nbytes = 0.0
        for document in data.documents.test[: len(batch.samples)]:
            ids = [0, *who(document.text, add_special_tokens=False)["input_ids"], 0]
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            raw -= logits.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()
            nbytes += len(document.text.encode())
        assert view.bytes == nbytes
        assert nats(model, view).sum().item() == pytest.approx(raw, rel=1e-4)
    student = answer(models[0], batch.inputs, batch.positions)
    ours = log_likelihood(Outputs(student.hidden, student.head), batch.targets)
    torch.testing.assert_close(-ours, nats(models[0], batch))
