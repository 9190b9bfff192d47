"""A document as Markdown: the same facts as the page, pictures as the numbers they were drawn from."""

from functools import singledispatch

from distill.reports.document import Document, Figure, Item, Listing, Pairs, Prose, Remarks, Shaded, Table, Voices
from distill.reports.escaping import fenced, in_markdown


def markdown(document: Document) -> str:
    """The whole report."""
    parts = [
        f"# {in_markdown(document.title)}",
        in_markdown(document.kicker, start=True),
        f"**{in_markdown(document.headline)}.** {in_markdown(document.sentence)}",
        _lines(document.remarks),
    ]
    for section in document.sections:
        parts.append(f"## {in_markdown(section.title)}")
        parts += [written(block) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


@singledispatch
def written(block: object) -> str:
    """One block."""
    raise TypeError(f"no way to write a {type(block).__name__} as Markdown")


@written.register
def _(block: Table) -> str:
    heads = [" ".join(filter(None, [h.title, f"({h.unit})" if h.unit else "", h.arrow])) for h in block.headings]
    lines = [_row(in_markdown(head) for head in heads)]
    lines.append(_row("---:" if heading.numeric else ":---" for heading in block.headings))
    lines += [_row(_cell(item) for item in row) for row in block.rows]
    return "\n".join(lines) + (f"\n\n*{in_markdown(block.caption)}*" if block.caption else "")


@written.register
def _(block: Figure) -> str:
    caption = f"*{in_markdown(block.caption)}*"
    return caption if block.numbers is None else f"{caption}\n\n{written(block.numbers)}"


@written.register
def _(block: Prose) -> str:
    return in_markdown(block.text, start=True)


@written.register
def _(block: Remarks) -> str:
    return _lines(block.lines)


@written.register
def _(block: Listing) -> str:
    label = f"{in_markdown(block.label, start=True)}\n\n" if block.label else ""
    return label + fenced(block.text, block.language)


@written.register
def _(block: Pairs) -> str:
    return "\n".join([_row(("name", "value")), _row((":---", ":---")),
                      *(_row((in_markdown(name), in_markdown(value))) for name, value in block.pairs)])  # fmt: skip


@written.register
def _(block: Voices) -> str:
    parts = [f"*{in_markdown(block.caption)}*"]
    for prompt, voices in block.prompts:
        parts.append(f"Prompt:\n\n{fenced(prompt)}")
        parts += [f"{in_markdown(name, start=True)}:\n\n{fenced(text)}" for _, name, text in voices]
    return "\n\n".join(parts)


@written.register
def _(block: Shaded) -> str:
    parts = [f"*{in_markdown(block.caption)}*"]
    for _, name, remark, tokens in block.texts:
        parts.append(
            f"{in_markdown(name, start=True)}, {in_markdown(remark)}:\n\n{fenced(''.join(t.text for t in tokens))}"
        )
    return "\n\n".join([*parts, written(block.worst)])


def _cell(item: Item) -> str:
    text = in_markdown(item.text)
    text = f"**{text}**" if item.best else text
    return f"{text} ({in_markdown(item.detail)})" if item.detail else text


def _row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _lines(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {in_markdown(line, start=True)}" for line in lines)
