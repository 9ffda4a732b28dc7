"""`--fail-on-skip`: where everything is installed, a skipped test is a test that nobody runs."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="Fail if any test was skipped.")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter else 0
    if skipped and session.config.getoption("--fail-on-skip"):
        reporter.section("skipped, with --fail-on-skip: this run has failed", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
