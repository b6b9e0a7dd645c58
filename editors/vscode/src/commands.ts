/** What the palette, the menus and the code lenses offer. */
import * as vscode from "vscode";
import { askArguments } from "./arguments";
import { debug } from "./debugging";
import type { Documents } from "./documents";
import { type Executions, placeOf } from "./executions";
import { fillForm } from "./form";
import { confirmation } from "./production";
import type { Publishing } from "./publishing";
import type { Execution, Sproc } from "./requests";
import type { Server } from "./server";
import type { Sprocs } from "./sprocs";
import { pickFinding } from "./status";

export interface Parts {
  server: Server;
  sprocs: Sprocs;
  documents: Documents;
  executions: Executions;
  publishing: Publishing;
  memory: vscode.Memento;
}

/** What a command is about: a row of the tree, a file with the name of its sproc (code lenses), a file, or the file in the editor. */
type Subject = Sproc | vscode.Uri | string | undefined;

interface Target {
  name: string;
  uri: vscode.Uri | null;
}

export function commands(parts: Parts): vscode.Disposable[] {
  const on = (command: string, act: (target: Target) => Thenable<unknown>) =>
    register(command, async (subject: Subject, name?: string) => {
      const found = await target(parts.sprocs, subject, name);
      return found && act(found);
    });
  return [
    register("luasprocs.restart", () => parts.server.start()),
    register("luasprocs.install", async () => type(parts.server, "python3 -m venv .venv && .venv/bin/pip install ")),
    register("luasprocs.up", async () => type(parts.server, `${JSON.stringify(parts.server.command ?? "luasprocs")} init && ${JSON.stringify(parts.server.command ?? "luasprocs")} up`)),
    register("luasprocs.refresh", async () => parts.sprocs.refresh()),
    register("luasprocs.findings", () => findings(parts)),
    register("luasprocs.follow", () => parts.executions.follow(true)),
    register("luasprocs.unfollow", () => parts.executions.follow(false)),
    register("luasprocs.allExecutions", () => parts.executions.show()),
    register("luasprocs.openExecution", (one: Execution) => openExecution(parts, one)),
    register("luasprocs.debugExecution", (one: Execution) => debugExecution(parts, one)),
    on("luasprocs.executions", ({ name }) => parts.executions.show(name)),
    on("luasprocs.showLive", ({ name }) => vscode.window.showTextDocument(parts.documents.live(name))),
    on("luasprocs.run", ({ name }) => run(parts, name)),
    on("luasprocs.debug", (one) => withFile(one, (uri) => debug(uri))),
    on("luasprocs.debugWith", (one) => withFile(one, async (uri) => {
      const given = await askArguments(parts.memory, one.name);
      if (given) await debug(uri, { ...given });
    })),
    on("luasprocs.publish", (one) => withFile(one, (uri) => parts.publishing.publish(uri))),
    on("luasprocs.diff", (one) => withFile(one, (uri) => diff(parts, one.name, uri, "file"))),
    on("luasprocs.diffHead", (one) => withFile(one, (uri) => diff(parts, one.name, head(uri), "HEAD"))),
    on("luasprocs.history", ({ name }) => history(parts, name)),
    on("luasprocs.header", (one) => header(parts, one.name)),
  ];
}

/** In a window without a folder: each command of the extension says so, instead of VS Code that there is no such command. */
export function withoutFolder(contributed: { command: string }[]): vscode.Disposable[] {
  const others = contributed.map(({ command }) => command).filter((one) => one !== "luasprocs.walkthrough");
  return others.map((one) => register(one, async () => void vscode.window.showInformationMessage("Open the folder of a repository of sprocs first.", "Open Folder…").then((answer) => answer && vscode.commands.executeCommand("vscode.openFolder"))));
}

function register(command: string, act: (...args: any[]) => Thenable<unknown>): vscode.Disposable {
  return vscode.commands.registerCommand(command, async (...args: unknown[]) => {
    try {
      return await act(...args);
    } catch (error) {
      void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  });
}

/** Types a command into a terminal: the user looks at it, and presses Enter. */
function type(server: Server, command: string): void {
  const terminal = vscode.window.createTerminal({ name: "luasprocs", cwd: server.folder });
  terminal.show();
  terminal.sendText(command, false);
}

async function target(sprocs: Sprocs, subject: Subject, name?: string): Promise<Target | undefined> {
  if (subject && typeof subject === "object" && "name" in subject) return { name: subject.name, uri: subject.uri ? vscode.Uri.parse(subject.uri) : null };
  const uri = typeof subject === "string" ? vscode.Uri.parse(subject) : (subject ?? vscode.window.activeTextEditor?.document.uri);
  if (uri && name) return { name, uri };
  const sproc = uri && (await sprocs.of(uri));
  if (sproc) return { name: sproc.name, uri };
  if (uri?.scheme === "file" && uri.path.endsWith(".lua")) return { name: (await sprocs.nameOf(uri)) ?? vscode.workspace.asRelativePath(uri), uri };
  const items = (await sprocs.all()).map((one) => ({ label: one.name, description: one.description, one }));
  const picked = await vscode.window.showQuickPick(items, { placeHolder: "Which sproc?" });
  return picked && { name: picked.one.name, uri: picked.one.uri ? vscode.Uri.parse(picked.one.uri) : null };
}

async function withFile(one: Target, act: (uri: vscode.Uri) => Promise<unknown>): Promise<unknown> {
  if (!one.uri) throw new Error(`${one.name} has no file in the work tree`);
  return act(one.uri);
}

function head(uri: vscode.Uri): vscode.Uri {
  return uri.with({ scheme: "git", query: JSON.stringify({ path: uri.fsPath, ref: "HEAD" }) });
}

async function diff(parts: Parts, name: string, file: vscode.Uri, what: string): Promise<void> {
  await vscode.commands.executeCommand("vscode.diff", parts.documents.live(name), file, `${name}: live ↔ ${what}`);
}

async function findings(parts: Parts): Promise<void> {
  const finding = await pickFinding(parts.server.state);
  const sproc = (await parts.sprocs.all()).find((one) => finding?.names?.includes(one.name));
  if (sproc) await open(parts, sproc, 0);
}

async function open(parts: Parts, sproc: Sproc, line: number): Promise<void> {
  const uri = sproc.uri ? vscode.Uri.parse(sproc.uri) : parts.documents.live(sproc.name);
  await vscode.window.showTextDocument(uri, { selection: new vscode.Range(line, 0, line, 0) });
}

async function run(parts: Parts, name: string): Promise<void> {
  const given = await askArguments(parts.memory, name);
  if (!given) return;
  const confirm = await confirmation(parts.server, name, "run");
  if (confirm === undefined) return;
  const done = await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: `${name} runs` }, () =>
    parts.server.ask("run", { name, confirm, ...given }),
  );
  const lines = done.text.trimEnd().split("\n");
  const answer = await vscode.window.showInformationMessage(`${name} → ${lines[0]}${lines.length > 1 ? " …" : ""} (${done.duration_us} µs)`, "Show Reply");
  if (answer) await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: done.text }));
}

async function history(parts: Parts, name: string): Promise<void> {
  const { generations } = await parts.server.ask("history", { name });
  const items = generations.map((one) => ({
    label: `${one.generation}`,
    description: `${one.generation === parts.server.state?.generation ? "live  " : ""}${one.action}  ${new Date(one.applied_at).toLocaleString()}  ${one.applied_by || one.author}`,
    detail: one.subject,
    generation: one.generation,
  }));
  const picked = await vscode.window.showQuickPick(items, { title: `Generations of ${name}`, placeHolder: "Compare with what is live, and roll back", matchOnDetail: true });
  if (picked) await rollback(parts, name, picked.generation);
}

/** Shows what would be live, and asks. */
async function rollback(parts: Parts, name: string, generation: number): Promise<void> {
  const { source } = await parts.server.ask("rollback", { name, generation, dry_run: true });
  const then = parts.documents.hold("generation", name, source ?? "", String(generation));
  await vscode.commands.executeCommand("vscode.diff", parts.documents.live(name), then, `${name}: live ↔ generation ${generation}`);
  const answer = await vscode.window.showInformationMessage(`Roll ${name} back to generation ${generation}?`, "Roll Back");
  const confirm = answer && (await confirmation(parts.server, name, "roll back"));
  if (confirm === undefined) return;
  await parts.server.ask("rollback", { name, generation, confirm });
  vscode.window.setStatusBarMessage(`$(pass) ${name} is as in generation ${generation}`, 10_000);
}

async function header(parts: Parts, name: string): Promise<void> {
  const { fields, blob } = await parts.server.ask("metadata", { name });
  const changes = await fillForm(name, fields);
  const confirm = changes && (await confirmation(parts.server, name, "change"));
  if (changes === undefined || confirm === undefined) return;
  const done = await parts.server.ask("setMetadata", { name, changes, blob, confirm });
  if (!done.published) throw new Error(`${name} has changed meanwhile: nothing was changed`);
  parts.publishing.live(name, done.generation);
}

async function openExecution(parts: Parts, one: Execution): Promise<void> {
  const { name, line } = placeOf(one);
  const sproc = (await parts.sprocs.all()).find((other) => other.name === name);
  if (sproc) await open(parts, sproc, line);
}

async function debugExecution(parts: Parts, one: Execution): Promise<void> {
  const sproc = (await parts.sprocs.all()).find((other) => other.name === one.sproc);
  if (!sproc?.uri) throw new Error(`${one.sproc} has no file in the work tree`);
  const { context } = parts.server;
  await debug(vscode.Uri.parse(sproc.uri), { execution: one.id, ...(context && { environment: context }) });
}
