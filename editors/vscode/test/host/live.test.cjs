const vscode = require("vscode");
const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { execFileSync } = require("node:child_process");
const { api, open, revert, until, uriOf, write } = require("./editor.cjs");

const asked = (command, ...args) => vscode.commands.executeCommand(command, ...args);
const settings = () => vscode.workspace.getConfiguration("luasprocs");

async function luasprocs(args, environment = {}) {
  const { server } = await api();
  return execFileSync(server.command, args, { cwd: server.folder, env: { ...process.env, ...environment }, encoding: "utf8" });
}

/** What a live sproc replies. */
function execute(name, ...args) {
  const cli = ["-u", process.env.LUASPROCS_REDIS, "FCALL", "luasprocs_execute", "0", name, ...args];
  return execFileSync("redis-cli", cli, { encoding: "utf8" }).trim();
}

/** As git names a text. */
function blobOf(text) {
  return crypto.createHash("sha1").update(`blob ${Buffer.byteLength(text)}\0${text}`).digest("hex");
}

/** Somebody else's edit. */
async function colleague(name, text) {
  const file = path.join(os.tmpdir(), `colleague-${process.pid}.lua`);
  fs.writeFileSync(file, text);
  await luasprocs(["edit", name], { VISUAL: `cp ${file}`, EDITOR: `cp ${file}` });
  fs.rmSync(file);
}

async function connected() {
  const { server } = await api();
  await until("a connection", () => server.state?.connected);
  return server;
}

exports["the tree has what is live, with its files"] = async () => {
  const { sprocs } = await api();
  await connected();
  const found = await until("sprocs", async () => (await sprocs.getChildren()).length && sprocs.getChildren());
  const order = found.find((one) => one.name === "order.lua");
  assert.equal(vscode.Uri.parse(order.uri).fsPath, uriOf("order.lua").fsPath);
  assert.equal(sprocs.getTreeItem(order).description, "Take an order");
};

exports["a sproc in trouble comes first"] = async () => {
  const { sprocs } = await api();
  await connected();
  await luasprocs(["pause", "copy.lua"]);
  await until("copy.lua at the top", async () => (await sprocs.getChildren())[0]?.name === "copy.lua");
  assert.equal(sprocs.getTreeItem((await sprocs.getChildren())[0]).iconPath.id, "debug-pause");
  await luasprocs(["resume", "copy.lua"]);
  await until("copy.lua in its place", async () => (await sprocs.getChildren())[0]?.name !== "copy.lua");
};

exports["a file is compared with what is live"] = async () => {
  await connected();
  const document = await open("hello.lua");
  const before = document.getText();
  await write(document, before.replace("hello", "bye"));
  await asked("luasprocs.diff", document.uri);
  const { input } = await until("the difference", () => {
    const tab = vscode.window.tabGroups.activeTabGroup.activeTab;
    return tab?.input instanceof vscode.TabInputTextDiff && tab;
  });
  const left = await vscode.workspace.openTextDocument(input.original);
  assert.equal(left.getText(), before);
  assert.equal(input.modified.path, document.uri.path);
  await revert(document);
};

exports["saving publishes if that is set, and only then"] = async () => {
  await connected();
  const document = await open("hello.lua");
  const before = document.getText();
  await write(document, before.replace("'hello ", "'hi "));
  await document.save();
  await settings().update("publishOnSave", "always");
  try {
    assert.equal(execute("hello.lua"), "hello world");
    await write(document, before.replace("'hello ", "'hey "));
    await document.save();
    await until("the new one", () => execute("hello.lua") === "hey world");
  } finally {
    await settings().update("publishOnSave", undefined);
  }
  await write(document, before);
  assert.equal(await asked("luasprocs.publish", document.uri), true);
  assert.equal(execute("hello.lua"), "hello world");
};

exports["a new sproc is published before it is committed"] = async () => {
  await connected();
  await vscode.workspace.fs.writeFile(uriOf("lib/new.lua"), Buffer.from("return 'new'\n"));
  const document = await open("lib/new.lua");
  assert.equal(await asked("luasprocs.publish", document.uri), true);
  assert.equal(execute("lib/new.lua"), "new");
  await vscode.commands.executeCommand("workbench.action.closeActiveEditor");
  await vscode.workspace.fs.delete(document.uri);
};

exports["what VS Code saves by itself is not published"] = async () => {
  const server = await connected();
  const files = vscode.workspace.getConfiguration("files");
  const document = await open("hello.lua");
  const before = document.getText();
  await settings().update("publishOnSave", "always");
  await files.update("autoSaveDelay", 100);
  await files.update("autoSave", "afterDelay");
  try {
    await write(document, before.replace("'hello ", "'bye "));
    await until("the save", () => !document.isDirty);
    await files.update("autoSave", undefined);
    await write(document, before.replace("'hello ", "'hey "));
    await document.save();
    await until("the new one", () => execute("hello.lua") === "hey world");
    const { generations } = await server.ask("history", { name: "hello.lua" });
    const blobs = generations.map((one) => one.updated["hello.lua"]?.at(-1));
    assert.ok(!blobs.includes(blobOf(before.replace("'hello ", "'bye "))), "what was saved by itself was live");
    assert.ok(blobs.includes(blobOf(document.getText())));
  } finally {
    await settings().update("publishOnSave", undefined);
    await files.update("autoSave", undefined);
    await files.update("autoSaveDelay", undefined);
  }
  await write(document, before);
  assert.equal(await asked("luasprocs.publish", document.uri), true);
};

exports["a colleague's edit is not overwritten"] = async () => {
  await connected();
  const document = await open("hello.lua");
  const before = document.getText();
  await colleague("hello.lua", before.replace("'hello ", "'ahoy "));
  await write(document, before.replace("'hello ", "'hi "));
  await document.save();
  assert.equal(await asked("luasprocs.publish", document.uri), false);
  assert.equal(execute("hello.lua"), "ahoy world");
  await asked("notifications.clearAll");
  await write(document, before);
  await document.save();
  await colleague("hello.lua", before);
};

exports["executions come as they happen"] = async () => {
  const { executions } = await api();
  const server = await connected();
  await asked("luasprocs.follow");
  await until("an execution", async () => {
    await server.ask("run", { name: "hello.lua", keys: [], args: ["Eve"], confirm: "" });
    return executions.getChildren().some((one) => one.sproc === "hello.lua" && one.reply === "hello Eve");
  });
  await asked("luasprocs.executions", uriOf("order.lua").toString(), "order.lua");
  assert.deepEqual(executions.getChildren(), []);
  await asked("luasprocs.allExecutions");
  assert.ok(executions.getChildren().length);
  await asked("luasprocs.unfollow");
};

exports["in production publishing asks first, and Cancel leaves Redis alone"] = async () => {
  const server = await connected();
  const file = path.join(process.env.XDG_CONFIG_HOME, "luasprocs", "screen.toml");
  const url = process.env.LUASPROCS_REDIS.replace("127.0.0.1", "localhost");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `[contexts.shop]\nredis = "${url}"\nproduction = true\n`);
  const document = await open("order.lua");
  const before = document.getText();
  try {
    await asked("luasprocs.restart");
    await until("production", () => server.state?.connected && server.state.production);
    await write(document, `${before}-- more\n`);
    await document.save();
    let published;
    asked("luasprocs.publish", document.uri).then((done) => (published = done));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal(published, undefined, "it did not ask");
    await until("Cancel", async () => {
      await asked("workbench.action.closeQuickOpen");
      return published !== undefined;
    });
    assert.equal(published, false);
    assert.equal((await server.ask("live", { name: "order.lua" })).source, before);
  } finally {
    fs.rmSync(file);
    await write(document, before);
    await document.save();
    await asked("luasprocs.restart");
    await until("no production", () => server.state?.connected && !server.state.production);
  }
};

exports["an execution of another context is debugged with the record of there"] = async () => {
  const server = await connected();
  const file = path.join(process.env.XDG_CONFIG_HOME, "luasprocs", "screen.toml");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `[contexts.elsewhere]\nredis = "${process.env.LUASPROCS_REDIS}"\n`);
  const started = [];
  const provider = vscode.debug.registerDebugConfigurationProvider("luasprocs", { resolveDebugConfiguration: (_, config) => void started.push(config) });
  await settings().update("context", "elsewhere");
  try {
    await until("the context", () => server.state?.connected && server.state.context === "elsewhere");
    await asked("luasprocs.debugExecution", { id: "1-0", sproc: "hello.lua" });
    await until("a session", () => started.length);
    assert.deepEqual([started[0].execution, started[0].environment], ["1-0", "elsewhere"]);
  } finally {
    provider.dispose();
    await settings().update("context", undefined);
    fs.rmSync(file);
  }
  await until("no context", () => server.state?.connected && server.state.context === null);
};

exports["a Redis that hangs holds nothing up, and is back by itself"] = async () => {
  const { server, status } = await api();
  await connected();
  const pid = Number(process.env.LUASPROCS_TEST_REDIS_PID);
  process.kill(pid, "SIGSTOP");
  try {
    await until("the word of it", () => server.state && !server.state.connected && server.state.error);
    assert.match(status.text, /debug-disconnect/);
    assert.equal(status.tooltip, server.state.error);
    const began = Date.now();
    const document = await open("order.lua");
    const hovers = await asked("vscode.executeHoverProvider", document.uri, document.positionAt(document.getText().indexOf("HGET") + 1));
    assert.ok(hovers.length);
    assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await until("a connection", () => server.state?.connected);
};
