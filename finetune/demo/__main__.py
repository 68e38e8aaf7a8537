"""`python -m finetune.demo STAGE FOLDER`: the demonstration voice, stage by stage, in one folder."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from finetune.budget import Budget

# Torch takes seconds to import and a stage that needs none of it should not wait: commands import what they need.
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Argument(help="Where all stages read and write.")]
Steps = Annotated[int | None, typer.Option(help="End after so many steps.")]
Seconds = Annotated[float | None, typer.Option(help="End after so many seconds.")]
Until = Annotated[float | None, typer.Option(help="End at this wall-clock time, in seconds of the epoch.")]


@app.command()
def corpus(
    folder: Folder,
    az: Annotated[int, typer.Option(help="Sentences to train on.")] = 10_000,
    tr: int = 6_000,
    en: int = 4_000,
    held_out: Annotated[int, typer.Option(help="Sentences with held-out words, of each language.")] = 150,
    seed: int = 0,
    processes: int = os.cpu_count() or 1,
) -> None:
    """Write sentences and let espeak-ng say them."""
    from finetune.demo.sentences import sentences  # noqa: PLC0415
    from finetune.demo.synthesis import synthesise, write_corpus  # noqa: PLC0415

    made = synthesise(list(sentences({"az": az, "tr": tr, "en": en}, held_out, seed=seed)), processes=processes)
    write_corpus(folder, made)
    _tell(f"corpus: {len(made.sentences)} clips, {len(made.sound) / 24_000 / 3600:.2f} h")


@app.command()
def meter(
    folder: Folder,
    name: str,
    steps: Steps = None,
    seconds: Seconds = None,
    batch_s: float = 300.0,
    band_hz: Annotated[int, typer.Option(help="Leave what sound of this rate carries.")] = 24_000,
) -> None:
    """Train a meter: `guide`, which the codec is trained with, or `judge`, of another shape, which it never hears.

    `caller` with --band-hz 16000 is the judge's shape for sound as a call brings it: the judge needs what is above.
    """
    from finetune.demo.device import on_device  # noqa: PLC0415
    from finetune.demo.hearing import chosen, spoken  # noqa: PLC0415
    from finetune.demo.synthesis import RATE_HZ, banded, read_corpus  # noqa: PLC0415
    from finetune.meter.meter import MeterConfig, write_meter  # noqa: PLC0415
    from finetune.meter.training import measured, train_meter  # noqa: PLC0415

    read = read_corpus(folder)
    sound = on_device(read.sound if band_hz >= RATE_HZ else banded(read.sound, band_hz))
    config, seed = (MeterConfig(), 0) if name == "guide" else (MeterConfig(bands=80, width=112, blocks=9, kernel=15), 1)
    trained = spoken(read, chosen(read, "train"), sound)
    made = train_meter(config, trained, Budget(steps, seconds), _tell, batch_s=batch_s, seed=seed)
    parameters = sum(parameter.numel() for parameter in made.parameters())
    write_meter(made, folder / f"{name}.safetensors")
    for language in ("az", "tr", "en"):
        if not (held_out := chosen(read, "held_out", language, 60)):
            continue
        rate = measured(made, spoken(read, held_out, sound))
        _tell(f"meter {name}: {parameters / 1e6:.2f} M parameters, CER {rate:.4f} on held-out {language}")


@app.command()
def codec(
    folder: Folder,
    steps: Steps = None,
    seconds: Seconds = None,
    until: Until = None,
    settings: Annotated[str, typer.Option(help="Overrides of CodecTraining, as JSON.")] = "{}",
    shape: Annotated[str, typer.Option(help="Overrides of CodecShape, as JSON.")] = "{}",
) -> None:
    """Train the codec, or go on with it; the guide is listened to from when it is there."""
    import torch  # noqa: PLC0415

    from finetune.codec.model import Codec, write_codec  # noqa: PLC0415
    from finetune.codec.settings import CodecShape, CodecTraining  # noqa: PLC0415
    from finetune.codec.training import train_codec  # noqa: PLC0415
    from finetune.demo.device import on_device  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415
    from finetune.meter.meter import Meter, read_meter  # noqa: PLC0415

    sound = on_device(read_corpus(folder).training_sound)
    torch.backends.cudnn.benchmark = True  # all crops have one shape
    torch.manual_seed(0)
    made = Codec(CodecShape(**json.loads(shape)))
    _tell(f"codec: {sum(parameter.numel() for parameter in made.parameters()) / 1e6:.2f} M parameters")

    def guide() -> Meter | None:
        path = folder / "guide.safetensors"
        return read_meter(path).to(sound.device) if path.exists() else None

    training = CodecTraining(**json.loads(settings))
    if until is not None:
        seconds = max(until - time.time(), 1.0)
    progress = train_codec(made, training, sound, folder / "codec-run", Budget(steps, seconds), _tell, guide)
    write_codec(made, folder / "codec", shard_bytes=15_000_000)
    _tell(f"codec: {progress.step} steps in {progress.seconds:.0f} s")


@app.command()
def gate(folder: Folder, clips: int = 100, samples: int = 4) -> None:
    """Measure how much of held-out sentences the meters understand, from the source and after the codec."""
    import soundfile  # noqa: PLC0415

    from finetune.codec.model import read_codec  # noqa: PLC0415
    from finetune.demo.device import the_device  # noqa: PLC0415
    from finetune.demo.hearing import hear  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415
    from finetune.meter.meter import read_meter  # noqa: PLC0415

    read, made = read_corpus(folder), read_codec(folder / "codec").to(the_device()).eval()
    found = [path for name in ("guide", "judge") if (path := folder / f"{name}.safetensors").exists()]
    meters = {path.stem: read_meter(path).to(the_device()) for path in found}
    rows = []
    (folder / "samples").mkdir(exist_ok=True)
    for language in ("az", "tr", "en"):
        rates, sounds = hear(meters, made, read, language, clips)
        rows += [asdict(rate) for rate in rates]
        for rate in rates:
            _tell(f"gate 1, {language} by the {rate.meter}: CER source {rate.source:.4f}, codec {rate.codec:.4f}")
        for row, sound in sounds[:samples]:
            soundfile.write(folder / f"samples/{language}-{row.id}.flac", sound, 24_000)
            _tell(f"samples/{language}-{row.id}.flac: {row.text} | {next(reversed(meters.values())).read(sound)}")
    (folder / "gate1.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


@app.command()
def base(
    folder: Folder,
    codec: Annotated[Path, typer.Option(help="Folder with the trained codec.")],
    begin: Annotated[Path | None, typer.Option(help="A base to go on with, instead of random weights.")] = None,
    shape: Annotated[str, typer.Option(help="Overrides of BaseShape, as JSON.")] = "{}",
) -> None:
    """Make a random base around the codec, with a tokenizer of the corpus's Turkish and English."""
    from finetune.demo.base import BaseShape, write_base  # noqa: PLC0415
    from finetune.demo.hearing import base_clips  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415

    if begin is not None:
        shutil.copytree(begin, folder / "base")
        return
    read = read_corpus(folder)
    texts = [read.sentences[n].text for n in base_clips(read)]
    write_base(folder / "base", codec, texts, BaseShape(**json.loads(shape)))


@app.command()
def codes(folder: Folder, validation: int = 64, batch_s: float = 400.0) -> None:
    """Turn the corpus's Turkish and English into codes for the base."""
    from finetune.data.codes import Encoder  # noqa: PLC0415
    from finetune.demo.device import the_device  # noqa: PLC0415
    from finetune.demo.hearing import base_clips  # noqa: PLC0415
    from finetune.demo.prepared import write_prepared_corpus  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415

    read, encoder = read_corpus(folder), Encoder(folder / "base", device=the_device())
    indices = base_clips(read)
    count = write_prepared_corpus(folder / "base-data", read, indices, encoder, validation=validation, batch_s=batch_s)
    _tell(f"base: {count} clips as codes")


@app.command()
def recordings(
    folder: Folder, minutes: float = 60.0, speakers: Annotated[str, typer.Option(help="Their numbers.")] = "0,1"
) -> None:
    """Write Azerbaijani clips of some speakers as a user's recordings would be, for `zeng finetune prepare`."""
    from finetune.demo.hearing import chosen  # noqa: PLC0415
    from finetune.demo.prepared import write_recordings  # noqa: PLC0415
    from finetune.demo.synthesis import RATE_HZ, read_corpus  # noqa: PLC0415

    read, wanted = read_corpus(folder), {int(number) for number in speakers.split(",")}
    left, indices = minutes * 60 * RATE_HZ, list[int]()
    for n in chosen(read, "train", "az"):
        if read.sentences[n].speaker in wanted and left > 0:
            indices.append(n)
            left -= int(read.places[n, 1] - read.places[n, 0])
    write_recordings(folder / "recordings", read, indices)
    _tell(f"recordings: {len(indices)} clips, {minutes - left / 60 / RATE_HZ:.1f} minutes")


@app.command()
def weights(voice: Annotated[Path, typer.Argument(help="A whole checkpoint.")], path: Path) -> None:
    """Write a base's own weights in bfloat16, without the codec's and each table once."""
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint  # noqa: PLC0415

    checkpoint = Checkpoint(voice)
    names = [n for n in checkpoint.names() if not n.startswith("codec_model.") and n != AUDIO_TABLES[1]]
    save_file({name: checkpoint.tensor(name).to(torch.bfloat16).contiguous() for name in names}, path, {"format": "pt"})


@app.command()
def whole(
    output: Annotated[Path, typer.Argument(help="The checkpoint to be.")],
    result: Annotated[Path, typer.Option(help="Folder with base.safetensors, config.json and the tokenizer.")],
    codec: Annotated[Path, typer.Option(help="Folder with the codec.")],
) -> None:
    """Undo `weights`: make a whole checkpoint again."""
    from safetensors.torch import load_file  # noqa: PLC0415

    from finetune.demo.base import write_whole  # noqa: PLC0415

    output.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(result / name, output / name)
    own = load_file(result / "base.safetensors")
    write_whole(output, {name: tensor.float() for name, tensor in own.items()}, codec)


@app.command()
def learn(
    recipe: Annotated[Path, typer.Argument(help="A run's YAML.")],
    until: Annotated[float, typer.Option(help="Wall-clock time to be done by, in seconds of the epoch.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Override, as section.name=value.")] = None,
    end_s: Annotated[float, typer.Option(help="What the last check and writing may take.")] = 10.0,
) -> None:
    """Do a run of `zeng finetune train` in as many steps as there is time for, at most those of its schedule."""
    from finetune.config import RunSettings, read_settings  # noqa: PLC0415
    from finetune.training.loop import train  # noqa: PLC0415

    settings = read_settings(RunSettings, recipe, overrides or [])
    result = train(settings, _tell, left_s=lambda: until - end_s - time.time())
    late = time.time() - until
    _tell(f"{settings.output}: {result.reason} after {result.steps} steps, {-late:.1f} s before its time")


@app.command()
def listen(  # noqa: PLR0913, PLR0917 - options
    folder: Folder,
    voice: Annotated[Path, typer.Option(help="Folder of the voice: a whole checkpoint.")],
    name: Annotated[str, typer.Option(help="What the table calls it.")],
    judge: Annotated[Path, typer.Option(help="The meter that writes down what it hears.")],
    adapter: Annotated[Path | None, typer.Option(help="An adapter over it.")] = None,
    language: str = "az",
    speakers: str = "0",
    count: int = 100,
    temperature: float = 0.6,
    limit_s: float = 15.0,
    samples: int = 0,
) -> None:
    """Let a voice say held-out sentences, and measure whether it ends and is understood."""
    import soundfile  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from finetune.demo.device import the_device  # noqa: PLC0415
    from finetune.demo.hearing import chosen  # noqa: PLC0415
    from finetune.demo.listening import judged, say  # noqa: PLC0415
    from finetune.demo.synthesis import RATE_HZ, read_corpus  # noqa: PLC0415
    from finetune.meter.meter import read_meter  # noqa: PLC0415
    from finetune.voice import Voice  # noqa: PLC0415

    read, wanted = read_corpus(folder), {int(number) for number in speakers.split(",")}
    held_out = chosen(read, "held_out", cast("Any", language))
    indices = [n for n in held_out if read.sentences[n].speaker in wanted][:count]
    rows = [read.sentences[n] for n in indices]
    if not rows:
        raise typer.BadParameter(f"{folder} holds out no sentence of {language} by speakers {speakers}")
    opened = Voice(voice, adapter=adapter, device=the_device(), dtype=torch.float32)
    heard = say(opened, rows, temperature=temperature, limit_s=limit_s)
    meter = read_meter(judge).to(the_device())
    source_s = [float(read.places[n, 1] - read.places[n, 0]) / RATE_HZ for n in indices]
    said = judged(heard, meter, source_s, temperature=temperature)
    _tell(f"{name} in {language}: {json.dumps(asdict(said))}")
    with (folder / "table.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"voice": name, "language": language, **asdict(said)}) + "\n")
    (folder / "samples").mkdir(exist_ok=True)
    for one in heard[:samples]:
        path = folder / f"samples/{name}-{language}-{one.row.id}.flac"
        soundfile.write(path, one.samples, RATE_HZ)
        _tell(f"{path.name}: {one.row.text} | {meter.read(one.samples)}")


@app.command()
def gate2(
    folder: Folder,
    judge: Annotated[Path, typer.Option(help="The meter that writes down what it hears.")],
    codec: Annotated[Path, typer.Option(help="Folder with the codec.")],
    clips: int = 100,
) -> None:
    """Judge table.jsonl of `listen` beside what is understood of the source and of the codec."""
    from finetune.codec.model import read_codec  # noqa: PLC0415
    from finetune.demo.device import the_device  # noqa: PLC0415
    from finetune.demo.gates import gate2 as judged  # noqa: PLC0415
    from finetune.demo.gates import write_gate2  # noqa: PLC0415
    from finetune.demo.hearing import hear  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415
    from finetune.meter.meter import read_meter  # noqa: PLC0415

    table = _rows(folder / "table.jsonl")
    meters = {"judge": read_meter(judge).to(the_device())}
    (rate,), _ = hear(meters, read_codec(codec).to(the_device()).eval(), read_corpus(folder), "az", clips)
    found = judged(table, source=rate.source, codec=rate.codec)
    write_gate2(found, folder)
    _tell(found.line())


@app.command()
def show(
    folder: Folder,
    voice: Annotated[Path, typer.Option(help="Folder of a packed voice.")],
    judge: Annotated[Path, typer.Option(help="The meter that writes down what it hears.")],
    output: Annotated[Path, typer.Option(help="Where samples and the page of their texts go.")],
    count: int = 20,
    speakers: str = "0,1",
    temperature: float = 0.6,
) -> None:
    """Let a packed voice say sentences to listen to, and compare speakers with and without context."""
    import torch  # noqa: PLC0415

    from finetune.data.codes import Encoder  # noqa: PLC0415
    from finetune.demo.device import the_device  # noqa: PLC0415
    from finetune.demo.hearing import chosen  # noqa: PLC0415
    from finetune.demo.listening import say  # noqa: PLC0415
    from finetune.demo.showing import company, write_samples  # noqa: PLC0415
    from finetune.demo.synthesis import read_corpus  # noqa: PLC0415
    from finetune.evaluation.speaker import SpeakerEncoder, speaker_path  # noqa: PLC0415
    from finetune.meter.meter import read_meter  # noqa: PLC0415
    from finetune.voice import Voice  # noqa: PLC0415

    read, (one, two) = read_corpus(folder), (int(number) for number in speakers.split(","))
    indices = [n for n in chosen(read, "held_out", "az") if read.sentences[n].speaker in (one, two)]
    opened = Voice(voice, adapter=None, device=the_device(), dtype=torch.float32)
    heard = say(opened, [read.sentences[n] for n in indices[:count]], temperature=temperature, limit_s=15.0)
    page = write_samples(output, heard, read_meter(judge).to(the_device()))
    if (path := speaker_path()) is not None:
        encoder = Encoder(voice, device=the_device())
        found = company(opened, encoder, SpeakerEncoder(path), read, (one, two), count=count)
        rows = "\n".join(f"| {row.context} | {row.sentences} | {row.own:.3f} | {row.other:.3f} |" for row in found)
        page += f"\n| turns before | sentences | to one's own | to the other's |\n|---|--:|--:|--:|\n{rows}\n"
    (output / "page.md").write_text(page, encoding="utf-8")
    _tell(page)


@app.command()
def pack(
    voice: Annotated[Path, typer.Argument(help="The base.")],
    output: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    adapter: Annotated[Path | None, typer.Option(help="What it was taught.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Folder with table.jsonl and gate2.json.")] = None,
) -> None:
    """Write the voice as it ships: merged, 16 bits, with its card and what gate 2 said of it."""
    from finetune.demo.gates import FILE  # noqa: PLC0415
    from finetune.demo.packing import pack as write  # noqa: PLC0415

    table = _rows(measured / "table.jsonl") if measured else []
    size = write(voice, output, adapter=adapter, measured=table)
    if measured and (measured / FILE).exists():
        shutil.copyfile(measured / FILE, output / FILE)
    _tell(f"{output}: {size / 1e6:.1f} MB")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _tell(message: str) -> None:
    print(message, flush=True)  # noqa: T201 - a log


if __name__ == "__main__":
    app()
