"""Tests of sprocs: a server of one's own, sprocs in it, and what they do. See docs/testing.md."""

from __future__ import annotations

from luasprocs.operations.sandbox.sandbox import START, Sandbox

__all__ = ["START", "Sandbox"]
