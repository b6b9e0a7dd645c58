/** A tour by mouse and keyboard: the first day of somebody in a shop of sprocs. Each step is looked for in Redis or in git; pictures on the way. */
import assert from "node:assert";
import fs from "node:fs";
import path from "node:path";
import { ROOT, until } from "./shop.mjs";
import { Window } from "./window.mjs";

/** Where the pictures of docs/editors.md go; without it none is kept. */
const PICTURES = process.env.LUASPROCS_PICTURES;

export async function tour(code, shop, say) {
  const window = new Window(await code.open(shop.tree), PICTURES);
  let failed = 0;
  for (const [name, step] of Object.entries(STEPS)) {
    try {
      await step(window, shop);
      say(`ok   ${name}`);
    } catch (error) {
      failed += 1;
      const picture = path.join(ROOT, "editors/vscode/failed.png");
      await window.page.screenshot({ path: picture });
      say(`FAIL ${name}: ${error.stack}\n${picture}`);
      break; // The next step begins where this one should have ended.
    }
  }
  await window.page.close();
  return failed;
}

const STEPS = {
  "the repository is open, and the status bar says where one is": async (window, shop) => {
    await window.activity("Sprocs");
    await window.row("order.lua");
    assert.match(await window.statusBar("luasprocs.state"), new RegExp(String(shop.port)));
  },

  "a diagnostic takes its quick fix": async (window, shop) => {
    await window.openSproc("broken.lua");
    await window.select("description");
    await window.type("descripton");
    await window.page.waitForSelector(".squiggly-error");
    await window.picture("problem", async () => {
      await window.press("Control+.");
      await window.page.waitForSelector(".action-widget");
    });
    await window.press("Enter");
    await until("the fix", async () => (await window.text()).includes("-- description=Counts"));
    await window.press("Control+s");
    await until("the file of before", () => shop.git("-C", shop.tree, "diff", "--stat", "--", "sprocs") === "");
  },

  "a key of the header and a command are completed": async (window, shop) => {
    await window.openSproc("broken.lua");
    await window.press("Control+Home");
    await window.press("End");
    await window.press("Enter");
    await window.type("-- reado");
    await window.press("Control+Space"); // In comments VS Code suggests nothing by itself.
    await window.suggestion("readonly");
    await window.press("Enter");
    await window.type("no");
    await window.press("Control+End");
    await window.press("ArrowUp");
    await window.press("Home");
    await window.type("redis.call('HGETA");
    await window.suggestion("HGETALL");
    await window.press("Enter");
    await window.press("Control+s");
    await until("the file", () => /readonly=no[^]*HGETALL/.test(shop.git("-C", shop.tree, "diff", "--", "sprocs/broken.lua")));
    shop.git("-C", shop.tree, "checkout", "--quiet", "--", "sprocs/broken.lua");
  },

  "a library's member leads to its definition": async (window) => {
    await window.openSproc("order.lua");
    await window.click("total(price");
    await window.press("F12");
    await until("the library", async () => (await window.tab()).startsWith("money.lua"));
  },

  "a sproc runs with a key and arguments": async (window, shop) => {
    await window.activity("Sprocs");
    await window.rowAction("order.lua", "Run…");
    await window.answer("1/2", "order:1");
    await window.answer("2/2", "'red apple' 3");
    await window.toast("order.lua → (integer) 15");
    assert.equal(shop.redis("HGET", "order:1", "total"), "15");
    await window.picture("sprocs");
  },

  "the debugger stops in the library at a conditional breakpoint": async (window, shop) => {
    await window.openSproc("lib/money.lua");
    await window.conditionalBreakpoint("return price * count", "count > 2");
    await window.openSproc("order.lua");
    const before = shop.redis("DBSIZE");
    const launch = { type: "luasprocs", request: "launch", name: "Four pears", program: "${workspaceFolder}/sprocs/order.lua" };
    shop.configure("launch.json", { configurations: [{ ...launch, keys: ["order:2"], args: ["pear", "4"], seed: ["HSET prices pear 7"] }] });
    await window.press("F5");
    await window.page.waitForSelector(".debug-top-stack-frame-line, .debug-top-stack-frame-column");
    await until("the library", async () => (await window.tab()).startsWith("money.lua"));
    await until("the variables", async () => /price.*7.*count.*4/s.test(await window.variables()));
    await window.picture("debugger");
    await window.press("F5");
    await until("the end", async () => (await window.page.locator(".debug-toolbar:visible").count()) === 0);
    assert.equal(shop.redis("DBSIZE"), before);
    assert.equal(shop.redis("EXISTS", "order:2"), "0");
    await window.press("Control+j");
  },

  "saving publishes, and the daemon commits": async (window, shop) => {
    shop.configure("settings.json", { "luasprocs.publishOnSave": "always" });
    await window.openSproc("hello.lua");
    await window.select("hello ");
    await window.type("good day ");
    await window.press("Control+s");
    await until("the live sproc", () => shop.execute("hello.lua", [], ["Bob"]) === "good day Bob");
    await until("the commit", () => shop.committed("hello.lua").includes("good day"));
    await window.row("hello.lua", "Say hello"); // Its row is at its place again: it was "edited live" so far.
  },

  "a conflict is merged": async (window, shop) => {
    await window.openSproc("hello.lua");
    shop.colleague("hello.lua", shop.read("hello.lua").replace("Say hello", "Greet somebody").replace("good day", "hi"));
    await window.select("good day ");
    await window.type("good evening ");
    await window.press("Control+s");
    await window.toast("its live text has changed");
    await window.type("dear "); // The message doesn't hold up who writes on, and nothing of that may be lost.
    await window.toast("its live text has changed", "Merge");
    await window.page.waitForSelector(".merge-editor");
    await window.picture("merge");
    await window.page.locator(".merge-editor a", { hasText: "Accept Yours" }).first().click();
    await window.press("Control+s");
    await window.toast("replaces the live one", "Publish");
    await until("both", () => shop.execute("hello.lua", [], ["Bob"]) === "good evening dear Bob");
    assert.match(shop.luasprocs("show", "--source", "hello.lua"), /Greet somebody[^]*good evening dear/);
    await until("the commit", () => /Greet somebody[^]*good evening dear/.test(shop.committed("hello.lua")));
    await window.row("hello.lua", "Greet somebody");
  },

  "executions come as they happen, and an error leads to its line": async (window, shop) => {
    await window.openSproc("copy.lua");
    await window.command("luasprocs: Follow Executions");
    await window.command("luasprocs: Show All Executions");
    shop.redis("SET", "dream:1", "of sheep");
    await window.row("copy.lua", "set dream:1");
    assert.equal(shop.redis("GET", "copy"), "dream:1=of sheep");
    assert.throws(() => shop.luasprocs("execute", "order.lua", "--key", "order:3", "pear", "many"));
    await (await window.row("order.lua", "call", "arithmetic on")).click();
    await until("the library", async () => (await window.tab()) === "money.lua");
    await until("the line", async () => /Ln 6,/.test(await window.statusBar("status.editor.selection")));
    await window.row("order.lua", "failing");
    await window.picture("executions");
  },

  "a form changes the header of a live sproc": async (window, shop) => {
    await window.openSproc("copy.lua");
    await window.command("luasprocs: Change the Header…");
    await window.pick("description");
    await window.answer("description of copy.lua", "Copy what was dreamt");
    await window.pick("Make 1 change live");
    await until("the live header", () => shop.luasprocs("show", "--source", "copy.lua").startsWith("-- description=Copy what was dreamt\n"));
    await until("the commit", () => shop.committed("copy.lua").includes("Copy what was dreamt"));
    await window.row("copy.lua", "Copy what was dreamt");
  },

  "a rollback shows its difference, and is done": async (window, shop) => {
    await window.activity("Sprocs");
    await window.rowAction("hello.lua", "History and Rollback…");
    await window.pick("The shop opens");
    await window.page.waitForSelector(".monaco-diff-editor .char-delete", { state: "attached" });
    await window.picture("rollback");
    await window.toast("Roll hello.lua back", "Roll Back");
    await until("the sproc of then", () => shop.execute("hello.lua", [], ["Bob"]) === "hello Bob");
    assert.match(shop.luasprocs("history", "--json").split("\n")[0], /"action": "rollback to 1"/);
  },

  "what is saved while Redis hangs is said not to be published": async (window, shop) => {
    await window.openSproc("hello.lua");
    const [redis] = shop.processes;
    process.kill(redis.pid, "SIGSTOP");
    try {
      await window.page.locator('.statusbar-item[id*="luasprocs.state"] .codicon-debug-disconnect').waitFor();
      await window.press("Control+Home");
      await window.type("-- ");
      await window.press("Control+s");
      await window.page.locator(".statusbar", { hasText: "hello.lua is saved, and not published" }).waitFor();
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
  },

  "of two folders the one with sprocs counts, and its settings": async (window, shop) => {
    fs.mkdirSync(path.join(shop.folder, "luasprocs"), { recursive: true });
    fs.writeFileSync(path.join(shop.folder, "luasprocs/screen.toml"), `[contexts.mine]\nredis = "redis://127.0.0.1:${shop.port}/1"\n`);
    shop.configure("settings.json", { "luasprocs.context": "mine" });
    fs.mkdirSync(path.join(shop.folder, "other"));
    const workspace = path.join(shop.folder, "two.code-workspace");
    fs.writeFileSync(workspace, JSON.stringify({ folders: [{ path: "other" }, { path: "shop" }] }));
    await window.page.goto(`${new URL(window.page.url()).origin}/?${new URLSearchParams({ workspace })}`);
    await window.activity("Sprocs");
    await window.page.locator('.statusbar-item[id*="luasprocs.state"]', { hasText: "mine" }).waitFor();
  },
};
