import assert from "node:assert";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { createRequire } from "node:module";
import { buildSync } from "../node_modules/esbuild/lib/main.js";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "luasprocs-units-"));
test.after(() => fs.rmSync(folder, { recursive: true }));

function load(name) {
  const outfile = path.join(folder, `${name}.cjs`);
  buildSync({ entryPoints: [path.join(import.meta.dirname, `../src/${name}.ts`)], bundle: true, platform: "node", format: "cjs", outfile });
  return createRequire(import.meta.url)(outfile);
}

test("words are split as a shell does", () => {
  const { words } = load("words");
  for (const [text, wanted] of [
    ["", []],
    ["  a b\tc ", ["a", "b", "c"]],
    ["'red apple' 3", ["red apple", "3"]],
    ['"say \\"hi\\"" it\\\'s', ['say "hi"', "it's"]],
    ["a'b'\"c\" ''", ["abc", ""]],
    ["'\\n'", ["\\n"]],
  ]) assert.deepEqual(words(text), wanted, text);
  for (const text of ["'", 'a "b', "a 'b' 'c", "\\"]) assert.equal(words(text), undefined, text);
});

test("what fits together is merged, whatever the line ends", async () => {
  const { merge } = load("merging");
  const base = "a\nb\nc\nd\ne\n";
  const merged = await merge({ base, live: base.replace("a", "A"), yours: base.replace("e", "E").replaceAll("\n", "\r\n"), blob: "" });
  assert.deepEqual(merged, { text: "A\nb\nc\nd\nE\n", marked: false });
});

test("what both changed has marks", async () => {
  const { merge } = load("merging");
  const { text, marked } = await merge({ base: "a\n", live: "b\n", yours: "c\n", blob: "" });
  assert.ok(marked);
  assert.match(text, /^<<<<<<< yours\nc\n\|{7} base\na\n=======\nb\n>>>>>>> live\n$/);
});
