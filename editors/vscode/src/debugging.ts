/** Debugging: `luasprocs dap` is the adapter. */
import * as vscode from "vscode";
import type { Server } from "./server";

export const TYPE = "luasprocs";

export function debugging(server: Server): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.debug.registerDebugAdapterDescriptorFactory(TYPE, {
      createDebugAdapterDescriptor: () =>
        server.command ? new vscode.DebugAdapterExecutable(server.command, ["dap"], { cwd: server.folder }) : undefined,
    }),
    // F5 without a launch.json.
    vscode.debug.registerDebugConfigurationProvider(TYPE, {
      resolveDebugConfiguration: (_, config) => (config.type ? config : { ...launch("${file}"), ...config }),
    }),
  );
}

function launch(program: string): vscode.DebugConfiguration {
  return { type: TYPE, request: "launch", name: "Debug this sproc", program };
}

/** Starts a session; it stops on entry where no breakpoint would stop it. */
export async function debug(program: vscode.Uri, more: Record<string, unknown> = {}): Promise<boolean> {
  const folder = vscode.workspace.getWorkspaceFolder(program);
  const stopOnEntry = !vscode.debug.breakpoints.some((one) => one.enabled && one instanceof vscode.SourceBreakpoint);
  return vscode.debug.startDebugging(folder, { ...launch(program.fsPath), stopOnEntry, ...more });
}
