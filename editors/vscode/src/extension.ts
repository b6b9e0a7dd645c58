import * as vscode from "vscode";
import { commands, withoutFolder } from "./commands";
import { debugging } from "./debugging";
import { Documents, SCHEME } from "./documents";
import { Executions } from "./executions";
import { Publishing } from "./publishing";
import { Server } from "./server";
import { Sprocs } from "./sprocs";
import { statusBar } from "./status";

const RESTART = ["luasprocs.path", "luasprocs.context"];

/** What the tests look at. */
export interface Api {
  server: Server;
  sprocs: Sprocs;
  executions: Executions;
  status: vscode.StatusBarItem;
}

export async function activate(context: vscode.ExtensionContext): Promise<Api | undefined> {
  const walkthrough = () => vscode.commands.executeCommand("workbench.action.openWalkthrough", "luasprocs.luasprocs#luasprocs.start", false);
  context.subscriptions.push(vscode.commands.registerCommand("luasprocs.walkthrough", walkthrough));
  const folder = await folderOfSprocs();
  if (!folder) {
    context.subscriptions.push(...withoutFolder(context.extension.packageJSON.contributes.commands));
    return undefined;
  }
  const server = new Server(folder);
  const sprocs = new Sprocs(server);
  const documents = new Documents(server);
  const executions = new Executions(server);
  const status = statusBar(server);
  const publishing = new Publishing(server, sprocs, documents);
  executions.view = vscode.window.createTreeView("luasprocs.executions", { treeDataProvider: executions });
  const installed = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, "{.venv,venv}/bin/luasprocs"), false, true, true);
  context.subscriptions.push(
    server,
    executions,
    executions.view,
    publishing,
    status,
    debugging(server),
    installed,
    installed.onDidCreate(() => server.running || server.start()),
    vscode.window.registerTreeDataProvider("luasprocs.sprocs", sprocs),
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, documents),
    vscode.workspace.onDidChangeConfiguration((changed) => RESTART.some((one) => changed.affectsConfiguration(one)) && server.start()),
    ...commands({ server, sprocs, documents, executions, publishing, memory: context.workspaceState }),
  );
  await server.start();
  return { server, sprocs, executions, status };
}

/** The first folder that has a luasprocs.toml, else the first. */
async function folderOfSprocs(): Promise<string | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  for (const { uri } of folders) {
    const found = await vscode.workspace.fs.stat(vscode.Uri.joinPath(uri, "luasprocs.toml")).then(() => true, () => false);
    if (found) return uri.fsPath;
  }
  return folders[0]?.uri.fsPath;
}
