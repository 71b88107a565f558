"""What is vendored for browsers is what its makers published, and its licence stands beside it."""

import hashlib
import tomllib
from pathlib import Path

import ringback.web.dashboard.assets

VENDOR = Path(ringback.web.dashboard.assets.__file__).parent / "static" / "vendor"
LIBRARIES = tomllib.loads((VENDOR / "vendor.toml").read_text())["library"]


def test_every_file_is_the_one_that_was_looked_at() -> None:
    named = {name: digest for library in LIBRARIES for name, digest in library["sha256"].items()}
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in named} == named


def test_every_file_is_named_and_has_its_licence() -> None:
    files = {name for library in LIBRARIES for name in library["sha256"]}
    licences = {library["licence_file"] for library in LIBRARIES}
    assert {path.name for path in VENDOR.iterdir()} == files | licences | {"vendor.toml"}
    assert all(library["name"] and library["version"] and library["licence"] for library in LIBRARIES)
