/** A real VS Code without a screen: its server, and Chromium that shows it. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { freePort, kill, until } from "./shop.mjs";

const SERVER = path.join(import.meta.dirname, "node_modules/code-server/lib/vscode");
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((one) => fs.existsSync(one));
const SETTINGS = {
  "files.autoSave": "off",
  "remote.autoForwardPorts": false,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "window.commandCenter": false,
  "chat.commandCenter.enabled": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "extensions.ignoreRecommendations": true,
  "extensions.autoCheckUpdates": false,
  "git.openRepositoryInParentFolders": "never",
  "editor.minimap.enabled": false,
  "editor.fontSize": 13,
  "telemetry.telemetryLevel": "off",
};

export class VSCode {
  constructor(folder, environment) {
    // The server finds what it needs beside itself; all of it came by the one lock file.
    const modules = path.join(SERVER, "node_modules");
    if (!fs.existsSync(modules)) fs.symlinkSync("../../..", modules);
    const data = path.join(folder, "vscode");
    fs.mkdirSync(path.join(data, "data/Machine"), { recursive: true });
    fs.writeFileSync(path.join(data, "data/Machine/settings.json"), JSON.stringify(SETTINGS));
    this.environment = { ...environment, NODE_OPTIONS: "" };
    this.flags = ["--host", "127.0.0.1", "--without-connection-token", "--accept-server-license-terms", "--disable-workspace-trust"];
    this.flags.push("--telemetry-level", "off", "--server-data-dir", data, "--extensions-dir", path.join(data, "extensions"));
  }

  spawn(args, more = {}) {
    const child = spawn(process.execPath, ["out/server-main.js", ...this.flags, ...args], { cwd: SERVER, env: { ...this.environment, ...more }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    child.said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.said += data));
    return child;
  }

  install(vsix) {
    return new Promise((resolve, reject) => {
      const child = this.spawn(["--install-extension", vsix]);
      child.on("exit", (code) => (code ? reject(new Error(child.said)) : resolve()));
    });
  }

  async serve(environment) {
    const port = await freePort();
    this.host = `127.0.0.1:${port}`;
    this.process = this.spawn(["--port", String(port)], environment);
    await until("VS Code", () => this.process.said.includes("Extension host agent started"));
    if (!CHROMIUM) throw new Error("Chromium is missing: .ci/install-chromium");
    this.browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  }

  /** Opens a folder in a new window. */
  async open(folder, payload = {}) {
    const page = await this.browser.newPage({ viewport: { width: 1280, height: 800 } });
    const query = new URLSearchParams({ folder, payload: JSON.stringify(Object.entries(payload)) });
    await page.goto(`http://${this.host}/?${query}`);
    await page.waitForSelector(".monaco-workbench", { timeout: 60_000 });
    return page;
  }

  at(file) {
    return `vscode-remote://${this.host}${file}`;
  }

  async close() {
    await this.browser?.close();
    if (this.process) kill(this.process);
  }
}
