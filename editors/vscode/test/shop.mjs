/** A shop as a team has it: a bare repository with a daemon, a colleague's clone that nobody needs, one of ours that VS Code opens, a Redis. */
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../../..");
export const LUASPROCS = path.join(ROOT, ".venv/bin/luasprocs");

const SPROCS = {
  "lib/money.lua": "-- library=yes\n-- description=Prices\nlocal M = {}\n\nfunction M.total(price, count)\n  return price * count\nend\n\nreturn M\n",
  "order.lua": `-- Takes an order: what it costs is kept with it.
--
-- KEYS   the order
-- ARGV   item, count
-- reply  what it costs
--
-- description=Take an order
local money = require('lib/money.lua')

local price = tonumber(redis.call('HGET', 'prices', ARGV[1])) or 0
local total = money.total(price, tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'item', ARGV[1], 'total', total)
return total
`,
  "hello.lua": "-- description=Say hello\n-- tags=first\n--\n-- ARGV  whom\nlocal name = ARGV[1] or 'world'\n\nreturn 'hello ' .. name\n",
  "copy.lua": "-- description=Copy each dream\n-- event=set\n-- key=dream*\nredis.call('SET', 'copy', KEYS[1] .. '=' .. ARGV[1])\n",
  "broken.lua": "-- description=Counts\nredis.call('INCR', KEYS[1])\nreturn 1\n",
};

/** Who calls it closes it, also if it could not be opened. */
export async function openShop(shop) {
  const { folder, port } = shop;
  shop.spawn("redis-server", "--port", String(port), "--save", "", "--dir", folder);
  await until("Redis", () => shop.redis("PING") === "PONG");
  shop.git("init", "--quiet", "--bare", "-b", "main", shop.bare);
  shop.git("clone", "--quiet", shop.bare, shop.tree);
  for (const [name, value] of [["user.name", "Ann"], ["user.email", "ann@shop.example"]]) shop.git("-C", shop.tree, "config", name, value);
  shop.luasprocs("init");
  for (const [name, text] of Object.entries(SPROCS)) shop.write(name, text);
  fs.symlinkSync(path.join(ROOT, ".venv"), path.join(shop.tree, ".venv"));
  fs.appendFileSync(path.join(shop.tree, ".git/info/exclude"), ".venv\n.vscode\n");
  shop.commit("The shop opens");
  shop.luasprocs("sync");
  shop.redis("HSET", "prices", "red apple", "5", "pear", "7");
  const daemon = shop.spawn(LUASPROCS, "--repo", shop.bare, "daemon");
  await until("the daemon", () => daemon.said.includes("listening"));
}

export class Shop {
  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
    this.bare = path.join(folder, "shop.git");
    this.tree = path.join(folder, "shop");
    this.environment = { ...process.env, LUASPROCS_REDIS: `redis://127.0.0.1:${port}/0`, LUASPROCS_REPO: "", XDG_CONFIG_HOME: folder, XDG_STATE_HOME: folder };
    delete this.environment.LUASPROCS_REPO;
    this.processes = [];
  }

  spawn(command, ...args) {
    const child = spawn(command, args, { env: this.environment, cwd: fs.existsSync(this.tree) ? this.tree : this.folder, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    child.said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.said += data));
    this.processes.push(child);
    return child;
  }

  run(command, args, more = {}) {
    return execFileSync(command, args, { env: { ...this.environment, ...more }, cwd: fs.existsSync(this.tree) ? this.tree : this.folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  }

  redis(...args) {
    try {
      return this.run("redis-cli", ["-p", String(this.port), ...args]);
    } catch (error) {
      return String(error.stderr);
    }
  }

  git(...args) {
    return this.run("git", args);
  }

  luasprocs(...args) {
    return this.run(LUASPROCS, args);
  }

  execute(name, keys = [], args = []) {
    return this.redis("FCALL", "luasprocs_execute", String(keys.length), ...keys, name, ...args);
  }

  path(name) {
    return path.join(this.tree, "sprocs", name);
  }

  read(name) {
    return fs.readFileSync(this.path(name), "utf8");
  }

  write(name, text) {
    fs.mkdirSync(path.dirname(this.path(name)), { recursive: true });
    fs.writeFileSync(this.path(name), text);
  }

  /** Writes a file of VS Code's own. */
  configure(name, value) {
    fs.mkdirSync(path.join(this.tree, ".vscode"), { recursive: true });
    fs.writeFileSync(path.join(this.tree, ".vscode", name), JSON.stringify(value));
  }

  commit(subject) {
    this.git("-C", this.tree, "add", "--all");
    this.git("-C", this.tree, "commit", "--quiet", "-m", subject);
    this.git("-C", this.tree, "push", "--quiet", "origin", "HEAD:main");
  }

  /** What a colleague makes live, from another machine. */
  colleague(name, text) {
    const file = path.join(this.folder, "colleague.lua");
    fs.writeFileSync(file, text);
    return this.run(LUASPROCS, ["edit", name], { VISUAL: `cp ${file}`, EDITOR: `cp ${file}` });
  }

  committed(name) {
    return this.git("-C", this.bare, "show", `main:sprocs/${name}`);
  }

  close() {
    for (const child of this.processes.toReversed()) kill(child);
  }
}

/** With all that it started. */
export function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

export async function until(what, probe, seconds = 45) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
