// Drives the console of a running service in Chromium, as an operator would. Exits with a message at the first
// thing that is not right. `tests/it/console/browser.rs` starts the service and this script.
//
// Environment: ADMIN and PUBLIC (URLs), PROGRAM and CONFIG (to send calls), RULES (the rule file), TOKEN, PASSWORD,
// CHROMIUM, and optionally SCREENSHOTS (a folder).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { ADMIN, PUBLIC, PROGRAM, CONFIG, RULES, PASSWORD, CHROMIUM, SCREENSHOTS } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Long, so that the test passes on a busy machine.
const TIMEOUT = 60_000;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const complaints = [];

/** Opens a window whose errors are noted. Refusals of the content security policy are among them. */
async function open(options = {}) {
  const context = await browser.newContext({ bypassCSP: false, ...options });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  page.on("console", (message) => {
    // The log-in with a wrong password is answered with 401, a rule table with mistakes with 422, and a live page
    // that this script refuses with 503.
    const isExpected = /status of (401|409|422|503)/.test(message.text());
    if (message.type() === "error" && !isExpected) complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  return page;
}

function sendCall(from) {
  execFileSync(PROGRAM, ["send", "--config", CONFIG, "--url", PUBLIC, "--from", from], { stdio: "pipe" });
}

async function screenshot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, animations: "disabled" });
}

/** Checks a page at both widths and in both colours: nothing serious for axe, and no sideways scrolling. */
async function inspect(page, name) {
  await page.waitForLoadState("load");
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1600]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const scrolls = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(scrolls <= 0, `${name} is ${scrolls} px too wide at ${width} px`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
      const shown = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n  ")}`);
      assert.deepEqual(shown, [], `${name}, ${colorScheme}, ${width} px`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: null });
  await page.setViewportSize({ width: 1280, height: 900 });
  await screenshot(page, name);
}

async function step(name, act) {
  const started = Date.now();
  await act();
  console.log(`${name}: ${Date.now() - started} ms`);
}

const page = await open();

await step("log in", async () => {
  await page.goto(`${ADMIN}/calls`);
  await page.getByLabel("Name").fill("ed");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("wrong").waitFor();
  await inspect(page, "log-in");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Calls" }).waitFor();
  await page.getByText("No calls are recorded yet").waitFor();
});

await step("a call appears live", async () => {
  await page.locator("#live.on").waitFor();
  sendCall("+12137771234");
  await page.locator("tr", { hasText: "+12137771234" }).waitFor();
  sendCall("+12137775678");
  await page.locator("tr", { hasText: "+12137775678" }).waitFor();
  assert.equal(await page.locator("tbody#calls tr").count(), 2);
  const first = await page.locator("tbody#calls tr").first().textContent();
  assert.match(first, /\+12137775678/, "newest first");
});

await step("a hidden page is not live, and a page that is seen again receives what it missed", async () => {
  // Another tab in front does not hide a page of a driven browser.
  const hide = (isHidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  const ended = page.waitForEvent("requestfailed", (request) => request.url().includes("/calls/live"));
  await hide(true);
  await ended;
  await page.getByText("not live while the page is hidden").waitFor();
  sendCall("+12137779012");
  const asked = page.waitForRequest((request) => request.url().includes("/calls/live"));
  await hide(false);
  assert.match((await asked).url(), /after=/, "it asks for what came since the last call");
  await page.locator("#live.on").waitFor();
  await page.locator("tr", { hasText: "+12137779012" }).waitFor();
  assert.equal(await page.locator("tbody#calls tr").count(), 3, "each call once");
});

await step("a page that is left frees its place, and takes one when a person comes back", async () => {
  const isLive = (request) => request.url().includes("/calls/live");
  const ended = page.waitForEvent("requestfailed", isLive);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await ended;
  const asked = page.waitForRequest(isLive);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await asked;
});

await step("a live page that was refused asks again", async () => {
  // As if too many pages were live.
  await page.route(/calls\/live/, (route) => route.fulfill({ status: 503 }), { times: 1 });
  await page.reload();
  await page.getByText("not live: trying again in a few seconds").waitFor();
  await page.locator("#live.on").waitFor();
});

await step("six pages of calls leave room for others", async () => {
  // A browser has six connections to a host: those of pages that were left must be closed.
  const context = page.context();
  const others = [];
  for (let at = 0; at < 6; at++) {
    const other = await context.newPage();
    await other.goto(`${ADMIN}/calls`);
    await other.locator("#live.on").waitFor();
    await other.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    others.push(other);
  }
  await others[5].goto(`${ADMIN}/health`);
  await others[5].getByRole("heading", { level: 1, name: "Health" }).waitFor();
  for (const other of others) await other.close();
});

await step("the charts are drawn", async () => {
  await page.reload();
  await page.locator(".plot canvas").first().waitFor();
  await inspect(page, "calls");
});

await step("a call is explained", async () => {
  await page.locator("tr", { hasText: "+12137771234" }).getByRole("link").first().click();
  await page.getByRole("heading", { level: 1, name: "+12137771234" }).waitFor();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
  await inspect(page, "call");
  await page.getByRole("link", { name: "What would happen now" }).click();
  await page.getByRole("heading", { name: "Try a call" }).waitFor();
  await page.getByText("agent_after_hours").or(page.getByText("agent_reception")).first().waitFor();
});

await step("a call is tried", async () => {
  await page.goto(`${ADMIN}/try`);
  await page.locator("input[name=from]").fill("+1 213 777 1234");
  await page.locator("input[name=at]").fill("2026-11-25 09:00");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("agent_reception").first().waitFor();
  await inspect(page, "try");
});

await step("the other pages", async () => {
  for (const [path, title] of [["rules", "Rules"], ["health", "Health"], ["setup", "Set-up"]]) {
    await page.goto(`${ADMIN}/${path}`);
    await page.getByRole("heading", { level: 1, name: title }).waitFor();
    await inspect(page, path);
  }
});

const before = readFileSync(RULES, "utf8");

await step("a mistake is shown at its line", async () => {
  await page.goto(`${ADMIN}/change`);
  await page.locator(".CodeMirror-code").first().click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText('\n[[rule]]\nname = "extra"\nagnet = "nurse"\n');
  await page.locator(".CodeMirror-lint-marker-error").first().waitFor();
  await page.locator("#mistakes-list").getByText("agnet").first().waitFor();
  await inspect(page, "change-mistake");
});

await step("a change is checked, replayed and applied", async () => {
  // The browser asks whether to leave an edited page.
  page.once("dialog", (dialog) => dialog.accept());
  await page.goto(`${ADMIN}/change`);
  await page.locator(".CodeMirror").first().waitFor();
  await page.evaluate(() => {
    const editor = document.querySelector(".CodeMirror").CodeMirror;
    const line = editor.getValue().split("\n").indexOf("[[rule]]");
    const rule = '[[rule]]\nname = "a known caller"\nfrom = "+12137771234"\nagent = "nurse"\n\n';
    editor.replaceRange(rule, { line, ch: 0 });
  });
  await page.getByText(/No errors/).waitFor();
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await page.getByText("of 3 calls would get another reply").waitFor();
  await inspect(page, "change");
  await page.getByLabel("Note").fill("The caller is known");
  await page.getByRole("button", { name: "Apply this change" }).click();
  await page.getByText("the new rules answer calls now").waitFor();
  assert.match(readFileSync(RULES, "utf8"), /a known caller/);
  sendCall("+12137771234");
  await page.goto(`${ADMIN}/calls?rule=a+known+caller`);
  await page.locator("tbody#calls tr").first().waitFor();
});

await step("the version before comes back", async () => {
  await page.goto(`${ADMIN}/change/versions`);
  await page.getByText("The caller is known").waitFor();
  await inspect(page, "versions");
  const old = page.locator("table.versions tbody tr", { hasNot: page.getByText("current") });
  await old.first().getByRole("link").click();
  await page.getByRole("button", { name: "Check what would change" }).click();
  await page.getByLabel("Note").fill("Not any more");
  await page.getByRole("button", { name: "Go back to this version" }).click();
  await page.getByText("the new rules answer calls now").waitFor();
  assert.equal(readFileSync(RULES, "utf8"), before);
});

await step("many rows are pasted into a grid", async () => {
  await page.goto(`${ADMIN}/change/list?file=patients.csv`);
  const rows = page.locator("#grid tbody tr");
  const count = await rows.count();
  const pasted = 300;
  // A row is numbered once: each number that is written is counted.
  const written = await page.evaluate((lines) => {
    const body = document.querySelector("#grid tbody");
    let numbers = 0;
    const own = Element.prototype.setAttribute;
    Element.prototype.setAttribute = function (name, value) {
      if (name === "aria-label" && this.matches("button.remove")) numbers += 1;
      return own.call(this, name, value);
    };
    const cell = body.lastElementChild.querySelector('input[name="cell"]');
    const data = new DataTransfer();
    const text = Array.from({ length: lines }, (_, at) => `+1213888${String(at).padStart(4, "0")}`).join("\n");
    data.setData("text/plain", text);
    cell.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    Element.prototype.setAttribute = own;
    return numbers;
  }, pasted);
  assert.equal(await rows.count(), count + pasted - 1);
  assert.equal(written, pasted - 1, "the new rows are numbered once, and the others not at all");
  const last = rows.last();
  assert.equal((await last.locator("th").textContent()).trim(), String(count + pasted - 1));
  assert.match(await last.locator('input[name="cell"]').first().getAttribute("aria-label"), new RegExp(`row ${count + pasted - 1}$`));
  assert.equal(await last.locator('input[name="cell"]').first().inputValue(), "+12138880299");
  await last.getByRole("button", { name: `Remove row ${count + pasted - 1}` }).click();
  assert.equal(await rows.count(), count + pasted - 2);
});

await step("a form sends the texts that were edited", async () => {
  page.once("dialog", (dialog) => dialog.accept());
  await page.goto(`${ADMIN}/change`);
  await page.locator(".CodeMirror").first().waitFor();
  const asked = page.waitForRequest((request) => request.url().endsWith("/change/lint"));
  await page.locator(".CodeMirror-code").first().click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText("# nothing\n");
  const names = [...new URLSearchParams((await asked).postData()).keys()].filter((name) => name.startsWith("text:"));
  assert.deepEqual(names, ["text:rules.toml"]);
  page.once("dialog", (dialog) => dialog.accept());
  await page.goto(`${ADMIN}/calls`);
});

await step("log out", async () => {
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.goto(`${ADMIN}/calls`);
  await page.getByRole("heading", { name: "Log in" }).waitFor();
});

assert.deepEqual(complaints, [], "errors in the browser's console");
await browser.close();
