"""Coverage-guided fuzzing: `pip install 'zeng[fuzz]'`, then `python -m tests.fuzz.guided sip -runs=100000`.

libFuzzer's options follow the name of the target; its corpus begins with the seeds of `targets.py`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["telephony"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer is satisfied; a finding ends the process with its input on disk."""
    name, *options = sys.argv[1:] or ["sip"]
    target = TARGETS[name][0]()
    with tempfile.TemporaryDirectory(prefix="zeng-fuzz-") as corpus:
        for number, seed in enumerate(target.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], "-timeout=1", "-max_len=4096", *options, corpus], target.take)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
