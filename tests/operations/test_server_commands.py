"""The commands of a server, as it tells them: a module's too."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from luasprocs.language.editor.meta_library import meta_library
from luasprocs.operations.server_commands import read_commands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnServer

# Without a header of either server: what it has stands at the context's beginning.
MODULE = """
typedef int (*command)(void *, void **, int);
static int hello(void *context, void **words, int count) { return 0; }
int RedisModule_OnLoad(void *context, void **words, int count) {
  int (*get)(const char *, void *) = *(void **)context;
  void (*name)(void *, const char *, int, int);
  int (*create)(void *, const char *, command, const char *, int, int, int);
  get("RedisModule_SetModuleAttribs", &name);
  get("RedisModule_CreateCommand", &create);
  name(context, "shout", 1, 1);
  return create(context, "shout.loud", hello, "readonly", 0, 0, 0)
      || create(context, "shout.secret", hello, "deny-script", 0, 0, 0);
}
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_those_of_a_module_are_declared_if_scripts_may_call_them(own_server: OwnServer, tmp_path: Path) -> None:
    built = tmp_path / "shout.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-x", "c", "-o", built, "-"], input=MODULE.encode(), check=True)
    found = read_commands(own_server("--loadmodule", str(built)).client())
    declared = meta_library(found.docs, found.server)
    assert '"SHOUT.LOUD"' in declared
    assert re.search(r'"GET" # \w+ .* `GET key`', declared)
    assert "SHOUT.SECRET" not in declared
    assert '"SUBSCRIBE"' not in declared
