/** A window of VS Code, as somebody uses it. */
import fs from "node:fs";
import path from "node:path";
import { until } from "./shop.mjs";

export class Window {
  constructor(page, pictures) {
    this.page = page;
    this.pictures = pictures;
    page.setDefaultTimeout(45_000);
  }

  press(keys) {
    return this.page.keyboard.press(keys);
  }

  type(text) {
    return this.page.keyboard.type(text, { delay: 8 });
  }

  async command(title) {
    await this.press("F1");
    await this.page.waitForSelector(".quick-input-widget:visible");
    await this.type(title);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().click();
  }

  /** Opens a sproc by its row. */
  async openSproc(name) {
    await this.activity("Sprocs");
    // Rows move as sprocs fail, or are edited: another one may be where this one was.
    await until(`the tab of ${name}`, async () => {
      await (await this.row(name)).click();
      await this.page.waitForTimeout(200);
      return (await this.tab()) === name.split("/").at(-1);
    });
    await this.press("Control+1");
  }

  async tab() {
    const found = await this.page.$(".editor-group-container.active .tab.active");
    return found ? ((await found.getAttribute("data-resource-name")) ?? "") : "";
  }

  /** The text that is seen, with spaces as they are typed. */
  async text() {
    const lines = await this.page.locator(".editor-group-container.active .view-lines").last().innerText();
    return lines.replaceAll("\u00a0", " ");
  }

  /** Puts the cursor at the beginning of a text in the editor. */
  async click(text) {
    await this.find(text);
    await this.press("ArrowLeft");
  }

  select(text) {
    return this.find(text);
  }

  async activity(name) {
    const tab = this.page.locator(".activitybar .action-item", { has: this.page.locator(`a[aria-label^="${name}"]`) }).first();
    if ((await tab.getAttribute("aria-expanded")) !== "true" && !(await tab.getAttribute("class")).includes("checked")) await tab.click();
  }

  async row(...texts) {
    let row = this.page.locator(".sidebar .monaco-list-row");
    for (const hasText of texts) row = row.filter({ hasText });
    await row.first().waitFor();
    return row.first();
  }

  async rowAction(text, action) {
    const row = await this.row(text);
    await row.hover();
    await row.locator(`a[aria-label="${action}"]`).click();
  }

  async suggestion(label) {
    await this.page.locator(".suggest-widget.visible .monaco-list-row", { hasText: label }).first().waitFor();
  }

  /** Answers an input box. */
  async answer(title, text) {
    await this.page.locator(".quick-input-title:visible", { hasText: title }).waitFor();
    await this.press("Control+a");
    await this.type(text);
    await this.press("Enter");
  }

  /** Takes a row of a list, after typing it: a long list draws what is in sight. */
  async pick(text) {
    await this.page.locator(".quick-input-list .monaco-list-row").first().waitFor();
    await this.type(text);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: text }).first().click();
  }

  /** Waits for a message; presses one of its buttons. */
  async toast(text, button) {
    const toast = this.page.locator(".notification-toast", { hasText: text }).first();
    await toast.waitFor();
    if (button) await toast.locator(".monaco-button", { hasText: button }).first().click();
  }

  button(text) {
    return this.page.locator(".monaco-button", { hasText: text }).first().click();
  }

  async statusBar(id) {
    return this.page.locator(`.statusbar-item[id*="${id}"]`).first().innerText();
  }

  variables() {
    return this.page.locator(".debug-variables, .variables-view, .debug-viewlet").first().innerText();
  }

  async conditionalBreakpoint(text, condition) {
    await this.find(text);
    await this.press("Escape");
    await this.command("Debug: Add Conditional Breakpoint...");
    await this.page.waitForSelector(".breakpoint-widget .monaco-editor.focused");
    await this.type(condition);
    await this.page.locator(".breakpoint-widget .view-line", { hasText: condition.replaceAll(" ", "\u00a0") }).waitFor();
    await this.press("Enter");
    await this.page.waitForSelector(".codicon-debug-breakpoint-conditional");
  }

  /** Keeps what is to be seen, if pictures are wanted; `first` leads there either way. */
  async picture(name, first) {
    await first?.();
    if (!this.pictures) return;
    fs.mkdirSync(this.pictures, { recursive: true });
    await this.page.waitForTimeout(300);
    await this.page.screenshot({ path: path.join(this.pictures, `vscode-${name}.png`) });
  }

  async find(text) {
    await this.press("Control+Home");
    await this.press("Control+f");
    await this.page.waitForSelector(".find-widget.visible");
    await this.press("Control+a");
    await this.type(text);
    await this.page.locator(".find-widget.visible .matchesCount", { hasText: /^1 of/ }).waitFor();
    // The first one may only take a hint away.
    while (await this.page.locator(".find-widget.visible").count()) await this.press("Escape");
  }
}
