"""A folder in which nearly everything is broken: each thing gets its reason, and what is good is prepared."""

from __future__ import annotations

import json
import re
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from rich.console import Console

from finetune.data.clip import Clip
from finetune.data.codes import Shard
from finetune.data.manifest import Entry, read_manifest, read_prepared
from finetune.data.prepare import Summary, prepare
from finetune.data.reasons import Reason
from finetune.data.settings import PrepareSettings
from finetune.errors import ConfigError, CorpusError, RecogniserError
from tests.unit.finetune.data.sounds import noise, recording, speech, write
from tests.unit.finetune.tiny import CODEBOOKS, Base
from tts_engine.model.errors import CheckpointError

TEXT = "Bu gün hava çox gözəldir, gəlin gəzək."
Make = Callable[[Path], dict[str, Any] | str | bytes]


@dataclass(frozen=True, slots=True)
class Broken:
    """What to write into the manifest (an object is a row), and the reason to be found."""

    make: Make
    reason: Reason


def _row(name: str, **change: Any) -> dict[str, Any]:
    return {key: value for key, value in {"audio": name, "text": TEXT, **change}.items() if value is not ...}


def _sound(samples: np.ndarray, **change: Any) -> Make:
    rate = change.pop("rate", 24_000)

    def make(folder: Path) -> dict[str, Any]:
        name = f"broken{len(list(folder.iterdir()))}.wav"
        write(folder / name, samples, rate=rate)
        return _row(name, **change)

    return make


def _bytes(content: bytes) -> Make:
    def make(folder: Path) -> dict[str, Any]:
        name = f"broken{len(list(folder.iterdir()))}.wav"
        (folder / name).write_bytes(content)
        return _row(name)

    return make


def _good(**change: Any) -> Make:
    seed = 1000 + zlib.crc32(repr(change).encode()) % 1000
    return _sound(recording(2.5, seed=seed), **change)


def _truncated(folder: Path) -> dict[str, Any]:
    path = write(folder / "truncated.wav", recording(2.5, seed=77))
    path.write_bytes(path.read_bytes()[:60_000])
    return _row("truncated.wav")


def _outside(folder: Path) -> dict[str, Any]:
    write(folder.parent / "secret.wav", recording(2.5, seed=78))
    return _row("../secret.wav")


def _link(folder: Path) -> dict[str, Any]:
    write(folder.parent / "secret2.wav", recording(2.5, seed=79))
    (folder / "link.wav").symlink_to(folder.parent / "secret2.wav")
    return _row("link.wav")


def _link_to_itself(folder: Path) -> dict[str, Any]:
    (folder / "round.wav").symlink_to(folder / "round.wav")
    return _row("round.wav")


def _raw(folder: Path) -> dict[str, Any]:
    (folder / "samples.raw").write_bytes(bytes(9000))
    return _row("samples.raw")


def _directory(folder: Path) -> dict[str, Any]:
    (folder / "folder.wav").mkdir()
    return _row("folder.wav")


def _not_finite(folder: Path) -> dict[str, Any]:
    samples = recording(2.5, seed=80)
    samples[500] = np.nan
    soundfile.write(folder / "nan.wav", samples, 24_000, subtype="FLOAT")
    return _row("nan.wav")


def _three_hours(folder: Path) -> dict[str, Any]:
    # a header that says three hours over a file that has them: FLAC of zeros is small
    with soundfile.SoundFile(folder / "hours.flac", "w", 16_000, 1) as file:
        for _ in range(180):
            file.write(np.zeros(60 * 16_000, np.int16))
    return _row("hours.flac")


def _twin(folder: Path) -> dict[str, Any]:
    (folder / "twin.wav").write_bytes((folder / "good0.wav").read_bytes())
    return _row("twin.wav", text="Eyni səs, başqa mətn və başqa sözlər.")


def _clipped() -> np.ndarray:
    return np.clip(recording(2.5, seed=81) * 30, -0.99, 0.99)


BROKEN: dict[str, Broken] = {
    "no JSON": Broken(lambda _: '{"audio": "a.wav", ', Reason.ROW_MALFORMED),
    "a list": Broken(lambda _: "[1, 2]", Reason.ROW_MALFORMED),
    "a number of 5,000 digits": Broken(lambda _: f'{{"speaker": {"9" * 5000}}}', Reason.ROW_MALFORMED),
    "a list a thousand times in a list": Broken(lambda _: "[" * 100_000, Reason.ROW_MALFORMED),
    "half of a surrogate pair": Broken(lambda _: '{"audio": "g\\uDC99.wav", "text": "a"}', Reason.ROW_BAD_ENCODING),
    "no audio": Broken(lambda _: {"text": TEXT}, Reason.ROW_MALFORMED),
    "text is a number": Broken(_good(text=5), Reason.ROW_MALFORMED),
    "words without times": Broken(_good(words=[{"text": "bu"}]), Reason.ROW_MALFORMED),
    "windows-1254": Broken(lambda _: '{"audio": "a.wav", "text": "Gün"}'.encode("cp1254"), Reason.ROW_BAD_ENCODING),
    "duplicate id": Broken(_good(id="good0"), Reason.ID_DUPLICATE),
    "speaker is a list": Broken(_good(speaker=["a"]), Reason.SPEAKER_INVALID),
    "speaker with a line break": Broken(_good(speaker="a\nb"), Reason.SPEAKER_INVALID),
    "ends before it starts": Broken(_good(start=2, end=1), Reason.SEGMENT_INVALID),
    "ends after the file": Broken(_good(start=0, end=60), Reason.SEGMENT_INVALID),
    "starts at a word": Broken(_good(start="now"), Reason.SEGMENT_INVALID),
    "ends at a number that is no float": Broken(_good(end=10**400), Reason.SEGMENT_INVALID),
    "a word that ends at no number": Broken(
        _sound(recording(20, seed=82), words=[{"text": "bu", "start": 0, "end": float("nan")}]), Reason.SEGMENT_INVALID
    ),
    "a word without a time": Broken(_good(words=[{"text": "bu", "start": 0, "end": None}]), Reason.SEGMENT_INVALID),
    "words out of order": Broken(
        _good(words=[{"text": "bu", "start": 1, "end": 2}, {"text": "gün", "start": 0, "end": 1}]),
        Reason.SEGMENT_INVALID,
    ),
    "file missing": Broken(lambda _: _row("nowhere.wav"), Reason.AUDIO_MISSING),
    "a text where the file's name should be": Broken(lambda _: _row("Salam " * 60), Reason.AUDIO_MISSING),
    "a zero in the file's name": Broken(lambda _: _row("a\0.wav"), Reason.AUDIO_MISSING),
    "a link to itself": Broken(_link_to_itself, Reason.AUDIO_MISSING),
    "path outside": Broken(_outside, Reason.AUDIO_OUTSIDE_FOLDER),
    "absolute path": Broken(lambda _: _row("/etc/passwd"), Reason.AUDIO_OUTSIDE_FOLDER),
    "link outside": Broken(_link, Reason.AUDIO_OUTSIDE_FOLDER),
    "path is a folder": Broken(_directory, Reason.AUDIO_NOT_A_FILE),
    "empty file": Broken(_bytes(b""), Reason.AUDIO_EMPTY),
    "no samples": Broken(_sound(np.zeros(0, np.float32)), Reason.AUDIO_EMPTY),
    "no sound file": Broken(_bytes(b"<html>404 Not Found</html>" * 20), Reason.AUDIO_UNREADABLE),
    "samples without a header": Broken(_raw, Reason.AUDIO_UNREADABLE),
    "header only half": Broken(_bytes(b"RIFF\x00\x00\x00\x00WAVEfm"), Reason.AUDIO_UNREADABLE),
    "cut off while copying": Broken(_truncated, Reason.AUDIO_TRUNCATED),
    "not a number": Broken(_not_finite, Reason.AUDIO_NOT_FINITE),
    "8 kHz": Broken(_sound(recording(2.5, rate=8000), rate=8000), Reason.AUDIO_RATE_LOW),
    "zeros": Broken(_sound(np.zeros(48_000, np.float32)), Reason.AUDIO_SILENT),
    "noise only": Broken(_sound(noise(3, -30)), Reason.AUDIO_NO_SPEECH),
    "whispered from afar": Broken(_sound(recording(2.5, seed=5, snr_db=40) * 0.01), Reason.AUDIO_QUIET),
    "clipped": Broken(_sound(_clipped()), Reason.AUDIO_CLIPPED),
    "in a car": Broken(_sound(recording(2.5, seed=6, snr_db=13)), Reason.AUDIO_NOISY),
    "same sound": Broken(_twin, Reason.AUDIO_DUPLICATE),
    "three hours": Broken(_three_hours, Reason.RECORDING_TOO_LONG),
    "a short word by a speaker of one clip": Broken(
        _sound(recording(0.4, seed=7), text="Bəli.", speaker="kimsə"), Reason.CLIP_TOO_SHORT
    ),
    "half a minute": Broken(_sound(recording(25, seed=8), text=f"{TEXT} " * 9), Reason.CLIP_TOO_LONG),
    "no text": Broken(_good(text=...), Reason.TEXT_MISSING),
    "empty text": Broken(_good(text=""), Reason.TEXT_MISSING),
    "blank text": Broken(_good(text=" \t "), Reason.TEXT_MISSING),
    "marks only": Broken(_good(text="?!."), Reason.TEXT_EMPTY),
    "mojibake": Broken(_good(text="Bu gÃ¼n hava Ã§ox gÃ¶zÉ™ldir"), Reason.TEXT_MOJIBAKE),
    "replacement character": Broken(_good(text="Bu g\ufffdn hava"), Reason.TEXT_MOJIBAKE),
    "Cyrillic": Broken(_good(text="Бу ҝүн һава чох ҝөзәлдир"), Reason.TEXT_CYRILLIC),
    "a Cyrillic letter among Latin ones": Broken(_good(text="Bu gün hаva çox gözəldir"), Reason.TEXT_CYRILLIC),
    "tags": Broken(_good(text="Bu gün <b>hava</b> gözəldir"), Reason.TEXT_MARKUP),
    "audio marker": Broken(_good(text="Bu gün <|AUDIO|> hava"), Reason.TEXT_MARKUP),
    "Georgian": Broken(_good(text="Bu gün hava გამარჯობა"), Reason.TEXT_CHARSET),
    "signs": Broken(_good(text="Bu gün hava ∑∂ gözəldir"), Reason.TEXT_NOT_WORDS),
    "text of another": Broken(_good(text=f"{TEXT} " * 6), Reason.RATE_FAST),
    "text of a word": Broken(_sound(recording(6, seed=9), text="Bəli."), Reason.RATE_SLOW),
}
LETTERS = "abcdefghij"


def _corpus(folder: Path) -> list[str]:
    folder.mkdir()
    names: list[str] = []
    manifest: list[bytes] = []
    for index, letter in enumerate(LETTERS):
        write(folder / f"good{index}.wav", recording(2.2 + index / 10, seed=index))
        row = _row(f"good{index}.wav", text=f"{TEXT} Bu da {letter * 3}.")
        manifest.append(json.dumps(row, ensure_ascii=False).encode())
    for number, (name, broken) in enumerate(BROKEN.items()):
        made = broken.make(folder)
        if isinstance(made, dict):
            made = json.dumps({"id": f"b{number}", **made}, ensure_ascii=False)
        manifest.append(made if isinstance(made, bytes) else made.encode())
        names.append(name)
    (folder / "all.jsonl").write_bytes(b"\n".join(manifest))
    return names


@dataclass(frozen=True, slots=True)
class Ran:
    settings: PrepareSettings
    summary: Summary
    entries: list[Entry]
    rejected: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Ran:
    folder = tmp_path_factory.mktemp("prepare")
    names = _corpus(folder / "corpus")
    settings = PrepareSettings(
        corpus=folder / "corpus", output=folder / "out", codec=str(base.folder), workers=1, shard_clips=4,
        trim={"vad": "energy"},
    )  # fmt: skip
    summary = prepare(settings, Console(quiet=True))
    rejected: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "out/rejected.jsonl").read_text(encoding="utf-8").splitlines():
        verdict = json.loads(line)
        identifier = verdict["id"]
        if identifier.startswith("all.jsonl:"):
            identifier = f"b{int(identifier.split(':')[1]) - 1 - len(LETTERS)}"
        rejected.setdefault(identifier, []).append(verdict)
    by_name = {name: rejected.get(f"b{number}", []) for number, name in enumerate(names)}
    by_name["duplicate id"] = [v for v in rejected["good0"] if v["reason"] == Reason.ID_DUPLICATE]
    return Ran(settings, summary, list(read_manifest(settings.output)), by_name)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_gets_its_reason(ran: Ran, name: str):
    assert [verdict["reason"] for verdict in ran.rejected[name]] == [BROKEN[name].reason]


def test_there_are_more_than_thirty_kinds_of_broken_input():
    assert len(BROKEN) > 30
    assert len({broken.reason for broken in BROKEN.values()}) > 30


def test_what_is_good_is_prepared_all_the_same(ran: Ran):
    assert [entry.clip.id for entry in ran.entries] == [f"good{n}" for n in range(len(LETTERS))]
    assert ran.summary.clips == len(LETTERS)
    assert {entry.split for entry in ran.entries} == {"train", "validation"}


def test_codes_have_a_frame_for_each_1920_samples_begun(ran: Ran):
    for entry in ran.entries:
        codes = Shard(ran.settings.output / f"codes/{entry.shard}.safetensors").codes(entry.clip.id)
        samples, rate = soundfile.read(ran.settings.output / entry.clip.file)
        assert rate == 24_000
        assert codes.shape == (-(-len(samples) // 1920), CODEBOOKS)
        assert codes.dtype == np.int16
        assert len(codes) == entry.frames
    assert len({entry.shard for entry in ran.entries}) == 3


def test_the_report_names_and_plays_what_was_rejected(ran: Ran):
    report = (ran.settings.output / "report.html").read_text(encoding="utf-8")
    for reason in {broken.reason for broken in BROKEN.values()}:
        assert str(reason) in report
    assert "<audio" in report
    assert "<svg" in report
    assert read_prepared(ran.settings.output).voices == {"0": 0}


def test_a_second_run_takes_up_what_the_first_one_did(ran: Ran):
    before = {path: path.stat().st_mtime_ns for path in (ran.settings.output / "clips").iterdir()}
    shards = {path: path.stat().st_mtime_ns for path in (ran.settings.output / "codes").iterdir()}
    journal = ran.settings.output / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"key": "torn')
    assert prepare(ran.settings, Console(quiet=True)) == ran.summary
    assert {path: path.stat().st_mtime_ns for path in (ran.settings.output / "clips").iterdir()} == before
    assert {path: path.stat().st_mtime_ns for path in (ran.settings.output / "codes").iterdir()} == shards
    assert list(read_manifest(ran.settings.output)) == ran.entries


def test_a_changed_setting_makes_clips_anew(ran: Ran):
    entry: Clip = ran.entries[0].clip
    settings = ran.settings.model_copy(update={"loudness_lufs": -30.0})
    prepare(settings, Console(quiet=True))
    changed = next(read_manifest(settings.output)).clip
    assert changed.sound_hash != entry.sound_hash
    prepare(ran.settings, Console(quiet=True))
    assert next(read_manifest(settings.output)).clip == entry


def test_a_corpus_of_which_nothing_is_left_says_where_the_reasons_are(tmp_path: Path, base: Base):
    write(tmp_path / "corpus/a.wav", speech(3, seed=4))
    (tmp_path / "corpus/a.jsonl").write_text('{"audio": "a.wav"}', encoding="utf-8")
    settings = PrepareSettings(corpus=tmp_path / "corpus", output=tmp_path / "out", codec=str(base.folder), workers=1)
    with pytest.raises(CorpusError, match=r"1 of 1 are text_missing\. The row has no text\. .*report\.html"):
        prepare(settings, Console(quiet=True))
    assert "text_missing" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    with pytest.raises(CorpusError, match="is missing"):
        read_prepared(tmp_path / "out")


@pytest.mark.parametrize(("name", "content"), [("metadata.csv", "file_name,text\n"), ("a.jsonl", "")])
def test_a_manifest_without_a_row_is_told_as_one(name: str, content: str, tmp_path: Path, base: Base):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / name).write_text(content, encoding="utf-8")
    settings = PrepareSettings(corpus=tmp_path / "corpus", output=tmp_path / "out", codec=str(base.folder), workers=1)
    with pytest.raises(CorpusError, match="there is no row in it"):
        prepare(settings, Console(quiet=True))


def test_a_recogniser_that_is_not_there_is_named_before_the_first_clip(tmp_path: Path, base: Base):
    settings = PrepareSettings(
        corpus=tmp_path, output=tmp_path / "out", codec=str(base.folder), filters={"recogniser": "whisper:/nowhere"}
    )
    with pytest.raises(RecogniserError, match="/nowhere"):
        prepare(settings, Console(quiet=True))
    assert not (tmp_path / "out").exists()


def test_what_was_rejected_is_played_though_the_corpus_was_named_from_another_folder(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "corpus/ə #1.wav", speech(3, seed=4))
    Path("corpus/a.jsonl").write_text(json.dumps(_row("ə #1.wav", text="Бу ҝүн һава")), encoding="utf-8")
    settings = PrepareSettings(corpus=Path("corpus"), output=Path("out"), codec=str(base.folder), workers=1)
    with pytest.raises(CorpusError):
        prepare(settings, Console(quiet=True))
    source = re.findall(r'<audio[^>]* src="([^"]+)"', Path("out/report.html").read_text(encoding="utf-8"))
    assert [(Path("out") / unquote(name)).resolve() for name in source] == [tmp_path / "corpus/ə #1.wav"]


def test_the_corpus_itself_is_no_output(tmp_path: Path, base: Base):
    settings = PrepareSettings(corpus=tmp_path, output=tmp_path / "a/..", codec=str(base.folder))
    with pytest.raises(ConfigError, match="output: is the corpus itself"):
        prepare(settings, Console(quiet=True))


def test_a_codec_that_is_not_there_is_named_before_the_first_clip(tmp_path: Path):
    settings = PrepareSettings(corpus=tmp_path, output=tmp_path / "out", codec=str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match="nowhere"):
        prepare(settings, Console(quiet=True))
    assert not (tmp_path / "out").exists()


def test_a_corpus_with_sound_in_its_rows_is_not_in_memory_as_a_whole(tmp_path: Path, base: Base):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sound, rows = bytes(200_000), 200
    table = pyarrow.table({"audio": [sound] * rows, "text": [TEXT] * rows})
    (tmp_path / "corpus").mkdir()
    parquet.write_table(table, tmp_path / "corpus/a.parquet")
    del table
    settings = PrepareSettings(corpus=tmp_path / "corpus", output=tmp_path / "out", codec=str(base.folder), workers=1)
    tracemalloc.start()
    try:
        with pytest.raises(CorpusError, match="no clip is left"):
            prepare(settings, Console(quiet=True))
        assert tracemalloc.get_traced_memory()[1] < 0.7 * rows * len(sound)
    finally:
        tracemalloc.stop()


def test_a_piece_and_a_row_of_one_name_and_speakers_1_and_01_stay_apart(tmp_path: Path, base: Base):
    corpus = tmp_path / "corpus"
    pieces = [recording(8.4, lead=0.1, tail=0.9, seed=seed) for seed in (1, 2)]
    write(corpus / "rec.wav", np.concatenate(pieces))
    words = [
        {"text": "gözəldir", "start": at + 0.2 + 1.6 * n, "end": at + 1.5 + 1.6 * n}
        for at in (0, 9.4)
        for n in range(5)
    ]
    rows = [_row("rec.wav", text=" ".join(["gözəldir"] * 10), words=words, speaker="1")]
    for name, speaker in (("rec-1", "01"), ("other", "qız")):
        write(corpus / f"{name}.wav", recording(2.5, seed=len(rows) + 5))
        rows.append(_row(f"{name}.wav", text=f"{TEXT} {'a' * len(rows)}", speaker=speaker))
    (corpus / "all.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = PrepareSettings(
        corpus=corpus, output=tmp_path / "out", codec=str(base.folder), workers=1, trim={"vad": "energy"}
    )
    summary = prepare(settings, Console(quiet=True))
    assert summary.rejected == {Reason.ID_DUPLICATE: 1}
    rows[2]["speaker"] = "1"
    assert {entry.clip.id: entry.voice for entry in read_manifest(tmp_path / "out")} == {
        "rec": 1,
        "rec-1": 1,
        "other": 0,
    }
    (corpus / "all.jsonl").write_text("\n".join(map(json.dumps, rows[1:])), encoding="utf-8")
    prepare(settings, Console(quiet=True))
    assert read_prepared(tmp_path / "out").voices == {"01": 0, "1": 1}
