"""Names of settings in the environment: one with a slip of the pen would be passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

from bot.refusals import models_of

_PREFIX, _DELIMITER = "ZENG_", "__"
_LIKE = 0.9  # of two names: one letter wrong or two exchanged
# Kubernetes tells every pod of a service named zeng-tts: ZENG_TTS_SERVICE_HOST=10.0.0.1, ZENG_TTS_PORT=tcp://10.0.0.1:8100
_OF_PODS, _ADDRESS_OF_PODS = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_[0-9]+_"), re.compile(r"[a-z]+://")


def misspelt(environment: Mapping[str, str], model: type[BaseModel], *, own: Collection[str]) -> list[str]:
    """Say of each variable that is like a setting and is none how the setting is written; `own` are no settings.

    Names below a section that there is are left to pydantic, which refuses them.
    """
    by_letters = {name.replace("_", ""): name for name in variable_names(model)}
    sections = {f"{_PREFIX}{name.upper()}" for name in model.model_fields}
    faults: list[str] = []
    for variable, value in environment.items():
        name = variable.upper()
        if not name.startswith(_PREFIX) or name.partition(_DELIMITER)[0] in sections or variable in own:
            continue
        if _OF_PODS.search(name) or (name.endswith("_PORT") and _ADDRESS_OF_PODS.match(value)):
            continue
        near = get_close_matches(name.replace("_", ""), by_letters, n=1, cutoff=_LIKE)
        if near:
            faults.append(f"{variable} is no setting: did you mean {by_letters[near[0]]}?")
        elif _DELIMITER in name:
            faults.append(f"{variable} is no setting: there is no such section; docs/configuration.md has all names")
    return faults


def variable_names(model: type[BaseModel], prefix: str = _PREFIX) -> Iterator[str]:
    """Give the variables of all settings: ZENG_SECTION__NAME."""
    for name, field in model.model_fields.items():
        inner = next(models_of(field.annotation), None)
        if inner is None or not isinstance(field.annotation, type):
            yield f"{prefix}{name.upper()}"
        else:
            yield from variable_names(inner, f"{prefix}{name.upper()}{_DELIMITER}")
