"""Chromium as this machine has it: where it is, and how it is started for pages that come out the same each time."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STILL = "*,*::before,*::after{transition:none!important;animation:none!important;scroll-behavior:auto!important}"
PATIENCE = 120_000  # ms; far beyond what even a busy machine takes


def executable() -> str | None:
    """Return where the browser is, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
