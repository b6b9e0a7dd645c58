/** What the tests do in an editor. */
const vscode = require("vscode");

const EXTENSION = "luasprocs.luasprocs";

async function until(what, probe, ms = 45_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

function uriOf(name) {
  return vscode.Uri.joinPath(vscode.workspace.workspaceFolders[0].uri, "sprocs", name);
}

async function open(name) {
  const document = await vscode.workspace.openTextDocument(uriOf(name));
  await vscode.window.showTextDocument(document, { preview: false });
  return document;
}

/** Puts a text in place of all that a document has, unsaved. */
async function write(document, text) {
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, new vscode.Range(0, 0, document.lineCount, 0), text);
  await vscode.workspace.applyEdit(edit);
}

/** Closes all, as nothing was written. */
async function revert(document) {
  await vscode.window.showTextDocument(document);
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
}

/** Where `|` stands in a text; the text without it. */
function cursor(marked) {
  const before = marked.slice(0, marked.indexOf("|")).split("\n");
  return { text: marked.replace("|", ""), at: new vscode.Position(before.length - 1, before.at(-1).length) };
}

function api() {
  return vscode.extensions.getExtension(EXTENSION).activate();
}

async function problems(document, ...codes) {
  const found = () => vscode.languages.getDiagnostics(document.uri).filter((one) => one.source === "luasprocs");
  await until(`problems ${codes}`, () => found().map((one) => one.code).join() === codes.join());
  return found();
}

module.exports = { api, cursor, open, problems, revert, until, uriOf, write };
