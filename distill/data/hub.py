"""A data set of the hub, or a folder that ``datasets`` can read: ``data.name=org/set``.

Code inside a data set is never run: this ``datasets`` cannot, and nothing here asks for it. Left out on purpose:
streaming. The split is read whole; ``data.split='train[:1%]'`` takes a part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from distill.data.corpus import Corpus, Tally, gather
from distill.data.files import text_of
from distill.errors import BadInput

if TYPE_CHECKING:
    from datasets import Dataset


def hub(
    name: str, field: str = "text", split: str = "train", subset: str | None = None, cache: Path | None = None
) -> Corpus:
    """The documents of one split of a data set.

    Args:
        name: ``org/set``, or a local folder.
        field: the column that holds the text.
        split: as ``datasets`` writes it, a slice included.
        subset: the configuration, where a set has several.
        cache: where ``datasets`` keeps what it read; its own folder by default.

    Raises:
        BadInput: the set, split or column does not exist, or a row holds no text.
    """
    tally = Tally()
    return gather(f"{name} ({split})", _texts(name, loaded(name, split, subset, cache), field, tally), tally)


def loaded(name: str, split: str, subset: str | None, cache: Path | None) -> "Dataset":
    from datasets import Dataset, load_dataset
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    try:
        with _quick_without_network(name):
            place = None if cache is None else str(cache / "datasets")
            found = load_dataset(name, subset, split=split, cache_dir=place)
    except DatasetNotFoundError:
        raise BadInput(name, "no such data set on the hub or on this machine", remedy="check data.name") from None
    except (ConnectionError, TimeoutError):
        raise BadInput(name, "the hub does not answer and the set is not cached", remedy="data.path=FILE") from None
    except (DatasetsError, ValueError, RuntimeError, OSError) as problem:
        raise BadInput(name, _first_line(problem), remedy="check data.name, data.subset and data.split") from None
    assert isinstance(found, Dataset)  # a split that is named and not streamed
    return found


@contextmanager
def _quick_without_network(name: str) -> Iterator[None]:
    """Where the hub does not answer, ``datasets`` would ask it six times over 23 s before it looks into its cache."""
    from datasets import config
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    offline = config.HF_HUB_OFFLINE
    if not Path(name).is_dir():
        try:
            HfApi(endpoint=config.HF_ENDPOINT).dataset_info(name, timeout=4)
        except (HfHubHTTPError, OfflineModeIsEnabled, ValueError):
            pass  # an answer: what it means is told by ``load_dataset``
        except Exception:  # whatever the HTTP client of the day calls a network that is not there
            config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = offline


def _first_line(problem: Exception) -> str:
    """What ``datasets`` says in one line; its longer messages may quote rows."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:160]


def _texts(name: str, found: "Dataset", field: str, tally: Tally) -> Iterator[str]:
    if field not in found.column_names:
        columns = ", ".join(found.column_names[:8])
        raise BadInput(name, f"no column '{field}' (there are: {columns})", remedy="data.field=NAME")
    for batch in found.select_columns([field]).iter(batch_size=1024):
        for value in batch[field]:  # type: ignore[index]
            tally.rows += 1
            yield from text_of(f"{name}:{tally.rows}", value, field, tally)
