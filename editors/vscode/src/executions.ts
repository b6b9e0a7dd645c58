/** Executions as they come, the newest first. */
import * as path from "node:path";
import * as vscode from "vscode";
import type { Executed, Execution } from "./requests";
import type { Server } from "./server";

const KEPT = 500;
/** However many come, the view is drawn this often at most. */
const REDRAW_MS = 200;

export class Executions implements vscode.TreeDataProvider<Execution>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private kept: Execution[] = [];
  private only?: string;
  private following = false;
  private redraw?: NodeJS.Timeout;
  view?: vscode.TreeView<Execution>;

  constructor(private readonly server: Server) {
    server.onExecutions((told) => this.add(told));
    server.onStarted(() => this.following && void this.ask(true));
  }

  /** Shows those of one sproc, or of all. */
  async show(name?: string): Promise<void> {
    this.only = name;
    await vscode.commands.executeCommand("luasprocs.executions.focus");
    await this.follow(true);
  }

  async follow(on: boolean): Promise<void> {
    if (this.view) Object.assign(this.view, { description: this.only, message: undefined });
    this.changed.fire();
    if (on === this.following) return;
    this.following = on;
    await vscode.commands.executeCommand("setContext", "luasprocs.following", on);
    await this.ask(on);
  }

  getChildren(parent?: Execution): Execution[] {
    return parent ? [] : this.kept.filter((one) => !this.only || one.sproc === this.only);
  }

  getTreeItem(one: Execution): vscode.TreeItem {
    const well = one.status === "ok";
    const item = new vscode.TreeItem(one.sproc);
    const why = one.trigger === "event" ? `${one.event} ${one.key}` : one.trigger;
    const how = well ? `${one.duration_us} µs  ${one.reply}` : one.error;
    item.description = `${new Date(one.time_ms).toLocaleTimeString()}  ${why}  ${how}`;
    item.tooltip = JSON.stringify(one, null, 2);
    item.iconPath = well
      ? new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed"))
      : new vscode.ThemeIcon("error", new vscode.ThemeColor("problemsErrorIcon.foreground"));
    item.contextValue = "execution";
    item.command = { title: "Open", command: "luasprocs.openExecution", arguments: [one] };
    return item;
  }

  dispose(): void {
    clearTimeout(this.redraw);
  }

  private async ask(on: boolean): Promise<void> {
    await this.server.ask("tail", { on });
  }

  private add({ records, dropped }: Executed): void {
    this.kept = [...records.toReversed(), ...this.kept].slice(0, KEPT);
    if (dropped && this.view) this.view.message = `${dropped} or more came too fast, and are left out`;
    this.redraw ??= setTimeout(() => {
      this.redraw = undefined;
      this.changed.fire();
    }, REDRAW_MS);
  }
}

/** Where an execution failed: the sproc and its line, from 0; without an error the sproc's first. */
export function placeOf(one: Execution): { name: string; line: number } {
  const found = /([\w./-]+\.lua):(\d+):/.exec(one.error);
  return found ? { name: path.posix.normalize(found[1]), line: Number(found[2]) - 1 } : { name: one.sproc, line: 0 };
}
