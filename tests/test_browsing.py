"""Where the browser is missing: a failure in CI, a skip elsewhere, and a skip where it is not wanted."""

import pytest
from browsing import started


def leave() -> None:
    with started():
        raise AssertionError("there is no browser to be started")


def test_a_browser_that_is_missing_is_a_failure_in_ci_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser was found"):
        leave()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser was found"):
        leave()


def test_a_browser_that_is_not_wanted_is_left_out_in_ci_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "no")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.skip.Exception, match="BROWSER=no"):
        leave()
