/** The tree of live sprocs, those in trouble first. */
import * as vscode from "vscode";
import type { Sproc } from "./requests";
import type { Server } from "./server";

export class Sprocs implements vscode.TreeDataProvider<Sproc> {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private known: Promise<Sproc[]> | undefined;
  /** Where the files are, as far as it was seen. */
  private folder?: string;

  constructor(private readonly server: Server) {
    server.onSprocs(() => this.refresh());
    server.onState(() => this.refresh());
  }

  refresh(): void {
    this.known = undefined;
    this.changed.fire();
  }

  /** All live sprocs; none if the server can't be asked, whose state says why. */
  all(): Promise<Sproc[]> {
    this.known ??= this.server.ask("list", {}).then(({ sprocs }) => sprocs, () => []);
    return this.known;
  }

  /** The sproc of a file, if it is live. */
  async of(uri: vscode.Uri): Promise<Sproc | undefined> {
    return (await this.all()).find((one) => one.uri !== null && vscode.Uri.parse(one.uri).fsPath === uri.fsPath);
  }

  /** The name of a file, live or not, by the folder of those that are; undefined: it stands elsewhere. */
  async nameOf(uri: vscode.Uri): Promise<string | undefined> {
    const one = (await this.all()).find(({ uri }) => uri !== null);
    if (one?.uri) this.folder = vscode.Uri.parse(one.uri).path.slice(0, -one.name.length);
    return this.folder && uri.path.startsWith(this.folder) ? uri.path.slice(this.folder.length) : undefined;
  }

  async getChildren(parent?: Sproc): Promise<Sproc[]> {
    return parent || !this.server.state?.connected ? [] : this.all();
  }

  getTreeItem(sproc: Sproc): vscode.TreeItem {
    const item = new vscode.TreeItem(sproc.name);
    item.id = sproc.name;
    item.description = sproc.trouble ?? sproc.description;
    item.tooltip = [sproc.description, sproc.trouble, sproc.tags && `tags: ${sproc.tags}`].filter(Boolean).join("\n");
    item.iconPath = icon(sproc);
    item.contextValue = sproc.uri ? "sproc.file" : "sproc";
    if (sproc.uri) item.command = { title: "Open", command: "vscode.open", arguments: [vscode.Uri.parse(sproc.uri)] };
    else item.command = { title: "Open", command: "luasprocs.showLive", arguments: [sproc] };
    return item;
  }
}

function icon(sproc: Sproc): vscode.ThemeIcon {
  const color = (name: string) => new vscode.ThemeColor(name);
  if (sproc.failing) return new vscode.ThemeIcon("error", color("problemsErrorIcon.foreground"));
  if (sproc.paused) return new vscode.ThemeIcon("debug-pause", color("problemsWarningIcon.foreground"));
  if (sproc.trouble) return new vscode.ThemeIcon("warning", color("problemsWarningIcon.foreground"));
  if (sproc.edited || sproc.drift) return new vscode.ThemeIcon("edit");
  return new vscode.ThemeIcon("symbol-function");
}
