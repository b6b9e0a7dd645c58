"""Started by `luasprocs debug`, which says in LUASPROCS_DEBUG_LAUNCH what to launch."""

from __future__ import annotations

import json
import os
import sys

from luasprocs_tui.debugger.app import DebuggerApp


def main() -> int:
    given = json.loads(os.environ.pop("LUASPROCS_DEBUG_LAUNCH", "{}"))
    app = DebuggerApp(given)
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
