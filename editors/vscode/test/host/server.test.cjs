const vscode = require("vscode");
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const { api, open, problems, revert, until, write } = require("./editor.cjs");

const settings = () => vscode.workspace.getConfiguration("luasprocs");

/** The language server that this extension host started. */
function pids() {
  const rows = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" }).trim().split("\n");
  return rows.filter((row) => / lsp( |$)/.test(row)).map((row) => Number(row.trim().split(" ")[0]));
}

exports["luasprocs is found in the workspace's .venv"] = async () => {
  const { server } = await api();
  assert.ok(server.command.endsWith("/shop/.venv/bin/luasprocs"), server.command);
  assert.equal(pids().length, 1);
};

exports["a language server that is killed comes back by itself"] = async () => {
  const [before] = pids();
  process.kill(before, "SIGKILL");
  await until("another one", () => pids().length === 1 && pids()[0] !== before);
  const document = await open("broken.lua");
  await write(document, "-- descripton=Counts\nreturn 1\n");
  await problems(document, "header.unknown-key");
  await revert(document);
};

exports["one that is killed while it publishes says that nobody knows whether it did"] = async () => {
  const { server } = await api();
  const [pid] = pids();
  const { uri } = await open("hello.lua");
  process.kill(pid, "SIGSTOP");
  const asked = assert.rejects(server.ask("publish", { uri: uri.toString(), confirm: "" }), /ended before it answered; it may have done this \(publish\) or not/);
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill(pid, "SIGKILL");
  await asked;
  await until("another one", () => pids().length === 1 && pids()[0] !== pid);
};

exports["one that hangs holds nothing up, and is replaced"] = async () => {
  const [hung] = pids();
  process.kill(hung, "SIGSTOP");
  try {
    const document = await open("broken.lua");
    await write(document, "-- descripton=Counts\nreturn 1\n");
    await revert(document);
    await vscode.commands.executeCommand("luasprocs.restart");
    await until("another one", () => pids().some((one) => one !== hung));
  } finally {
    if (pids().includes(hung)) process.kill(hung, "SIGCONT");
  }
  await until("the end of the one that hung", () => !pids().includes(hung));
};

exports["each command of the palette is there"] = async () => {
  await api();
  const wanted = vscode.extensions.getExtension("luasprocs.luasprocs").packageJSON.contributes.commands.map((one) => one.command);
  const there = new Set(await vscode.commands.getCommands(true));
  assert.deepEqual(wanted.filter((one) => !there.has(one)), []);
};

exports["the first steps are there"] = async () => {
  await vscode.commands.executeCommand("luasprocs.walkthrough");
  await until("the walkthrough", () => vscode.window.tabGroups.activeTabGroup.activeTab?.label.startsWith("Walkthrough"));
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
};

exports["without luasprocs nothing but a word about it; it starts as soon as it is there"] = async () => {
  const { server, status } = await api();
  for (const path of ["/nowhere/luasprocs", "/tmp"]) {
    await settings().update("path", path);
    try {
      await until("the word", () => /not found/.test(status.text));
      await until("the end of the server", () => pids().length === 0);
    } finally {
      await settings().update("path", undefined);
    }
    await until("a server", () => server.running && !/not found/.test(status.text));
  }
};

exports["a setting that is no text counts as none"] = async () => {
  const { server } = await api();
  const [before] = pids();
  await settings().update("path", 7);
  try {
    await until("another server", () => server.running && pids().length === 1 && pids()[0] !== before);
  } finally {
    await settings().update("path", undefined);
  }
  await until("a server", () => server.running);
};
