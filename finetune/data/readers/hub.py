"""A data set of the Hugging Face hub as a local folder: fetched once, then read like any other corpus."""

from __future__ import annotations

from pathlib import Path

from finetune.errors import CorpusError

_PATTERNS = ["*.parquet", "*.csv", "*.tsv", "*.jsonl", "*.json", "*.wav", "*.flac", "*.mp3", "*.ogg", "*.opus"]


def corpus_folder(corpus: Path) -> Path:
    """Return a local folder as it is; `owner/name` or `owner/name@revision` is fetched, or taken from the hub's cache.

    `@refs/convert/parquet` is the hub's own conversion, which data sets that are scripts or archives have too. Raises
    CorpusError.
    """
    folder = corpus.expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise CorpusError(f"{corpus} is a file; `corpus` names the folder that it lies in")
    name, _, revision = str(corpus).partition("@")
    if folder.is_absolute() or name.count("/") != 1 or name.startswith("."):
        raise CorpusError(
            f"{corpus} is no folder; `corpus` names the folder of the recordings, or a data set of the hub (owner/name)"
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy, and of no use for a local folder
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 - as above
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415 - as above

    # a folder of files: the cache's own has links out of it, which readers refuse
    place = Path(HF_HUB_CACHE).parent / "zeng" / str(corpus).replace("/", "--")
    try:
        fetched = snapshot_download(
            name, repo_type="dataset", revision=revision or None, allow_patterns=_PATTERNS, local_dir=place
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CorpusError(
            f"{corpus} is no folder here, and cannot be fetched from the hub ({error}); accept its terms and log in, "
            "or name a local folder"
        ) from error
    return Path(fetched)
