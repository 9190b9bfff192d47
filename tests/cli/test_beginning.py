"""A student that begins as its teacher, whatever folder that comes to lie in."""

from distill.cli.beginning import begins_as_teacher, begun


def test_a_path_of_null_is_the_teachers_and_no_other_is():
    assert begun({"path": None, "every": 2}, "there") == {"path": "there", "every": 2}
    assert begun({"path": "here"}, "there") == {"path": "here"}
    assert not begins_as_teacher({"layers": 2})
