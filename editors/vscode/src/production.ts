import * as vscode from "vscode";
import type { Server } from "./server";

/** What `confirm` of a request shall be: in production the sproc's name is typed first; undefined: it was not. */
export async function confirmation(server: Server, name: string, what: string): Promise<string | undefined> {
  const { state } = server;
  if (!state?.production) return "";
  const prompt = `${state.context ?? state.redis} is production. Type ${name} to ${what} it.`;
  const validateInput = (text: string) => (text === name ? undefined : `type ${name}`);
  return vscode.window.showInputBox({ prompt, validateInput });
}
