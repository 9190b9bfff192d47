"""A student of which some part is not trained: the encoder that it shares with its teacher, say."""

from transformers import PreTrainedModel

from distill.errors import BadInput
from distill.students.around import Around
from distill.students.student import Student


class Frozen(Around):
    """Any student with named modules left as they are.

    Source: Gandhi, von Platen, Rush 2023, Distil-Whisper, https://arxiv.org/abs/2311.00430, section 3: the encoder is
        the teacher's, and is not trained.

    Args:
        source: the student.
        modules: paths of what is not trained, such as ``model.encoder``.
    """

    def __init__(self, source: Student, modules: list[str]) -> None:
        super().__init__(source)
        self.modules = modules

    def changed(self, model: PreTrainedModel) -> PreTrainedModel:
        """
        Raises:
            BadInput: the model has no such module.
        """
        for path in self.modules:
            try:
                model.get_submodule(path).requires_grad_(False)
            except AttributeError:
                named = ", ".join(name for name, _ in list(model.named_modules())[1:5])
                reason = f"the model has no such module (it has {named}, …)"
                raise BadInput("student.modules", reason, value=path) from None
        return model
