"""Install what is to be released into an empty environment, away from the checkout, and try it.

python tools/try_dist.py FOLDER

The folder holds a wheel and an sdist. The wheel is installed with whatever its metadata ask for, the sdist after it in
its place. Both must hold the files of the package in the checkout, and reproduce the authors' numbers for one seed.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from way_out import program

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "eprop_nb"
TRIAL = """
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import eprop_nb as ep
from eprop_nb import display, evidence, fast

home = Path(ep.__file__).parent
assert Path(sys.prefix) in home.parents, home
assert version("eprop-nb") == ep.__version__
missing = [name for name in sys.argv[1:] if not (home / name).is_file()]
assert not missing, missing

with np.load(home / "data" / "seed_defaults.npz") as stored:
    theirs = {name: torch.from_numpy(stored[name]) for name in stored.files if stored[name].dtype == np.float64}
weights = ep.Weights(*(theirs[name].requires_grad_() for name in ("w_in", "w_rec", "w_out")))
parameters, inputs = ep.Parameters(), theirs["inputs"]
run = ep.simulate(parameters, weights, inputs)
loss = ep.regression_loss(parameters, weights, run, theirs["y_target"])
mine = ep.eprop_gradients(parameters, run, inputs, ep.true_learning_signal(loss, run))
errors = ep.compare(mine, ep.Gradients(theirs["g_bptt_in"], theirs["g_bptt"])).relative_errors
assert max(errors.values()) < 1e-13, errors
compiled = fast.simulate(parameters, weights, inputs)
assert np.array_equal(compiled.z, run.z.detach().numpy())
print(f"eprop-nb {ep.__version__} with torch {torch.__version__}, numpy {np.__version__}: good")
"""


def files() -> list[str]:
    """Return the files of the package, as git knows them."""
    command = ["git", "ls-files", "--", "."]
    listed = subprocess.run(command, cwd=PACKAGE, check=True, stdout=subprocess.PIPE, text=True).stdout
    return listed.split()


def main(folder: Path) -> None:
    """Install and try the wheel, then the sdist."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    backend = [f"--torch-backend={os.environ['TORCH']}"] if os.environ.get("TORCH") else []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "venv"
        venv.create(home)
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        uv = [program("uv"), "pip", "install", "--quiet", "--python", str(python)]
        for archive, options in ((wheel, backend), (sdist, ["--no-deps", "--reinstall"])):
            subprocess.run([*uv, *options, str(archive.resolve())], check=True, cwd=scratch)
            print(f"{archive.name}: ", end="", flush=True)
            subprocess.run([str(python), "-I", "-c", TRIAL, *files()], check=True, cwd=scratch)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
