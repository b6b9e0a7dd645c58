const vscode = require("vscode");
const assert = require("node:assert");
const { cursor, open, problems, revert, until, uriOf, write } = require("./editor.cjs");

const asked = (command, ...args) => vscode.commands.executeCommand(command, ...args);

exports["a problem has its code and range, and a quick fix"] = async () => {
  const document = await open("broken.lua");
  await write(document, "-- descripton=Counts\nreturn 1\n");
  const [found] = await problems(document, "header.unknown-key");
  assert.equal(document.getText(found.range), "descripton");
  const fixes = await asked("vscode.executeCodeActionProvider", document.uri, found.range);
  const fix = fixes.find((one) => one.edit && /description/.test(one.title));
  assert.ok(fix, JSON.stringify(fixes.map((one) => one.title)));
  await vscode.workspace.applyEdit(fix.edit);
  assert.match(document.getText(), /^-- description=Counts/);
  await problems(document);
  await revert(document);
};

exports["keys of a header and commands are completed"] = async () => {
  const document = await open("hello.lua");
  for (const [marked, wanted] of [["-- desc|\nreturn 1\n", "description"], ["redis.call('HG|')\n", "HGET"], ["require('lib/|')\n", "lib/money.lua"]]) {
    const { text, at } = cursor(marked);
    await write(document, text);
    const { items } = await asked("vscode.executeCompletionItemProvider", document.uri, at);
    const labels = items.map((one) => one.label.label ?? one.label);
    assert.ok(labels.includes(wanted), `${wanted}: ${labels.slice(0, 20)}`);
  }
  await revert(document);
};

exports["hover says what a command does"] = async () => {
  const document = await open("order.lua");
  const at = document.positionAt(document.getText().indexOf("HGET") + 1);
  const hovers = await asked("vscode.executeHoverProvider", document.uri, at);
  assert.match(hovers.flatMap((one) => one.contents.map((part) => part.value)).join("\n"), /HGET key field/);
};

exports["a library's member leads to its definition"] = async () => {
  const document = await open("order.lua");
  const at = document.positionAt(document.getText().indexOf("money.total") + "money.t".length);
  const [found] = await asked("vscode.executeDefinitionProvider", document.uri, at);
  assert.equal((found.targetUri ?? found.uri).path, uriOf("lib/money.lua").path);
  assert.equal((found.targetRange ?? found.range).start.line, 4);
};

exports["renaming a member changes the library and who uses it"] = async () => {
  const document = await open("order.lua");
  const at = document.positionAt(document.getText().indexOf("money.total") + "money.t".length);
  const edit = await asked("vscode.executeDocumentRenameProvider", document.uri, at, "sum");
  assert.deepEqual(edit.entries().map(([uri]) => uri.path.split("/sprocs/")[1]).sort(), ["lib/money.lua", "order.lua"]);
};

exports["a file that is renamed while it is open stays known"] = async () => {
  const first = uriOf("first.lua");
  const second = uriOf("second.lua");
  await vscode.workspace.fs.writeFile(first, Buffer.from("-- descripton=x\r\nreturn 1\r\n"));
  await problems(await open("first.lua"), "header.unknown-key");
  const edit = new vscode.WorkspaceEdit();
  edit.renameFile(first, second);
  await vscode.workspace.applyEdit(edit);
  await problems(await open("second.lua"), "header.unknown-key");
  await until("no problem of a file that is gone", () => vscode.languages.getDiagnostics(first).length === 0);
  await vscode.workspace.fs.delete(second);
  await asked("workbench.action.closeAllEditors");
  await until("no problem of a file that was deleted", () => vscode.languages.getDiagnostics(second).length === 0);
};
