/** The requests of `luasprocs lsp` beyond the protocol's own: see docs/language_server.md. */

export interface Finding {
  level: "error" | "warning" | "info";
  code: string;
  message: string;
  hint?: string;
  names?: string[];
}

export interface State {
  connected: boolean;
  redis: string;
  context: string | null;
  production: boolean;
  error: string | null;
  generation: number | null;
  findings: Finding[];
}

export interface Sproc {
  name: string;
  description: string;
  tags: string;
  drift: boolean;
  edited: boolean;
  failing: boolean;
  paused: boolean;
  uri: string | null;
  trouble: string | null;
}

export interface Conflict {
  base: string | null;
  live: string | null;
  yours: string;
  blob: string;
}

/** `generation` null: it was live already. */
export type Published = { published: true; generation: number | null } | { published: false; conflict: Conflict };

export interface Generation {
  generation: number;
  action: string;
  commit: string;
  author: string;
  subject: string;
  applied_at: string;
  applied_by: string;
}

export interface Field {
  key: string;
  value: string | null;
  expected: string;
  /** Common ones, to choose from. */
  values: string[];
  doc: string;
}

export interface Execution {
  id: string;
  time_ms: number;
  sproc: string;
  trigger: string;
  key: string;
  event: string;
  status: string;
  duration_us: number;
  reply: string;
  error: string;
}

/** Executions, the oldest first; `dropped` more at least came too fast. */
export interface Executed {
  records: Execution[];
  dropped: number;
}

/** In production what changes something needs `confirm`, the sproc's name. */
interface Confirmed {
  confirm: string;
}

/** Each request: its parameters and its result. */
export interface Requests {
  state: [Record<string, never>, State];
  list: [Record<string, never>, { sprocs: Sproc[] }];
  run: [Confirmed & { name: string; keys: string[]; args: string[] }, { reply: unknown; text: string; duration_us: number }];
  live: [{ name: string }, { source: string; blob: string }];
  publish: [Confirmed & { uri: string; force?: { blob: string } }, Published];
  history: [{ name: string }, { generations: Generation[] }];
  rollback: [Partial<Confirmed> & { name: string; generation: number; dry_run?: boolean }, { source: string | null }];
  metadata: [{ name: string }, { fields: Field[]; blob: string }];
  setMetadata: [Confirmed & { name: string; changes: Record<string, string | null>; blob: string }, Published];
  tail: [{ on: boolean }, Record<string, unknown>];
}
