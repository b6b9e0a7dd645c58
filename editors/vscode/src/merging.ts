/** Three texts made one by git. */
import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import type { Conflict } from "./requests";

export interface Merged {
  text: string;
  /** Whether it has marks, because both changed the same lines. */
  marked: boolean;
}

const unix = (text: string) => text.replaceAll("\r\n", "\n");

/** Line ends make no difference: git may keep others than the file has. */
export function sameText(one: string, other: string): boolean {
  return unix(one) === unix(other);
}

export async function merge({ base, live, yours }: Conflict): Promise<Merged> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "luasprocs-"));
  try {
    const files = await Promise.all(Object.entries({ yours, base, live }).map(async ([name, text]) => {
      await fs.writeFile(path.join(folder, name), unix(text ?? ""));
      return name;
    }));
    return await mergeFile(folder, files);
  } finally {
    await fs.rm(folder, { recursive: true });
  }
}

function mergeFile(cwd: string, files: string[]): Promise<Merged> {
  const labels = files.flatMap((name) => ["-L", name]);
  return new Promise((resolve, reject) => {
    execFile("git", ["merge-file", "-p", "--diff3", ...labels, ...files], { cwd, maxBuffer: 64 << 20 }, (error, text) => {
      // Its exit code counts the conflicts; what is beyond 127 is a failure.
      if (error && !(typeof error.code === "number" && error.code <= 127)) reject(error);
      else resolve({ text, marked: error !== null });
    });
  });
}
