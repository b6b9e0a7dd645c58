"""`python -m luasprocs.contract`: writes docs/registry.md of this checkout."""

from __future__ import annotations

from pathlib import Path

from luasprocs.contract.page import page

PATH = Path(__file__).parents[2] / "docs" / "registry.md"

if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
