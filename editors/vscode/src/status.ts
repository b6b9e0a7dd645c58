/** The status bar: where one is, and what is wrong there. */
import * as vscode from "vscode";
import type { Finding, State } from "./requests";
import type { Server } from "./server";

const ICONS = { error: "$(error)", warning: "$(warning)", info: "$(info)" };

export function statusBar(server: Server): vscode.StatusBarItem {
  const item = vscode.window.createStatusBarItem("luasprocs.state", vscode.StatusBarAlignment.Left, 10);
  item.name = "luasprocs";
  item.command = "luasprocs.findings";
  const draw = () => {
    const { text, tooltip, background } = words(server.state, server.command);
    Object.assign(item, { text, tooltip, backgroundColor: background && new vscode.ThemeColor(background) });
  };
  draw();
  server.onState(draw);
  item.show();
  return item;
}

function words(state: State | undefined, command: string | undefined): { text: string; tooltip: string; background?: string } {
  if (!command) return { text: "$(warning) luasprocs: not found", tooltip: "The luasprocs command is not found" };
  if (!state) return { text: "$(symbol-function) luasprocs", tooltip: command };
  const where = state.context ?? state.redis;
  if (!state.connected) return { text: `$(debug-disconnect) ${where}`, tooltip: state.error ?? "not connected" };
  const bad = state.findings.filter((one) => one.level !== "info");
  const worst = state.findings[0]?.level;
  const text = `${bad.length ? `${ICONS[bad[0].level]} ${bad.length}` : "$(pass)"} ${where}${state.production ? " PRODUCTION" : ""}`;
  const background = worst === "error" ? "statusBarItem.errorBackground" : worst === "warning" ? "statusBarItem.warningBackground" : undefined;
  return { text, tooltip: state.findings.map((one) => one.message).join("\n") || "nothing is wrong", background };
}

/** Lists what is wrong; gives the finding that is chosen. */
export async function pickFinding(state: State | undefined): Promise<Finding | undefined> {
  const items = (state?.findings ?? []).map((one) => ({ label: `${ICONS[one.level]} ${one.message}`, detail: one.hint, one }));
  const title = state ? (state.connected ? state.redis : (state.error ?? state.redis)) : "luasprocs";
  return (await vscode.window.showQuickPick(items, { title, placeHolder: items.length ? "What is wrong" : "Nothing is wrong" }))?.one;
}
