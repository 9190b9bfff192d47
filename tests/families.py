"""A tiny model of every family, and a batch that it reads: what tests of the seam between modalities share."""

import torch
from transformers import (
    BartConfig,
    BertConfig,
    CLIPVisionConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    LlavaConfig,
    MarianConfig,
    PreTrainedConfig,
    RobertaConfig,
    T5Config,
    VisionEncoderDecoderConfig,
    ViTConfig,
    Wav2Vec2Config,
    WhisperConfig,
)

from distill.families import AUTO
from distill.types import Batch

ROWS, WIDTH = 3, 6
LABELS = 4


def encoder(vocabulary=300, layers=2, width=16, **more):
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 32}
    return {**sizes, "vocab_size": vocabulary, "max_position_embeddings": 32, **more}


def bart(layers=2, width=16, **more):
    sizes = {"d_model": width, "encoder_layers": layers + 1, "decoder_layers": layers, "vocab_size": 300}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    marks = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0, "decoder_start_token_id": 0}
    return {**sizes, **heads, **marks, "forced_eos_token_id": None, "max_position_embeddings": 64, **more}


def vision(layers=2, width=16):
    sizes = encoder(layers=layers, width=width)
    return {key: sizes[key] for key in sizes if key not in ("vocab_size", "max_position_embeddings")} | {
        "image_size": 16,
        "patch_size": 8,
    }


def seeing(layers, width):
    decoder = GPT2Config(vocab_size=300, n_embd=width, n_layer=layers, n_head=2, n_positions=32)
    return VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**vision(layers, width)), decoder)


def hearing(layers, width):
    return Wav2Vec2Config(
        **encoder(layers=layers, width=width),
        conv_dim=(8, 8),
        conv_stride=(5, 4),
        conv_kernel=(10, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )


KINDS = {
    "bert_classifier": ("classification", lambda n, d: BertConfig(**encoder(layers=n, width=d), num_labels=LABELS)),
    "roberta_classifier": (
        "classification",
        lambda n, d: RobertaConfig(**encoder(layers=n, width=d), num_labels=LABELS, pad_token_id=1),
    ),
    "distilbert_classifier": (
        "classification",
        lambda n, d: DistilBertConfig(
            vocab_size=300, dim=d, n_layers=n, n_heads=2, hidden_dim=32, max_position_embeddings=32, num_labels=LABELS
        ),
    ),
    "bert_masked": ("masked", lambda n, d: BertConfig(**encoder(layers=n, width=d))),
    "distilbert_masked": (
        "masked",
        lambda n, d: DistilBertConfig(
            vocab_size=300, dim=d, n_layers=n, n_heads=2, hidden_dim=32, max_position_embeddings=32
        ),
    ),
    "bart": ("seq2seq", lambda n, d: BartConfig(**bart(n, d))),
    "marian": ("seq2seq", lambda n, d: MarianConfig(**bart(n, d))),
    "t5": (
        "seq2seq",
        lambda n, d: T5Config(
            vocab_size=300, d_model=d, d_kv=8, d_ff=32, num_layers=n + 1, num_decoder_layers=n, num_heads=2
        ),
    ),
    "whisper": (
        "speech",
        lambda n, d: WhisperConfig(
            **bart(n, d, max_source_positions=20, max_target_positions=32, num_mel_bins=8, begin_suppress_tokens=None)
        ),
    ),
    "vision_encoder_decoder": ("image_text", seeing),
    "llava": (
        "image_text",
        lambda n, d: LlavaConfig(
            vision_config=CLIPVisionConfig(**vision(n, d), projection_dim=d),
            text_config=LlamaConfig(**encoder(layers=n, width=d)),
            image_token_id=299,
            image_seq_length=4,
        ),
    ),
    "ctc": ("ctc", hearing),
    "llama": ("causal", lambda n, d: LlamaConfig(**encoder(layers=n, width=d))),
}
"""Name -> (family, config of so many layers and such a width)."""


def config(name: str, layers: int = 2, width: int = 16) -> PreTrainedConfig:
    return KINDS[name][1](layers, width)


def model(name: str, layers: int = 2, width: int = 16, seed: int = 0):
    torch.manual_seed(seed)
    return AUTO[KINDS[name][0]].from_config(config(name, layers, width))


def batch(name: str, index: int = 0) -> Batch:
    """One that the model can read: targets at every second position."""
    draws = torch.Generator().manual_seed(50 + index)
    ids = torch.randint(2, 290, (ROWS, WIDTH), generator=draws)
    family = KINDS[name][0]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    places = torch.arange(0, ROWS * WIDTH, 2)
    targets = torch.randint(2, 290, (len(places),), generator=draws)
    if family == "classification":
        places, targets = torch.arange(ROWS) * WIDTH, torch.randint(0, LABELS, (ROWS,), generator=draws)
    elif family == "seq2seq":
        inputs = {**inputs, "decoder_input_ids": ids.flip(1)}
    elif name == "whisper":
        inputs = {"input_features": torch.randn(ROWS, 8, 40, generator=draws), "decoder_input_ids": ids}
    elif name == "vision_encoder_decoder":
        inputs = {"pixel_values": torch.randn(ROWS, 3, 16, 16, generator=draws), "decoder_input_ids": ids}
    elif name == "llava":
        ids[:, :4] = 299
        inputs["pixel_values"] = torch.randn(ROWS, 3, 16, 16, generator=draws)
        places = torch.tensor([row * WIDTH + column for row in range(ROWS) for column in (4, 5)])
        targets = targets[: len(places)]
    elif family == "ctc":
        inputs = {"input_values": torch.randn(ROWS, 400, generator=draws)}  # 18 frames
        places, targets = torch.arange(0, ROWS * 18, 3), torch.randint(2, 290, (ROWS * 6,), generator=draws)
    span = {"classification": WIDTH, "ctc": 18}.get(family, WIDTH)
    hashes = tuple(f"{name}-{index}-{row}" for row in range(ROWS))
    return Batch(inputs, inputs, places, places, targets, places // span, hashes, causal=family == "causal")
