"""Side-by-side measurements: what luasprocs does against the bare work, in one run, as ratios. `make bench` runs all."""
