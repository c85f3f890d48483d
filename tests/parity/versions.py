"""Records which libraries made the stored values."""

import platform
from importlib.metadata import version
from pathlib import Path

import common

LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "safetensors", "numpy")

if __name__ == "__main__":
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    versions |= {library: version(library) for library in LIBRARIES}
    common.write_json(Path(__file__).resolve().parent / "fixtures" / "versions.json", versions)
