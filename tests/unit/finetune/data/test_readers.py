"""Each format that people have gives the same rows, and a row that is broken does not end the reading."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pytest

from finetune.data.clip import Rejection, Utterance, Word
from finetune.data.readers.detect import open_corpus
from finetune.data.reasons import Reason
from finetune.errors import CorpusError
from tests.unit.finetune.data.sounds import recording, write


def rows(folder: Path, corpus_format: str = "auto") -> list[Utterance | Rejection]:
    return list(open_corpus(folder, corpus_format, speaker="0"))


def lines(path: Path, *objects: object) -> None:
    path.write_text("\n".join(json.dumps(o, ensure_ascii=False) for o in objects), encoding="utf-8")


def test_ljspeech(tmp_path: Path):
    write(tmp_path / "wavs/a1.flac", recording(1))
    (tmp_path / "metadata.csv").write_text("a1|Saat 5-dir.|saat beşdir\na2|Salam.\n|boş\n", encoding="utf-8")
    first, second, third = rows(tmp_path)
    assert first == Utterance("a1", tmp_path / "wavs/a1.flac", "Saat 5-dir.", "0")
    assert isinstance(second, Utterance)
    assert second.sound == tmp_path / "wavs/a2.wav"
    assert third == Rejection("metadata.csv:3", Reason.ROW_MALFORMED, "2 columns, not id|text|normalised")


@pytest.mark.parametrize(
    ("named", "file"), [("a1", "a1.WAV"), ("a1.wav", "a1.wav"), ("a1 ", "a1.mp3"), ("a1", "a1.m4a"), ("ə ö", "ə ö.aac")]
)
def test_ljspeech_finds_a_file_whatever_its_ending(named: str, file: str, tmp_path: Path):
    write(tmp_path / "sound.wav", recording(1))
    (tmp_path / "wavs").mkdir()
    (tmp_path / "sound.wav").rename(tmp_path / "wavs" / file)
    (tmp_path / "metadata.csv").write_text(f"{named}|Salam.\n", encoding="utf-8")
    (row,) = rows(tmp_path)
    assert isinstance(row, Utterance)
    assert row.sound == tmp_path / "wavs" / file


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_whatever_its_lines_end_with_and_a_row_that_is_none_is_told(end: str, tmp_path: Path):
    table = ["file_name, text", 'a.wav, "Salam, dostlar"', f"b.wav,{'a' * 140_000}", "c.wav,Sağ ol", ""]
    (tmp_path / "metadata.csv").write_text(end.join(table), encoding="utf-8", newline="")
    first, long, last = rows(tmp_path)
    assert first == Utterance("a", tmp_path / "a.wav", "Salam, dostlar", "0")
    assert isinstance(long, Rejection)
    assert long.reason == Reason.ROW_MALFORMED
    assert last == Utterance("c", tmp_path / "c.wav", "Sağ ol", "0")


def test_audiofolder_as_a_table_with_a_byte_order_mark(tmp_path: Path):
    table = '\ufefffile_name,transcription,speaker_id\nx/a.wav,"Salam, necəsən?",7\nb.wav,Sağ ol\n'
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    first, second = rows(tmp_path)
    assert first == Utterance("x/a", tmp_path / "x/a.wav", "Salam, necəsən?", "7")
    assert second == Rejection("metadata.csv:3", Reason.ROW_MALFORMED, "2 columns, not 3")


def test_audiofolder_whose_splits_have_a_table_each(tmp_path: Path):
    for split, text in (("test", "Sağ ol"), ("train", "Salam")):
        write(tmp_path / "data" / split / "a.wav", recording(1))
        (tmp_path / "data" / split / "metadata.csv").write_text(f"file_name,text\na.wav,{text}\n", encoding="utf-8")
    assert rows(tmp_path) == [
        Utterance("data/test/a", tmp_path / "data/test/a.wav", "Sağ ol", "0"),
        Utterance("data/train/a", tmp_path / "data/train/a.wav", "Salam", "0"),
    ]
    (tmp_path / "metadata.csv").write_text("file_name,text\ndata/test/a.wav,Salam\n", encoding="utf-8")
    assert rows(tmp_path) == [Utterance("data/test/a", tmp_path / "data/test/a.wav", "Salam", "0")]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_of_a_spreadsheet_parts_its_cells_as_the_country_does(delimiter: str, tmp_path: Path):
    (tmp_path / "metadata.csv").write_text(
        f'file_name{delimiter}text\na.wav{delimiter}"Salam, dostlar; sağ olun"\n', encoding="utf-8"
    )
    assert rows(tmp_path) == [Utterance("a", tmp_path / "a.wav", "Salam, dostlar; sağ olun", "0")]


def test_half_of_a_text_in_quotes_is_not_taken_for_the_whole(tmp_path: Path):
    table = 'file_name,text\na.wav,"Salam,\nnecəsən?"\nb.wav,"Sağ ol" dedi\n'
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    opened, closed, whole = rows(tmp_path)
    assert isinstance(opened, Rejection)
    assert (opened.id, opened.reason) == ("metadata.csv:2", Reason.ROW_MALFORMED)
    assert "not closed in the line" in opened.detail
    assert closed == Rejection("metadata.csv:3", Reason.ROW_MALFORMED, "1 columns, not 2")
    assert whole == Utterance("b", tmp_path / "b.wav", "Sağ ol dedi", "0")


@pytest.mark.parametrize(("file", "manifest"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_is_found_whichever_way_its_letters_are_composed(file: str, manifest: str, tmp_path: Path):
    path = write(tmp_path / normalize(file, "görüş.wav"), recording(1))
    lines(tmp_path / "a.jsonl", {"audio": normalize(manifest, "görüş.wav"), "text": "Salam"})
    (row,) = rows(tmp_path)
    assert isinstance(row, Utterance)
    assert row.sound == path


def test_audiofolder_as_json_lines(tmp_path: Path):
    lines(tmp_path / "metadata.jsonl", {"file_name": "a.wav", "sentence": "Salam"}, {"text": "b"})
    first, second = rows(tmp_path)
    assert first == Utterance("a", tmp_path / "a.wav", "Salam", "0")
    assert second == Rejection("metadata.jsonl:2", Reason.ROW_MALFORMED, "no file_name")


def test_json_lines_of_nemo_and_of_others(tmp_path: Path):
    lines(
        tmp_path / "train.jsonl",
        {"audio_filepath": "a.wav", "duration": 2.0, "text": "Salam"},
        {"audio_filepath": "a.wav", "offset": 1.5, "duration": 2.0, "text": "Salam"},
        {"path": "b.wav", "start": "0.5", "end": 2, "text": "Salam", "speaker": 3},
        {"audio": "c.wav", "text": "Bu gün", "words": [{"word": "Bu", "start": 0, "end": 0.4}]},
    )
    whole, part, third, fourth = rows(tmp_path)
    assert whole == Utterance("a", tmp_path / "a.wav", "Salam", "0")
    assert part == Utterance("a@1.5", tmp_path / "a.wav", "Salam", "0", 1.5, 3.5)
    assert third == Utterance("b@0.5", tmp_path / "b.wav", "Salam", "3", 0.5, 2.0)
    assert isinstance(fourth, Utterance)
    assert fourth.words == (Word("Bu", 0.0, 0.4),)


def test_json_lines_of_nemo_are_found_by_the_name_it_gives_them(tmp_path: Path):
    lines(tmp_path / "train_manifest.json", {"audio_filepath": "a.wav", "duration": 2.0, "text": "Salam"})
    (tmp_path / "config.json").write_text('{\n "audio_filepath": "a.wav"\n}', encoding="utf-8")
    (tmp_path / "info.json").write_text('{"text": "no sound"}', encoding="utf-8")
    assert rows(tmp_path) == [Utterance("a", tmp_path / "a.wav", "Salam", "0")]
    lines(tmp_path / "train_manifest.json", {"id": "c", "turns": [{"text": "Salam", "audio": "a.wav"}]})
    assert rows(tmp_path) == [Utterance("c-0", tmp_path / "a.wav", "Salam", "0", conversation="c")]


def test_common_voice_has_quotes_in_its_sentences(tmp_path: Path):
    table = 'client_id\tpath\tsentence\tage\nabcdef0123456789ff\ta.mp3\t"Salam" dedi\t\n\t\tboş\t\n'
    (tmp_path / "validated.tsv").write_text(table, encoding="utf-8")
    first, second = rows(tmp_path)
    assert first == Utterance("a", tmp_path / "clips/a.mp3", '"Salam" dedi', "abcdef0123456789")
    assert second == Rejection("validated.tsv:3", Reason.ROW_MALFORMED, "no path")


def test_parquet_holds_sound_as_bytes_or_names_a_file(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sound = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    audio = [{"bytes": b"RIFF", "path": "x.wav"}, {"bytes": None, "path": "b.wav"}, None]
    columns = {"audio": pyarrow.array(audio, sound), "text": ["Salam", "Sağ ol", "Bəli"], "speaker": ["a", "b", None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "train.parquet")
    (tmp_path / "zz.parquet").write_bytes(b"not parquet")
    first, second, third, fourth = rows(tmp_path)
    assert first == Utterance("train-000001", b"RIFF", "Salam", "a")
    assert second == Utterance("train-000002", tmp_path / "b.wav", "Sağ ol", "b")
    assert third == Rejection("train-000003", Reason.AUDIO_MISSING, "neither bytes nor path")
    assert isinstance(fourth, Rejection)
    assert fourth.reason == Reason.ROW_MALFORMED


def test_parquet_files_of_one_name_in_two_folders_have_rows_of_their_own(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for split in ("test", "train"):  # as the hub's conversion has them
        (tmp_path / "default" / split).mkdir(parents=True)
        table = pyarrow.table({"audio": [split.encode() * 900] * 3, "text": ["Salam", "Sağ ol", "Bəli"]})
        parquet.write_table(table, tmp_path / "default" / split / "0000.parquet")
    broken = bytearray((tmp_path / "default/test/0000.parquet").read_bytes())
    broken[4:40] = b"\xff" * 36
    (tmp_path / "default/broken.parquet").write_bytes(broken)
    torn, *whole = rows(tmp_path)
    assert isinstance(torn, Rejection)
    assert (torn.id, torn.reason) == ("default/broken.parquet", Reason.ROW_MALFORMED)
    assert [row.id for row in whole] == [f"default/{s}/0000-00000{n}" for s in ("test", "train") for n in (1, 2, 3)]


def test_conversations_have_turns_of_which_some_are_only_heard(tmp_path: Path):
    lines(
        tmp_path / "calls.jsonl",
        {
            "id": "call1",
            "turns": [
                {"speaker": 1, "text": "Alo?", "audio": "1.wav", "train": False},
                {"speaker": 0, "text": "Salam!", "audio": "2.wav"},
                "?",
            ],
        },
        {"id": "call2", "turns": []},
    )
    heard, learnt, broken, empty = rows(tmp_path)
    assert heard == Utterance("call1-0", tmp_path / "1.wav", "Alo?", "1", conversation="call1", turn=0, target=False)
    assert learnt == Utterance("call1-1", tmp_path / "2.wav", "Salam!", "0", conversation="call1", turn=1)
    assert broken == Rejection("call1-2", Reason.ROW_MALFORMED, "a turn is an object")
    assert empty == Rejection("call2", Reason.CONVERSATION_EMPTY)


def test_a_folder_without_a_manifest_is_refused_with_what_was_looked_for(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"metadata\.csv, metadata\.jsonl"):
        rows(tmp_path)
    with pytest.raises(CorpusError, match="is no folder"):
        rows(tmp_path / "nowhere")
    (tmp_path / "list.txt").touch()
    with pytest.raises(CorpusError, match="is a file"):
        rows(tmp_path / "list.txt")
    with pytest.raises(CorpusError, match="is no folder"):
        rows(Path("mənim səslərim/yazılar"))
    for corpus_format in ("ljspeech", "audiofolder", "common_voice"):
        with pytest.raises(CorpusError, match=f"format '{corpus_format}'"):
            rows(tmp_path, corpus_format)


def test_a_data_set_of_the_hub_is_fetched_and_read_like_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "snapshot/wavs/a.wav", recording(1.0))
    (tmp_path / "snapshot/metadata.csv").write_text("a|Salam.\n", encoding="utf-8")
    asked: list[tuple[str, str, str | None]] = []

    def fetch(name: str, *, repo_type: str, revision: str | None, allow_patterns: list[str], local_dir: Path) -> str:
        asked.append((name, repo_type, revision))
        if name == "owner/gone":
            raise OSError("404")
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    (row,) = rows(Path("owner/voices"))
    assert row == Utterance("a", tmp_path / "snapshot/wavs/a.wav", "Salam.", "0")
    assert rows(Path("owner/voices@refs/convert/parquet")) == [row]
    assert asked == [("owner/voices", "dataset", None), ("owner/voices", "dataset", "refs/convert/parquet")]
    with pytest.raises(CorpusError, match="cannot be fetched from the hub"):
        rows(Path("owner/gone"))
