"""One run, one YAML: everything that decides what `train` does. Unknown names are refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from finetune.errors import ConfigError
from finetune.whole_file import write_whole

LAYERS = (
    r"(backbone_model\.layers|depth_decoder\.model\.layers)\.\d+\."
    r"(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
)
"""Every projection of the backbone and the depth decoder. A list of bare names would also match Mimi's attention."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """What all sections share: frozen, no unknown names, and no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(Settings):
    """Low-rank pairs on the projections, rows of the text embedding, and the two output heads."""

    type: Literal["lora"]
    rank: Count = 64
    alpha: float = Field(default=128.0, gt=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: str = LAYERS
    text_rows: Literal["seen", "new_letters", "none"] = "seen"
    """Rows of the text embedding to train: of all tokens of the corpus, of those that hold a letter outside ASCII, or
    none. CSM saw English only, so the rows of `ə` and its like are close to what chance made them."""
    heads: Literal["trained", "frozen"] = "trained"
    learning_rate: Rate = 1e-4
    text_rows_learning_rate: Rate = 1e-4
    heads_learning_rate: Rate = 2e-5

    @field_validator("targets")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            expression = re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        if expression.fullmatch("codec_model.encoder_transformer.layers.0.self_attn.q_proj"):
            raise ValueError("matches Mimi's own attention; begin it with backbone_model or depth_decoder")
        return value


class Full(Settings):
    """Every weight but Mimi's."""

    type: Literal["full"]
    learning_rate: Rate = 3e-5


Method = Annotated[Lora | Full, Field(discriminator="type")]


class LossSettings(Settings):
    """How the parts of the loss are weighed; each part is a mean of its own."""

    depth_share: float = Field(default=0.25, gt=0.0, le=1.0)
    """Share of the frames whose codebooks 1 to 31 are trained, drawn anew each epoch; the end frame always is."""
    ends: Literal["labelled", "unlabelled"] = "labelled"
    """`unlabelled` is what transformers before 4.53 did, to show what comes of it: a voice that never stops."""
    coarse_share: Share = 0.0
    """Share of the frames of which the backbone is shown the first few codebooks only, drawn anew each step. For
    training from nothing: finer codes are fingerprints by which a corpus is learnt by heart instead of read."""
    end_weight: float = Field(default=1.0, gt=0.0)
    codebook0_weight: float = Field(default=1.0, ge=0.0)
    depth_weight: float = Field(default=1.0, ge=0.0)


class BatchSettings(Settings):
    """Batches are counted in positions (text tokens and frames), since clips differ tenfold in length."""

    positions_per_step: Count = 8_000
    positions_per_batch: Count = 4_000
    """What one device takes at once, padding included."""
    context_share: Share = 0.5
    """Share of the clips that are given another clip of the speaker as context, as the server gives it."""
    positions_max: Count = 2_048


class ScheduleSettings(Settings):
    steps: Count
    warmup_share: Share = 0.05
    final_share: Share = 0.1
    """Learning rate at the end, as a share of the peak; a cosine leads there."""
    clip_norm: float = Field(default=1.0, gt=0.0)
    weight_decay: float = Field(default=0.01, ge=0.0)


class CheckSettings(Settings):
    """What is measured on the way, and when that ends the run."""

    every_steps: Count = 200
    sentences: int = Field(default=16, ge=0)
    """How many held-out sentences are spoken; 0 leaves the stop rate out."""
    sounds: int = Field(default=4, ge=0)
    """How many of them are kept to be listened to, in `samples/`."""
    limit_s: float = Field(default=20.0, gt=0.0)
    stop_rate_min: Share = 0.95
    patience: Count = 5
    """So many checks without a better held-out loss end the run."""


class CheckpointSettings(Settings):
    every_steps: Count = 200
    keep: Count = 2


class RunSettings(Settings):
    """The whole of a run; `output` is its one folder."""

    base: str
    """A folder in the Hugging Face layout, or a hub id such as `sesame/csm-1b`."""
    data: Path
    output: Path
    method: Method
    schedule: ScheduleSettings
    loss: LossSettings = LossSettings()
    batches: BatchSettings = BatchSettings()
    checks: CheckSettings = CheckSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    precision: Literal["bf16", "fp32"] = "bf16"
    gradient_checkpointing: bool = False
    compile: bool = False
    """Have torch fuse the layers' small operations: a minute at the start, then faster steps. Needs a C compiler."""
    sharding: Literal["none", "layers"] = "none"
    """`layers`: with several processes, each holds a part of every layer (FSDP); for full training of models, or on
    cards, where one cannot hold all."""
    tensorboard: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _layers_are_parted_only_if_all_is_trained(self) -> Self:
        if self.sharding == "layers" and self.method.type != "full":
            raise ValueError("sharding is of full training; what LoRA trains is small enough for each device")
        return self


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_settings(model: type[SettingsT], path: Path, overrides: Iterable[str] = ()) -> SettingsT:
    """Read a YAML file, then `section.name=value` overrides; raises ConfigError naming the field and the remedy."""
    try:
        text = path.read_text(encoding="utf-8")
        raw, twice = yaml.safe_load(text), _given_twice(yaml.compose(text, Loader=yaml.SafeLoader))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing; the recipes in finetune/recipes are good beginnings") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold names and values, such as `base: sesame/csm-1b`")
    if twice:
        raise ConfigError(f"is given twice in {path}; remove one of the two", field=twice)
    for override in overrides:
        _override(raw, override)
    return parse_settings(model, raw)


def parse_settings(model: type[SettingsT], raw: Mapping[str, Any]) -> SettingsT:
    """Check a mapping; raises ConfigError for the first fault."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"is not a setting{_hint(field, model)}"
        raise ConfigError(message, field=field) from None


def write_settings(settings: BaseModel, path: Path) -> None:
    """Write settings so that `read_settings` gives the same again."""
    write_whole(path, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def _override(raw: dict[str, Any], override: str) -> None:
    name, sign, value = override.partition("=")
    if not sign:
        raise ConfigError(f"{override!r} is no override; write it as section.name=value")
    *sections, last = name.strip().split(".")
    place = raw
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigError("is a value, not a section", field=section)
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{value!r} is not YAML; quote it: --set '{name}=\"...\"'", field=name) from error


def _hint(field: str, model: type[BaseModel]) -> str:
    """Say which setting may be meant by one that is none: of its own section if one is like it, else of any."""
    *sections, last = field.split(".")
    # one section deep; what follows it is the method's type, of which the other may have what this one has not
    names = [name for name in _names(model) if name != ".".join([*sections[:1], last])]
    own = [name for name in names if name.split(".")[:-1] == sections[:1]]
    for places in (own, names):
        ends = {name.rpartition(".")[2]: name for name in reversed(places)}
        if close := difflib.get_close_matches(last, ends, n=1, cutoff=0.7):
            return f"; did you mean {ends[close[0]]!r}?"
    return ""


def _names(model: type[BaseModel]) -> Iterator[str]:
    """Give the dotted names of all settings."""
    for name, field in model.model_fields.items():
        yield name
        for part in get_args(field.annotation) or (field.annotation,):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from (f"{name}.{inner}" for inner in _names(part))


def _given_twice(node: yaml.Node | None) -> str:
    """Name a key that a mapping has twice, of which YAML takes the last without a word; empty if there is none."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for number, key in enumerate(keys) if key in keys[:number]), "")
        return twice or next((found for _, value in node.value if (found := _given_twice(value))), "")
    return ""
