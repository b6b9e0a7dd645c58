"""The pictures of the README and of docs/ show what they are there to show."""

from __future__ import annotations

import importlib.util
import re

from tests.paths import ROOT

DOCS = ROOT / "docs"


def test_each_picture_shows_what_it_says() -> None:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec
    assert spec.loader
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *DOCS.glob("*.md"))]
    assert {name for page in pages for name in re.findall(r"\((?:docs/)?(\w+)\.svg\)", page)} == set(pictures.SHOWN)
    for name, texts in pictures.SHOWN.items():
        shown = pictures.text_of((DOCS / f"{name}.svg").read_text(encoding="utf-8"))
        assert [text for text in texts if text not in shown] == [], name
