"""docs/testing.md: each test on the page passes, and its tables name all that there is."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from luasprocs.testing import Sandbox
from tests.paths import ROOT

PAGE = (ROOT / "docs/testing.md").read_text("utf-8")
FIXTURE, *TESTS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", TESTS)
def test_the_pages_tests_pass(block: str) -> None:
    names: dict[str, Any] = {"Sandbox": Sandbox}
    exec(block, names)  # the page's own
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    if not inspect.signature(test).parameters:
        test()
        return
    with Sandbox() as sandbox:
        sandbox.put_all(ROOT / "sprocs")
        test(sandbox)


def test_the_fixture_is_python() -> None:
    compile(FIXTURE, "docs/testing.md", "exec")
    assert len(TESTS) == 4


def test_every_public_name_is_in_the_reference() -> None:
    reference = PAGE.partition("## Reference")[2]
    public = {name for name in dir(Sandbox) if not name.startswith("_")} | {"client", "registry", "sprocs"}
    assert {name for name in public if f"`{name}`" not in reference and f"`{name}(" not in reference} == set()
