/** The language server: found, started, asked, started anew. */
import * as vscode from "vscode";
import { LanguageClient, ResponseError, State as ClientState } from "vscode-languageclient/node";
import { findLuasprocs, setting } from "./find";
import type { Executed, Requests, State } from "./requests";

const METHOD_NOT_FOUND = -32601;
const PENDING_REJECTED = -32097;
const PATIENCE_MS = 20_000;
const CHANGES: (keyof Requests)[] = ["run", "publish", "rollback", "setMetadata"];

export class Server implements vscode.Disposable {
  private client?: LanguageClient;
  private files?: vscode.FileSystemWatcher;
  private starting: Promise<void> = Promise.resolve();
  private readonly changedState = new vscode.EventEmitter<State | undefined>();
  private readonly changedSprocs = new vscode.EventEmitter<void>();
  private readonly executed = new vscode.EventEmitter<Executed>();
  /** undefined: there is no server, or one that knows nothing of Redis. */
  private readonly started = new vscode.EventEmitter<void>();
  readonly onState = this.changedState.event;
  readonly onSprocs = this.changedSprocs.event;
  readonly onExecutions = this.executed.event;
  /** It runs, maybe anew: it has forgotten what it was asked to tell. */
  readonly onStarted = this.started.event;
  command?: string;
  state?: State;

  constructor(readonly folder: string) {}

  /** Starts it, or starts it anew; one after the other. */
  start(): Promise<void> {
    this.starting = this.starting.then(() => this.startNow()).catch((error) => void vscode.window.showErrorMessage(`luasprocs lsp: ${error}`));
    return this.starting;
  }

  /** That of screen.toml whose Redis is shown; "": the Redis of the workspace's settings. */
  get context(): string {
    return setting(this.folder, "context");
  }

  get running(): boolean {
    return this.client?.state === ClientState.Running;
  }

  async ask<Name extends keyof Requests>(name: Name, params: Requests[Name][0]): Promise<Requests[Name][1]> {
    await this.starting;
    if (!this.client) throw new Error("luasprocs is not found");
    const cancelled = new vscode.CancellationTokenSource();
    const maybe = CHANGES.includes(name) ? `; it may have done this (${name}) or not` : "";
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`luasprocs lsp has not answered for ${PATIENCE_MS / 1000} s: restart it${maybe}`)), PATIENCE_MS);
    });
    try {
      return await Promise.race([this.client.sendRequest<Requests[Name][1]>(`luasprocs/${name}`, params, cancelled.token), late]);
    } catch (error) {
      if (error instanceof ResponseError && error.code === PENDING_REJECTED) throw new Error(`luasprocs lsp ended before it answered${maybe}`);
      throw error;
    } finally {
      clearTimeout(timer);
      cancelled.cancel();
    }
  }

  async dispose(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.files?.dispose();
    // One that hangs doesn't stop when asked; it is killed then, and says so here.
    await client?.dispose().catch(() => undefined);
  }

  private async startNow(): Promise<void> {
    await this.dispose();
    this.command = await findLuasprocs(this.folder);
    this.tell(undefined);
    if (!this.command) return void this.missing();
    const { context } = this;
    const run = { command: this.command, args: ["lsp", ...(context ? ["--context", context] : [])], options: { cwd: this.folder } };
    this.files = vscode.workspace.createFileSystemWatcher("**/{*.lua,luasprocs.toml}");
    const client = new LanguageClient("luasprocs", run, { documentSelector: [{ scheme: "file", language: "lua" }], synchronize: { fileEvents: this.files } });
    client.onNotification("luasprocs/stateChanged", (state: State) => this.tell(state));
    client.onNotification("luasprocs/sprocsChanged", () => this.changedSprocs.fire());
    client.onNotification("luasprocs/executions", (told: Executed) => this.executed.fire(told));
    client.onDidChangeState(({ newState }) => newState === ClientState.Running && client === this.client && void this.look());
    this.client = client;
    await client.start();
  }

  private async look(): Promise<void> {
    try {
      this.tell(await this.ask("state", {}));
    } catch (error) {
      if (!(error instanceof ResponseError && error.code === METHOD_NOT_FOUND)) throw error;
    }
    this.changedSprocs.fire();
    this.started.fire();
  }

  private tell(state: State | undefined): void {
    this.state = state;
    void vscode.commands.executeCommand("setContext", "luasprocs.running", this.running);
    void vscode.commands.executeCommand("setContext", "luasprocs.connected", state?.connected ?? false);
    this.changedState.fire(state);
  }

  private async missing(): Promise<void> {
    const text = "The luasprocs command is in none of: the setting luasprocs.path, the workspace's .venv, the selected Python's environment, PATH.";
    const answer = await vscode.window.showWarningMessage(text, "How to Install", "Choose File…", "Try Again");
    if (answer === "How to Install") {
      await vscode.commands.executeCommand("luasprocs.walkthrough");
    } else if (answer === "Choose File…") {
      const [chosen] = (await vscode.window.showOpenDialog({ title: "The luasprocs command" })) ?? [];
      if (chosen) await vscode.workspace.getConfiguration("luasprocs", vscode.Uri.file(this.folder)).update("path", chosen.fsPath);
    } else if (answer === "Try Again") {
      await this.start();
    }
  }
}
