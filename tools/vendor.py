"""Renew the files under vendor/, which the pages need and which come from npm packages.

python tools/vendor.py            fetch the pinned packages, check them, write the files and their hashes
python tools/vendor.py --check    compare the files with the manifest; nothing is fetched

vendor/manifest.json pins each package: its version and the SHA-512 of its archive, as the registry publishes it
(`npm view NAME@VERSION dist.integrity`). To renew one, change these two and run this. Which registry is asked is for
npm's own configuration to say. A book is built from the committed files, without npm.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parent.parent / "vendor"


class WrongFileError(Exception):
    """A file is not what the manifest says it is."""


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def check_integrity(archive: bytes, integrity: str, name: str) -> None:
    """Raise `WrongFileError` unless `archive` has the pinned hash, written as npm writes it: sha512-<base64>."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != integrity:
        raise WrongFileError(f"the archive of {name} has the hash {found}, and {integrity} is pinned")


def fetch(package: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """Return the wanted files of a package, by their name under vendor/; its archive passes through `folder`."""
    name = f"{package['name']}@{package['version']}"
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm was not found; it is needed to renew the vendored files, and only for that")
    subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (path,) = folder.glob("*.tgz")
    check_integrity(path.read_bytes(), package["integrity"], name)
    files = {}
    with tarfile.open(path) as archive:
        for target, entry in package["files"].items():
            member = archive.extractfile(f"package/{entry['from']}")
            if member is None:
                raise WrongFileError(f"{name} has no file {entry['from']}")
            files[target] = member.read()
    return files


def renew(vendor: Path) -> None:
    """Fetch every package of the manifest; write the files, and their hashes into the manifest, once all are there."""
    manifest = json.loads((vendor / "manifest.json").read_text(encoding="utf-8"))
    fetched: dict[str, bytes] = {}
    for package in manifest["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            files = fetch(package, Path(folder))
        for target, content in files.items():
            package["files"][target]["sha256"] = sha256(content)
        fetched |= files
    for target, content in fetched.items():
        path = vendor / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{target}: {len(content)} bytes")
    (vendor / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def faults(vendor: Path) -> list[str]:
    """Return where the files under `vendor` and its manifest disagree, in words."""
    manifest = json.loads((vendor / "manifest.json").read_text(encoding="utf-8"))
    wanted = {target: entry["sha256"] for package in manifest["packages"] for target, entry in package["files"].items()}
    wanted |= manifest["by_hand"]
    present = {path.relative_to(vendor).as_posix() for path in vendor.rglob("*") if path.is_file()} - {"manifest.json"}
    found = [f"{name} is missing" for name in sorted(wanted.keys() - present)]
    found += [f"{name} is not in the manifest" for name in sorted(present - wanted.keys())]
    for name in sorted(present & wanted.keys()):
        if sha256((vendor / name).read_bytes()) != wanted[name]:
            found.append(f"{name} is not the file that the manifest describes")
    return found


def main(arguments: list[str]) -> int:
    """Renew or check the files; return how many are not what the manifest says."""
    if arguments != ["--check"]:
        renew(VENDOR)
    found = faults(VENDOR)
    for fault in found:
        print(fault)
    return len(found)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
