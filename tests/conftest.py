"""What tests share: the browser, and the claims of the book with the errors that their tests have measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browsing import served, started
from playwright.sync_api import Browser

CLAIMS = pytest.StashKey[dict[str, dict[str, Any]]]()
Measured = Callable[[float], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--claims", metavar="FILE", help="write the claims whose tests have passed to FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "claim(name, statement, equation, chapter, at_most or at_least): a claim of the book that the test shows",
    )
    config.stash[CLAIMS] = {}
    if hasattr(config, "workerinput"):  # one of several processes side by side, which would take each other's cores
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser, for the pages of the book."""
    with started() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve the built pages; return their address."""
    with served() as address:
        yield address


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Take the error that a test has measured, hold it against the tolerance of its claim, and keep it."""
    marker = request.node.get_closest_marker("claim")
    claim = dict(marker.kwargs)

    def record(error: float) -> None:
        if "at_most" in claim:
            assert error <= claim["at_most"]
        else:
            assert error >= claim["at_least"]
        test = f"{Path(str(request.node.path)).name}::{request.node.name}"
        assert marker.args[0] not in request.config.stash[CLAIMS], "two claims have one name"
        request.config.stash[CLAIMS][marker.args[0]] = claim | {"measured": error, "test": test}

    return record


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    target = session.config.getoption("--claims")
    if target and exitstatus == 0:  # one failure, and there is no list at all
        Path(target).write_text(json.dumps(session.config.stash[CLAIMS], indent=1), encoding="utf-8")
