"""`python -m tests.core_coverage`: the unit tests run every line and branch of the sans-I/O cores.

Reads what `pytest tests/unit --cov` has left. The cores are those that the import contract names in pyproject.toml.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

_CONTRACT = "Protocol cores import no clock"
_ALSO = ("bot.playout", "bot.voice_activity")  # cores that take types from shells


def cores(pyproject: Path) -> list[str]:
    """Give the modules and packages that the contract names, and a few more."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    named = next(contract for contract in contracts if contract["name"].startswith(_CONTRACT))
    return [*named["source_modules"], *_ALSO]


def main() -> int:
    """Report what is missing; 2 where it is anything."""
    files = [
        pattern
        for module in cores(Path("pyproject.toml"))
        for pattern in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/*")
    ]
    command = [
        "coverage",
        "report",
        "--include",
        ",".join(files),
        "--show-missing",
        "--skip-covered",
        "--fail-under=100",
    ]
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
