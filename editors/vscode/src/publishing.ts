/** Publishing what an editor holds; and what happens if somebody else was faster. */
import * as vscode from "vscode";
import type { Documents } from "./documents";
import { merge, sameText } from "./merging";
import { confirmation } from "./production";
import type { Conflict } from "./requests";
import type { Server } from "./server";
import type { Sprocs } from "./sprocs";

const MARKS = /^(<{7}|>{7}) /m;

export class Publishing implements vscode.Disposable {
  /** Files with a conflict that was shown, and what it was about. */
  private readonly conflicts = new Map<string, Conflict>();
  /** What somebody is saving; what VS Code saves by itself after a while is not published. */
  private readonly byHand = new WeakSet<vscode.TextDocument>();
  /** A file that is saved because it is about to be published. */
  private saving?: string;
  private readonly listening: vscode.Disposable;

  constructor(
    private readonly server: Server,
    private readonly sprocs: Sprocs,
    private readonly documents: Documents,
  ) {
    this.listening = vscode.Disposable.from(
      vscode.workspace.onWillSaveTextDocument(({ document, reason }) => {
        if (reason === vscode.TextDocumentSaveReason.Manual) this.byHand.add(document);
      }),
      vscode.workspace.onDidSaveTextDocument((document) => this.byHand.delete(document) && this.saved(document)),
    );
  }

  dispose(): void {
    this.listening.dispose();
  }

  /** Makes a file live; false: it isn't. */
  async publish(uri: vscode.Uri): Promise<boolean> {
    const document = await vscode.workspace.openTextDocument(uri);
    if (!(await this.save(document))) return false;
    const name = (await this.sprocs.nameOf(uri)) ?? vscode.workspace.asRelativePath(uri);
    if (MARKS.test(document.getText())) {
      void vscode.window.showErrorMessage(`${name} still has marks of a conflict: it is not published`);
      return false;
    }
    const before = this.conflicts.get(uri.toString());
    if (before && !sameText(before.live ?? "", document.getText()) && !(await this.replaces(name, uri, before))) return false;
    const confirm = await confirmation(this.server, name, "publish");
    if (confirm === undefined) return false;
    const done = await this.server.ask("publish", { uri: uri.toString(), confirm, ...(before && { force: { blob: before.blob } }) });
    if (done.published) {
      this.conflicts.delete(uri.toString());
      this.live(name, done.generation);
      return true;
    }
    this.conflicts.set(uri.toString(), done.conflict);
    void this.show(name, uri, done.conflict);
    return false;
  }

  /** Says that a sproc is live. */
  live(name: string, generation: number | null): void {
    vscode.window.setStatusBarMessage(`$(pass) ${name} is live${generation ? `, generation ${generation}` : " already"}`, 10_000);
  }

  private async save(document: vscode.TextDocument): Promise<boolean> {
    this.saving = document.uri.toString();
    try {
      return !document.isDirty || (await document.save());
    } finally {
      this.saving = undefined;
    }
  }

  private async saved(document: vscode.TextDocument): Promise<void> {
    const { uri } = document;
    if (this.saving === uri.toString()) return;
    const when = vscode.workspace.getConfiguration("luasprocs", uri).get<string>("publishOnSave");
    if (when === "off" || document.languageId !== "lua" || MARKS.test(document.getText())) return;
    if (!this.server.state?.connected) return this.unpublished(uri);
    const sproc = await this.sprocs.of(uri);
    if (!sproc) return;
    if (when === "ask" && !this.conflicts.has(uri.toString())) {
      const where = this.server.state.context ?? this.server.state.redis;
      if ((await vscode.window.showInformationMessage(`Publish ${sproc.name} to ${where}?`, "Publish")) !== "Publish") return;
    }
    await vscode.commands.executeCommand("luasprocs.publish", uri);
  }

  /** Says that what was saved is not live, and why. */
  private async unpublished(uri: vscode.Uri): Promise<void> {
    const name = await this.sprocs.nameOf(uri);
    if (name) vscode.window.setStatusBarMessage(`$(warning) ${name} is saved, and not published: no Redis is connected`, 10_000);
  }

  private async replaces(name: string, uri: vscode.Uri, conflict: Conflict): Promise<boolean> {
    const text = `${name}: your text replaces the live one that you saw in the conflict.`;
    const answer = await vscode.window.showWarningMessage(text, "Publish", "Merge");
    if (answer === "Merge") await this.merge(name, uri, conflict);
    return answer === "Publish";
  }

  private async show(name: string, uri: vscode.Uri, conflict: Conflict): Promise<void> {
    const text = `${name} is not published: its live text has changed since you began.`;
    const answer = await vscode.window.showWarningMessage(text, "Merge", "Compare", "Take the Live Text");
    if (answer === "Merge") await this.merge(name, uri, conflict);
    if (answer === "Compare") await this.compare(name, uri, conflict);
    if (answer === "Take the Live Text") await replace(uri, conflict.live ?? "");
  }

  /** In VS Code's own editor for merges. Its command is not of the public API: without it the file is shown, with marks. */
  private async merge(name: string, uri: vscode.Uri, found: Conflict): Promise<void> {
    const yours = (await vscode.workspace.openTextDocument(uri)).getText(); // more may have been typed since the conflict was found
    if (MARKS.test(yours)) return void (await vscode.window.showTextDocument(uri));
    const conflict = { ...found, yours };
    const { text, marked } = await merge(conflict);
    await replace(uri, text);
    if (!marked) {
      await this.compare(name, uri, conflict);
      return;
    }
    const input = (kind: "live" | "yours" | "base") => this.documents.hold(kind, name, conflict[kind] ?? "", conflict.blob);
    const [input1, input2] = [
      { uri: input("live"), title: "Live", description: name },
      { uri: input("yours"), title: "Yours", description: name },
    ];
    try {
      await vscode.commands.executeCommand("_open.mergeEditor", { base: input("base"), input1, input2, output: uri });
    } catch {
      await vscode.window.showTextDocument(uri);
    }
  }

  private async compare(name: string, uri: vscode.Uri, conflict: Conflict): Promise<void> {
    const live = this.documents.hold("live", name, conflict.live ?? "", conflict.blob);
    await vscode.commands.executeCommand("vscode.diff", live, uri, `${name}: live ↔ yours`);
  }
}

async function replace(uri: vscode.Uri, text: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(uri);
  const edit = new vscode.WorkspaceEdit();
  edit.replace(uri, document.validateRange(new vscode.Range(0, 0, document.lineCount, 0)), text);
  await vscode.workspace.applyEdit(edit);
}
