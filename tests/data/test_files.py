"""Malformed data (each with file and line, no row text shown), and what is accepted or counted."""

import gzip
import json
import lzma
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distill.data import corpus as limits
from distill.data.files import files
from distill.errors import BadInput, ResourceStop

SECRET = "canary-7f3a"
GOOD = [json.dumps({"text": f"{SECRET} good row number {i}", "id": i}).encode() for i in range(6)]

BROKEN_LINES = {
    "unfinished object": (f'{{"text": "{SECRET}"'.encode(), "not JSON"),
    "unfinished string": (f'{{"text": "{SECRET}'.encode(), "not JSON"),
    "single quotes": (f"{{'text': '{SECRET}'}}".encode(), "not JSON"),
    "trailing comma": (f'{{"text": "{SECRET}",}}'.encode(), "not JSON"),
    "two objects": (f'{{"text": "{SECRET}"}} {{}}'.encode(), "not JSON"),
    "bare text": (SECRET.encode(), "not JSON"),
    "a tab in a string": (f'{{"text": "{SECRET}\t"}}'.encode(), "not JSON"),
    "nested deeply": (b"[" * 100_000, "nested too deeply"),
    "endless number": (b'{"text": "a", "n": ' + b"9" * 5_000 + b"}", "number too long"),
    "list": (f'["{SECRET}"]'.encode(), "a list, where an object"),
    "string": (f'"{SECRET}"'.encode(), "a text, where an object"),
    "number": (b"17", "a number, where an object"),
    "true": (b"true", "true or false, where an object"),
    "null": (b"null", "null, where an object"),
    "missing field": (f'{{"body": "{SECRET}"}}'.encode(), "no field 'text' (there are: body)"),
    "missing field, hostile name": (f'{{"{SECRET} 1": 1}}'.encode(), "no field 'text' (and no other"),
    "empty object": (b"{}", "no field 'text'"),
    "number as text": (b'{"text": 3.5}', "field 'text' is a number"),
    "truth as text": (b'{"text": true}', "field 'text' is true or false"),
    "list as text": (f'{{"text": ["{SECRET}"]}}'.encode(), "field 'text' is a list"),
    "object as text": (f'{{"text": {{"a": "{SECRET}"}}}}'.encode(), "field 'text' is an object"),
    "latin-1": (f'{{"text": "{SECRET} caf'.encode() + b'\xe9"}', "byte 26 of the line is not UTF-8"),
    "cut character": (f'{{"text": "{SECRET}'.encode() + b'\xe2\x82"}', "not UTF-8"),
    "surrogate bytes": (b'{"text": "\xed\xa0\x80"}', "not UTF-8"),
    "NUL": (f'{{"text": "{SECRET}\0"}}'.encode(), "binary data"),
    "escaped NUL": (f'{{"text": "{SECRET}\\u0000"}}'.encode(), "a NUL character"),
    "half a surrogate pair": (f'{{"text": "{SECRET}\\ud83d"}}'.encode(), "half of a surrogate pair"),
    "another byte order mark": (b"\xef\xbb\xbf" * 2 + f'{{"text": "{SECRET}"}}'.encode(), "not JSON"),
    "giant": (f'{{"text": "{SECRET} '.encode() + b"x" * 5_000 + b'"}', "more than"),
}


def refusal(path, **options) -> str:
    """The one line that a person sees; the row's text is not in it."""
    with pytest.raises(BadInput) as caught:
        files(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    assert caught.value.code == 2
    return line


@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("fault", BROKEN_LINES)
def test_a_broken_line_is_refused_by_file_and_line(tmp_path, monkeypatch, fault, place):
    if fault == "giant":
        monkeypatch.setattr("distill.data.files.LONGEST", 4_096)
    line, reason = BROKEN_LINES[fault]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([*GOOD[:place], line, *GOOD[place:]]) + b"\n")
    said = refusal(path)
    assert f"{path}:{place + 1}: " in said
    assert reason in said


def test_a_line_of_a_hundred_megabytes_is_not_read_whole(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(GOOD[0] + b"\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    assert f"{path}:2: a line of more than 33,554,432 bytes" in refusal(path)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.xz", ".txt", ".txt.gz", ".txt.xz", ".parquet"])
def test_an_empty_file_is_refused(tmp_path, ending):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(b"")
    assert f"{path}: an empty file" in refusal(path)


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_a_cut_off_archive_is_refused_by_line(tmp_path, ending, kept):
    path = tmp_path / f"rows.jsonl.{ending}"
    rows = b"\n".join(json.dumps({"text": f"{SECRET} {os.urandom(400).hex()}"}).encode() for _ in range(200))
    packed = gzip.compress(rows) if ending == "gz" else lzma.compress(rows)
    path.write_bytes(packed[: int(len(packed) * kept)])
    said = refusal(path)
    assert "damaged or cut off here" in said
    assert f"{path}:" in said


@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_an_archive_that_is_none_is_refused(tmp_path, ending):
    path = tmp_path / f"rows.jsonl.{ending}"
    path.write_bytes(GOOD[0])
    assert f"{path}:1: the compressed data is damaged" in refusal(path)


def parquet(path, column, name="text", **options) -> None:
    pq.write_table(pa.table({name: column, "id": pa.array(range(len(column)))}), path, **options)


TEXTS = [f"{SECRET} row {i} of a table that is long enough to be damaged" for i in range(3_000)]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95, 0.999])
def test_a_cut_off_table_is_refused(tmp_path, kept):
    path = tmp_path / "rows.parquet"
    parquet(path, TEXTS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert f"{path}: not a whole parquet file" in refusal(path)


def test_a_damaged_page_is_refused_by_row(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet(path, TEXTS, write_page_checksum=True, compression="none", use_dictionary=False)
    body = bytearray(path.read_bytes())
    body[body.index(b"row 1500 ")] ^= 1
    path.write_bytes(body)
    assert "damaged from here on" in refusal(path)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([1, 2, 3]), "column 'text' holds int64"),
        (pa.array([[SECRET]]), "column 'text' holds list"),
        (pa.array([{"a": SECRET}]), "column 'text' holds struct"),
        (pa.array([SECRET.encode()]), "column 'text' holds binary"),
    ],
)
def test_a_table_of_another_type_is_refused(tmp_path, column, reason):
    path = tmp_path / "rows.parquet"
    parquet(path, column)
    assert reason in refusal(path)


def test_a_table_without_the_column_names_those_it_has(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet(path, TEXTS[:3], name="body")
    assert f"{path}: no column 'text' (there are: body, id); data.field=NAME" in refusal(path)


def test_a_row_of_a_table_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet(path, ["good", "good too", f"{SECRET}\0"])
    assert f"{path}:3: a NUL character" in refusal(path)


def test_bad_unicode_in_a_table_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    raw = pa.array([b"good", b"\xff\xfe" + SECRET.encode()])
    parquet(path, pa.Array.from_buffers(pa.string(), 2, raw.buffers()))
    assert f"{path}:2: not UTF-8" in refusal(path)


def test_mixed_columns_of_a_folder_are_refused_where_they_differ(tmp_path):
    parquet(tmp_path / "a.parquet", TEXTS[:3])
    parquet(tmp_path / "b.parquet", TEXTS[3:6], name="body")
    assert f"{tmp_path / 'b.parquet'}: no column 'text'" in refusal(tmp_path)


def test_utf_16_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(SECRET, encoding="utf-16")
    assert f"{path}:1: UTF-16; save the file as UTF-8" in refusal(path)


@pytest.mark.parametrize("name", ["picture.png", "archive.tar.gz", "rows.csv", "rows.json", "jsonl"])
def test_another_kind_of_file_is_refused_with_those_that_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[0])
    assert ".jsonl.gz" in refusal(tmp_path / name)
    assert "no text in this folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["none.txt", "x" * 300 + ".txt", "nul\0.txt"])
def test_a_missing_file_is_refused(tmp_path, name):
    assert "check data.path" in refusal(tmp_path / name)


def test_a_link_to_nothing_in_a_folder_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD[0])
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone.jsonl")
    assert "b.jsonl: no file, or a link to nothing" in refusal(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert "a.txt: no file" in refusal(tmp_path / "a.txt")


def test_a_file_that_may_not_be_read_is_a_matter_of_resources(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD[0])

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("distill.data.files._opened", refuse)
    with pytest.raises(ResourceStop, match="Permission denied"):
        files(path)


# ------------------------------------------------------------------------------------------------- accepted, counted


def texts(found) -> list[str]:
    return [document.text for document in found.documents]


def test_every_row_is_used_or_counted(tmp_path):
    rows = [
        '{"text": "one"}',
        "",
        '{"text": "  \\n "}',
        '{"text": null}',
        '{"text": "one"}',
        '{"text": "two", "more": 1}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    found = files(tmp_path / "a.jsonl")
    assert texts(found) == ["one", "two"]
    assert found.dropped == {"duplicate": 1, "empty": 2, "null": 1}
    assert found.rows == len(found.documents) + sum(found.dropped.values()) == 6


def test_nothing_left_is_refused_with_the_account(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n{"text": null}\n')
    assert "no document left of 2 rows (1 empty, 1 null)" in refusal(tmp_path / "a.jsonl")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_marks_and_line_ends_change_nothing(tmp_path, ending, mark, last):
    lines = ['{"text": "naïve"}', '{"text": "two\\r\\nlines"}']
    body = ending.join(lines) + (ending if last else "")
    (tmp_path / "a.jsonl").write_bytes(mark + body.encode())
    (tmp_path / "a.txt").write_bytes(mark + f"first{ending}second{ending if last else ''}".encode())
    assert texts(files(tmp_path / "a.jsonl")) == ["naïve", "two\r\nlines"]
    assert texts(files(tmp_path / "a.txt")) == ["first\nsecond"]


def test_every_kind_of_file_gives_the_same(tmp_path):
    rows = [f"text {i}" for i in range(20)]
    lines = "".join(json.dumps({"text": row}) + "\n" for row in rows).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.JSONL.XZ").write_bytes(lzma.compress(lines))
    parquet(tmp_path / "a.parquet", rows)
    parquet(tmp_path / "b.parquet", pa.array(rows).dictionary_encode())
    parquet(tmp_path / "c.parquet", pa.array(rows, pa.large_string()), row_group_size=3)
    found = {path.name: files(path).sha256 for path in tmp_path.iterdir()}
    assert len(found) == 6
    assert len(set(found.values())) == 1


def test_a_folder_is_read_in_the_order_of_names_at_any_depth(tmp_path):
    (tmp_path / "b").mkdir()
    for name, row in (("b/1.jsonl", "second"), ("c.txt", "third"), ("a.jsonl", "first")):
        (tmp_path / name).write_text(row if name.endswith("txt") else json.dumps({"text": row}))
    (tmp_path / ".hidden.txt").write_text("hidden")
    (tmp_path / "README.md").write_text("other")
    assert texts(files(tmp_path)) == ["first", "second", "third"]


def test_another_field(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "one", "text": 3}')
    parquet(tmp_path / "a.parquet", ["two"], name="body")
    assert texts(files(tmp_path, field="body")) == ["one", "two"]


def test_one_long_text_becomes_documents_that_together_are_the_text(tmp_path):
    paragraphs = [f"Paragraph {i}. " + "It has some lines.\n" * (i % 9 + 1) for i in range(300)]
    whole = "\n".join(paragraphs)
    (tmp_path / "book.txt").write_text(whole)
    found = texts(files(tmp_path / "book.txt"))
    assert 10 < len(found) < 300
    assert "".join(found).replace("\n", "") == whole.replace("\n", "")
    assert all(len(text) <= 8_000 + 200 for text in found)


def test_a_text_without_blank_lines_is_cut_at_line_ends(tmp_path):
    (tmp_path / "log.txt").write_text("".join(f"line number {i}\n" for i in range(5_000)))
    found = texts(files(tmp_path / "log.txt"))
    assert len(found) > 5
    assert all(text.startswith("line number") for text in found)


# ------------------------------------------------------------------------------------------------------------- fuzz


@pytest.mark.parametrize("ending", ["jsonl", "txt", "jsonl.gz", "jsonl.xz", "parquet"])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"\r\n")
@example(b"PAR1")
def test_any_bytes_give_a_corpus_or_one_line(tmp_path, ending, body):
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(body)
    try:
        found = files(path)
    except BadInput as problem:
        refused = str(problem)
    else:
        assert found.rows == len(found.documents) + sum(found.dropped.values())
        return
    assert "\n" not in refused
    assert str(path) in refused


def test_limit_is_what_the_documents_say():
    assert limits.LONGEST == 32 * 2**20


def test_a_document_knows_which_part_of_a_folder_it_is_from(tmp_path):
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "deep" / "a.txt").write_text("def f(): ...\n")
    (tmp_path / "mail.jsonl.gz").write_bytes(gzip.compress(b'{"text": "Dear all"}\n'))
    (tmp_path / "notes.txt").write_text("remember\n")
    told = {document.text.strip(): document.domain for document in files(tmp_path).documents}
    assert told == {"def f(): ...": "code", "Dear all": "mail", "remember": "notes"}
    assert files(tmp_path / "notes.txt").documents[0].domain == ""
