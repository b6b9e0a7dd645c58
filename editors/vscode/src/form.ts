/** A sproc's header as a form: each key with its value, doc and choices; all changes are applied at once. */
import * as vscode from "vscode";
import type { Field } from "./requests";

type Changes = Record<string, string | null>;
const REMOVE = "$(trash) Remove";
const OTHER = "$(edit) Another…";

/** What is to be changed; undefined: nothing. */
export async function fillForm(name: string, fields: Field[]): Promise<Changes | undefined> {
  const changes: Changes = {};
  for (;;) {
    const chosen = await pickField(name, fields, changes);
    if (!chosen) return undefined;
    if (chosen === "apply") return changes;
    const before = valueOf(chosen, changes);
    const value = await askValue(name, chosen, before);
    if (value === undefined || value === before) continue;
    if (value === chosen.value) delete changes[chosen.key];
    else changes[chosen.key] = value;
  }
}

function valueOf(field: Field, changes: Changes): string | null {
  return field.key in changes ? changes[field.key] : field.value;
}

async function pickField(name: string, fields: Field[], changes: Changes): Promise<Field | "apply" | undefined> {
  const count = Object.keys(changes).length;
  const rows = fields.map((field) => {
    const value = valueOf(field, changes);
    return { label: field.key, description: `${value === null ? "" : `= ${value}`}${field.key in changes ? "  $(edit)" : ""}`, detail: field.doc, field };
  });
  rows.sort((one, other) => Number(other.field.value !== null) - Number(one.field.value !== null));
  const apply = { label: `$(check) Make ${count} change${count === 1 ? "" : "s"} live`, description: summary(changes), detail: "", field: "apply" as const };
  const picked = await vscode.window.showQuickPick([...(count ? [apply] : []), ...rows], { title: `Header of ${name}`, matchOnDetail: true });
  return picked?.field;
}

function summary(changes: Changes): string {
  return Object.entries(changes).map(([key, value]) => (value === null ? `without ${key}` : `${key}=${value}`)).join(", ");
}

async function askValue(name: string, field: Field, before: string | null): Promise<string | null | undefined> {
  const title = `${field.key} of ${name}`;
  if (field.values.length) {
    const rows = [...field.values, OTHER, ...(before === null ? [] : [REMOVE])];
    const picked = await vscode.window.showQuickPick(rows, { title, placeHolder: field.doc });
    if (picked === REMOVE) return null;
    if (picked !== OTHER) return picked;
  }
  const value = await vscode.window.showInputBox({ title, prompt: `${field.doc} It takes ${field.expected}; nothing removes it.`, value: before ?? "" });
  return value === "" ? null : value;
}
