"""The vendored files are what the manifest says; changed ones are noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "vendor.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_committed_files_are_the_pinned_ones() -> None:
    result = check(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "vendor", tmp_path / "vendor")
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "vendor.py", tmp_path / "tools")
    path = tmp_path / "vendor" / "mathjax" / "tex-svg.js"
    path.write_bytes(path.read_bytes() + b" ")
    assert check(tmp_path).returncode != 0
