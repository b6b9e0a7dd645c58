"""Starts the screen: the console script, and `python -m luasprocs_tui`."""

from __future__ import annotations

import gc
import os


def main() -> None:
    # Nothing of what is imported is garbage; to look for it takes a tenth of the time to the first paint. `Connection` goes on.
    gc.disable()
    os.environ.setdefault("TEXTUAL_FPS", "120")  # what a key leads to waits for the next frame
    from luasprocs_tui.cli import main as start  # noqa: PLC0415  # what was just said

    start()


if __name__ == "__main__":
    main()
