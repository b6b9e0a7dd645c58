/** Runs inside the extension host: VS Code calls `run`. What is found is written to a file, line by line. */
const fs = require("node:fs");
const path = require("node:path");

/** A busy machine takes its time. */
const PATIENCE_MS = 90_000;

exports.run = async () => {
  const say = (line) => fs.appendFileSync(process.env.LUASPROCS_TEST_REPORT, `${line}\n`);
  let failed = 0;
  const files = fs.readdirSync(__dirname).filter((name) => name.endsWith(".test.cjs")).sort();
  try {
    for (const file of files) {
      for (const [name, test] of Object.entries(require(path.join(__dirname, file)))) {
        const began = Date.now();
        const late = new Promise((_, reject) => setTimeout(() => reject(new Error("timed out")), PATIENCE_MS).unref());
        const error = await Promise.race([test(), late]).then(() => undefined, (error) => error ?? new Error("?"));
        failed += error ? 1 : 0;
        say(`${error ? "FAIL" : "ok  "} ${name} (${Date.now() - began} ms)${error ? `: ${error.stack.replaceAll("\n", " | ")}` : ""}`);
      }
    }
  } catch (error) {
    failed += 1;
    say(`FAIL ${error.stack.replaceAll("\n", " | ")}`);
  }
  say(`end ${failed}`);
  if (failed) throw new Error(`${failed} failed`);
};
