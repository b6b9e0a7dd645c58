/** The keys and arguments that a sproc is run with; what was given last is offered again. */
import * as vscode from "vscode";
import { words } from "./words";

export interface Given {
  keys: string[];
  args: string[];
}

export async function askArguments(memory: vscode.Memento, name: string): Promise<Given | undefined> {
  const last = memory.get<Record<"keys" | "args", string>>(`run ${name}`);
  const keys = await ask(`Run ${name} (1/2)`, "KEYS, with spaces between them; quote what has one", last?.keys);
  if (keys === undefined) return undefined;
  const args = await ask(`Run ${name} (2/2)`, "ARGV, with spaces between them; quote what has one", last?.args);
  if (args === undefined) return undefined;
  await memory.update(`run ${name}`, { keys, args });
  return { keys: words(keys) ?? [], args: words(args) ?? [] };
}

function ask(title: string, prompt: string, value = ""): Thenable<string | undefined> {
  const validateInput = (text: string) => (words(text) ? undefined : "a quote is not closed");
  return vscode.window.showInputBox({ title, prompt, value, validateInput });
}
