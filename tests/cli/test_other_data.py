"""A loss about what other data has is refused before anything is read."""

import pytest

from distill.cli.arguments import parse
from distill.cli.compose import compose
from distill.errors import BadInput


@pytest.mark.parametrize(("loss", "data"), [("ctc", "speech"), ("visual_relation", "image_text")])
def test_refused_on_text(loss, data):
    with pytest.raises(BadInput, match=f"this data is text; write data={data}"):
        compose(parse(["train", f"loss@objective.losses.kd={loss}", "teacher=nursery"]))
