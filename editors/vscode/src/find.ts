/** Where the `luasprocs` command of a workspace is. */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";

/** A setting as it is for a folder, whose own counts among several; "" for what is no text. */
export function setting(folder: string, name: "path" | "context"): string {
  const value = vscode.workspace.getConfiguration("luasprocs", vscode.Uri.file(folder)).get<unknown>(name);
  return typeof value === "string" ? value.trim() : "";
}

interface PythonExtension {
  environments: { getActiveEnvironmentPath(resource?: vscode.Uri): { path: string } };
}

/** In this order: the setting, the workspace's own environment, the Python extension's, PATH. */
export async function findLuasprocs(folder: string): Promise<string | undefined> {
  const set = setting(folder, "path");
  if (set) return firstExecutable([path.resolve(folder, set.replace("${workspaceFolder}", folder))]);
  return firstExecutable([
    ...[".venv", "venv"].map((name) => path.join(folder, name, "bin", "luasprocs")),
    ...(await ofPythonExtension(folder)),
    ...(process.env.PATH ?? "").split(path.delimiter).filter(Boolean).map((one) => path.join(one, "luasprocs")),
  ]);
}

async function ofPythonExtension(folder: string): Promise<string[]> {
  const extension = vscode.extensions.getExtension<PythonExtension>("ms-python.python");
  if (!extension) return [];
  const found = (await extension.activate()).environments?.getActiveEnvironmentPath(vscode.Uri.file(folder)).path;
  // It is the interpreter, or the environment's folder.
  return found ? [path.join(path.dirname(found), "luasprocs"), path.join(found, "bin", "luasprocs")] : [];
}

async function firstExecutable(candidates: string[]): Promise<string | undefined> {
  for (const candidate of candidates) {
    try {
      await fs.access(candidate, fs.constants.X_OK);
      if ((await fs.stat(candidate)).isFile()) return candidate;
    } catch {
      // The next one.
    }
  }
  return undefined;
}
