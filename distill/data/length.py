"""Whether a model has a position for every token of a row; told by its config, before a weight is loaded."""

from transformers import PretrainedConfig

from distill.errors import BadInput


def check_length(config: PretrainedConfig, sequence_length: int, place: str) -> None:
    """Refuse rows that are longer than what a model was made for.

    Learned positions would fail with an index error in the middle of a step, rotary ones would answer, and badly.
    Models that state no limit (ALiBi, state spaces) pass.

    Args:
        config: of the model.
        sequence_length: tokens of a piece at most.
        place: what a person calls the model: ``teacher.path``, ``student``, …

    Raises:
        BadInput: the model has fewer positions.
    """
    limit = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if limit is not None and sequence_length > limit:
        reason = f"has {limit:,} positions, data.sequence_length is {sequence_length:,}"
        raise BadInput(place, reason, remedy=f"data.sequence_length={limit}")
