"""The examples as programs, on a terminal that knows no letters but those of ASCII."""

import os
import subprocess
import sys

import numba
import pytest
from example_scripts import EXAMPLES

pytestmark = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes minutes without compiled kernels"
)
TEXT = "über 😀 und ∂ℓ\n" * 2000
CLASSES = "@classLabel true ä 😀\n@data\n" + "1,1,2:ä\n9,9,8,9:😀\n" * 5
SERIES = "t,ä\n" + "".join(f"{t},{t % 7}\n" for t in range(90))


@pytest.fixture
def folder(tmp_path):
    """Whose name no such terminal can show, with a file for each example."""
    made = tmp_path / "ä😀"
    made.mkdir()
    for name, contents in (("text", TEXT), ("a.ts", CLASSES), ("a.csv", SERIES)):
        (made / name).write_text(contents, encoding="utf-8")
    return made


CALLS = {
    "adding_problem": "--length 4 --count 4 --units 2 --passes 1",
    "char_lm": "--text {0}/text --out {0} --hidden 4 --layers 1 --batch 4 --epochs 1 --k1 5 --k2 5",
    "classify_sequences": "--ts {0}/a.ts --units 2 --epochs 1",
    "forecast": "--csv {0}/a.csv --column ä --epochs 1 --units 2 --picture {0}/picture.png",
    "gradient_flow": "--text {0}/text --hidden 4 --updates 2 --k1 5 --window 5 --out {0}/page.png",
    "influence_balancing": "--steps 10 --out {0}/picture.png",
}


def test_every_example_is_called():
    assert sorted(CALLS) == sorted(script.stem for script in EXAMPLES.glob("*.py"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_what_a_terminal_cannot_show_stops_nobody(name, folder):
    command = [sys.executable, "-X", "utf8=0", str(EXAMPLES / f"{name}.py")]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "Agg"}
    arguments = [part.format(folder) for part in CALLS[name].split()]
    done = subprocess.run([*command, *arguments], capture_output=True, env=ascii_only, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.isascii()
