/** `make test-editor`: tests in the extension host of a real VS Code, then a tour through its windows. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { Shop, freePort, openShop, until } from "./shop.mjs";
import { tour } from "./tour.mjs";
import { VSCode } from "./vscode.mjs";

const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const only = process.argv[2];

const units = spawnSync(process.execPath, ["--test", path.join(import.meta.dirname, "units.test.mjs")], { encoding: "utf8" });
if (units.status) throw new Error(units.stdout);
say("units");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "luasprocs-vscode-"));
const shop = new Shop(folder, await freePort());
const report = path.join(folder, "report");
fs.writeFileSync(report, "");
const code = new VSCode(folder, shop.environment);
let failed = 0;
try {
  await openShop(shop);
  say("a Redis, a repository, a daemon");
  await code.install(path.resolve(import.meta.dirname, "../luasprocs.vsix"));
  await code.serve({ LUASPROCS_TEST_REPORT: report, LUASPROCS_TEST_REDIS_PID: String(shop.processes[0].pid) });
  say("VS Code, with the extension out of its vsix");
  if (only !== "tour") failed += await host();
  if (only !== "host") failed += await tour(code, shop, say);
} finally {
  await code.close();
  shop.close();
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
say(failed ? `${failed} FAILED` : "all passed");
process.exitCode = failed ? 1 : 0;

async function host() {
  const extension = path.resolve(import.meta.dirname, "..");
  const page = await code.open(shop.tree, { extensionDevelopmentPath: code.at(extension), extensionTestsPath: code.at(path.join(extension, "test/host/index.cjs")) });
  const lines = () => fs.readFileSync(report, "utf8").split("\n").filter(Boolean);
  let said = 0;
  const told = () => lines().slice(said).forEach((line) => (said++, say(line)));
  await until("the tests in the extension host", () => (told(), lines().at(-1)?.startsWith("end ")), 300).catch((error) => say(error.message));
  await page.close();
  const end = lines().at(-1) ?? "";
  return end.startsWith("end ") ? Number(end.split(" ")[1]) : 1;
}
