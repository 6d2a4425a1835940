"""The Python in the README and in the docs runs, block by block, as it stands."""

import re
import runpy
from pathlib import Path

import matplotlib
import numba
import pytest

ROOT = Path(__file__).resolve().parent.parent


def python_in(page):
    """The page's Python blocks in order, each on the lines where the page has it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    code, line = "", 1
    for block in blocks:
        start = text.count("\n", 0, block.start(1)) + 1
        code += "\n" * (start - line) + block[1]
        line = start + block[1].count("\n")
    return len(blocks), code


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains for minutes without compiled kernels")
@pytest.mark.parametrize(
    ("page", "at_least", "draws"),
    [
        ("README.md", 1, True),
        ("docs/tour.md", 12, True),
        ("docs/truncation.md", 2, True),
        ("docs/gradient_flow.md", 12, True),
        ("docs/toolbox.md", 3, False),
        ("docs/data.md", 5, False),
    ],
)
def test_every_python_block_runs(page, at_least, draws, tmp_path, monkeypatch):
    count, code = python_in(page)
    assert count >= at_least
    script = tmp_path / f"{Path(page).stem}.py"
    script.write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")

    runpy.run_path(str(script))

    pictures = sorted(tmp_path.glob("*.png"))
    assert bool(pictures) == draws
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def links():
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield pytest.param(page, target, id=f"{page.name}: {target}")


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_every_link_between_pages_leads_somewhere(page, target):
    name, _, anchor = target.partition("#")
    to = page.parent / name if name else page
    assert to.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", to.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_the_fifteen_lines_are_fifteen():
    _, code = python_in("README.md")
    assert len([line for line in code.splitlines() if line.strip()]) == 15
