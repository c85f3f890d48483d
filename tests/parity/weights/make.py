"""Weight files by their reference writers, and what is in them: safetensors, torch.save in all its forms, hostile pickles.

expected.json holds dtype, shape and bytes (hex, row-major, little-endian) of every tensor, file by file.
"""

import builtins
import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from safetensors.torch import load, load_file, save

from common import deterministic, fresh_folder, write_json

HERE = Path(__file__).resolve().parent / "fixtures"
ALIGNMENT = 64


def all_dtypes() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    floats = torch.randn(3, 4, generator=generator)
    integers = torch.randint(-100, 100, (5,), generator=generator)
    return {
        "f32": floats,
        "f64": floats.double(),
        "f16": floats.half(),
        "bf16": floats.bfloat16(),
        "i64": integers * 2**40,
        "i32": integers.int() * 2**20,
        "i16": integers.short() * 300,
        "i8": integers.to(torch.int8),
        "u8": (integers + 100).to(torch.uint8),
        "bool": integers > 0,
        "not.finite": torch.tensor([float("nan"), float("inf"), -0.0]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "größe": torch.ones(1, 1, 1),
    }


def strided() -> dict[str, torch.Tensor]:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    cube = torch.arange(60, dtype=torch.int16).reshape(3, 4, 5)
    return {
        "base": base,
        "transposed": base.t(),
        "row": base[2],
        "column": base[:, 1],
        "block": base[1:3, 2:5],
        "every.other": base.flatten()[1::2],
        "alias": base,
        "expanded": torch.tensor([1.5, -2.5]).expand(3, 2),
        "permuted": cube.permute(2, 0, 1),
        "partly.permuted": cube.transpose(0, 1),
        "bools.transposed": (base > 11).t(),
        "halves.transposed": base.half().t(),
        "doubles.transposed": base.double().t(),
        "parameter": torch.nn.Parameter(base.bfloat16() / 7),
        "empty.strided": base[:0].t(),
    }


def state_dict(tensors: dict[str, torch.Tensor]) -> collections.OrderedDict:
    """As nn.Module.state_dict() makes them: with a `_metadata` attribute, which becomes a BUILD instruction."""
    state = collections.OrderedDict(tensors)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def describe(tensors: dict[str, torch.Tensor]) -> dict:
    def raw(tensor: torch.Tensor) -> str:
        flat = tensor.detach().contiguous().reshape(-1)
        return flat.view(torch.uint8).numpy().tobytes().hex() if flat.numel() > 0 else ""

    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "bytes": raw(tensor)}
        for name, tensor in tensors.items()
    }


def longer_padding(file: bytes) -> bytes:
    """The same file with spaces after the header up to a multiple of 64."""
    length = int.from_bytes(file[:8], "little")
    header = file[8 : 8 + length].rstrip(b" ")
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def zip64(source: Path, target: Path) -> None:
    """The same entries with 64-bit sizes and places, as files above 4 GB have them."""
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, -1
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    zipfile.ZIP64_LIMIT = limit


class Calls:
    """Pickles as a call of `function` with `arguments`: what every hostile pickle boils down to."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile() -> dict[str, object]:
    weight = torch.ones(2)
    return {
        "os-system": {"weight": weight, "extra": Calls(os.system, "true")},
        "eval": Calls(eval, "1 + 1"),
        "exec-in-state": {"state_dict": {"weight": Calls(exec, "pass")}},
        "popen": [Calls(subprocess.Popen, ["true"])],
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "nested": Calls(Calls, Calls(Calls, Calls(builtins.open, "/dev/null"))),
        "pickle-loads": {"weight": Calls(pickle.loads, pickle.dumps(1))},
        "module": torch.nn.Linear(2, 2),
        "sparse": {"weight": torch.eye(3).to_sparse()},
    }


def write_legacy(path: Path, state: dict, stored: bytes | None) -> None:
    """This form names storages by their address in memory: a file that holds the same values stays as it is."""
    if stored is not None:
        path.write_bytes(stored)
        old = torch.load(io.BytesIO(stored), weights_only=True)
        if describe(old) == describe(state):
            return
    torch.save(state, path, _use_new_zipfile_serialization=False)


def main() -> None:
    deterministic()
    legacy = HERE / "legacy.bin"
    stored = legacy.read_bytes() if legacy.exists() else None
    folder = fresh_folder(HERE)
    plain, views = all_dtypes(), strided()

    written = save(plain, {"format": "pt"})
    (folder / "reference.safetensors").write_bytes(written)
    (folder / "aligned.safetensors").write_bytes(longer_padding(written))
    assert describe(load_file(folder / "aligned.safetensors")) == describe(load(written))

    everything = state_dict({**plain, **views})
    torch.save(everything, folder / "zip.bin")
    torch.save(everything, folder / "protocol4.bin", pickle_protocol=4)
    checkpoint = {
        "epoch": 3,
        "lr": 1e-4,
        "state_dict": everything,
        "config": {"dtype": torch.bfloat16, "size": torch.Size([2]), "device": torch.device("cpu")},
        "history": [1, -(2**40), 2**70, None, True, (1, 2, 3, 4)],
    }
    torch.save(checkpoint, folder / "nested.bin")
    torch.serialization.set_crc32_options(False)
    torch.save(everything, folder / "no-crc.bin")
    torch.serialization.set_crc32_options(True)
    zip64(folder / "zip.bin", folder / "zip64.bin")
    assert describe(torch.load(folder / "zip64.bin", weights_only=True)) == describe(everything)
    write_legacy(legacy, everything, stored)

    torch.manual_seed(0)
    for name, value in hostile().items():
        torch.save(value, folder / f"hostile-{name}.bin")
    write_json(folder / "expected.json", {"safetensors": describe(plain), "torch": describe(everything)})


main()
