"""A browser without a network, and the pages of all documents."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from report_pages import PAGES

CHROMIUM = shutil.which("chromium")
#: It runs as root in a container, and asks nobody for anything.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for.

    Attributes
    ----------
    page : playwright.sync_api.Page
    said : list of str
        Warnings and errors of its console, and errors nobody caught.
    asked : list of str
        Addresses of its requests.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser; its event loop must not outlive the tests that need it."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed"
    )
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(OPTIONS)
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that renders a document, once, to a file."""
    html = pytest.importorskip("fastflow.report.html")
    directory = tmp_path_factory.mktemp("pages")

    def file_of(name: str) -> Path:
        path = directory / f"{name}.html"
        if not path.exists():
            make, lang = PAGES[name]
            path.write_text(html.render(make(lang)), encoding="utf-8")
        return path

    return file_of


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_page(
    browser: Any, files: Callable[[str], Path]
) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a document at a width, in a context of its own."""
    contexts = []

    def opened(name: str, width: int = 1440, scripts: bool = True) -> Opened:
        context = browser.new_context(
            offline=True,
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
        )
        contexts.append(context)
        one = Opened(context.new_page())
        one.page.on("console", lambda m: _note(one.said, m.type, m.text))
        one.page.on("pageerror", lambda error: one.said.append(str(error)))
        one.page.on("request", lambda request: one.asked.append(request.url))
        one.page.goto(files(name).as_uri())
        if scripts:
            one.page.wait_for_selector("html[data-ready]", state="attached")
        return one

    yield opened
    for context in contexts:
        context.close()


def _note(said: list[str], kind: str, text: str) -> None:
    if kind in {"warning", "error"}:
        said.append(text)
