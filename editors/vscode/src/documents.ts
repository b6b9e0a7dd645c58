/** Texts that are in no file, read-only: what is live, what was live, what a conflict is about. */
import * as vscode from "vscode";
import type { Server } from "./server";

export const SCHEME = "luasprocs";

/** Of a conflict: what both began from. */
export type Kind = "live" | "yours" | "base" | "generation";

export class Documents implements vscode.TextDocumentContentProvider {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly held = new Map<string, string>();

  constructor(private readonly server: Server) {
    server.onSprocs(() => this.refresh());
  }

  /** The live text of a sproc, read again whenever it may have changed. */
  live(name: string): vscode.Uri {
    return vscode.Uri.from({ scheme: SCHEME, authority: "live", path: `/${name}` });
  }

  /** A text that stays what it is. */
  hold(kind: Kind, name: string, text: string, which = ""): vscode.Uri {
    const uri = vscode.Uri.from({ scheme: SCHEME, authority: kind, path: `/${name}`, query: which });
    this.held.set(uri.toString(), text);
    this.changed.fire(uri);
    return uri;
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    return this.held.get(uri.toString()) ?? (await this.server.ask("live", { name: uri.path.slice(1) })).source;
  }

  private refresh(): void {
    for (const { uri } of vscode.workspace.textDocuments) {
      if (uri.scheme === SCHEME && !this.held.has(uri.toString())) this.changed.fire(uri);
    }
  }
}
