// SPDX-License-Identifier: MIT
// Walks through the console in a browser. Called by test_console_browser.py with a JSON of what
// is where; prints a JSON of what was seen. Anything that is not as it should be ends it with 1.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const { modules, chromium: browserPath, login, shots } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "package.json"))("playwright-core");
const seen = { timings: {} };
const problems = [];

const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, colorScheme: "light" });
const page = await context.newPage();
page.setDefaultTimeout(40000);
page.on("console", (message) => {
  if (!["error", "warning"].includes(message.type())) return;
  // A better picture of an unknown face may take the place of one that the page is just asking for.
  const { url } = message.location();
  if (message.text().includes("404") && new URL(url, login).pathname === "/api/face.jpg") return;
  problems.push(`${message.type()}: ${message.text()} ${url}`);
});
page.on("pageerror", (error) => problems.push(String(error)));
page.on("request", (request) => {
  if (!request.url().startsWith(new URL(login).origin) && !request.url().startsWith("data:"))
    problems.push(`asked elsewhere: ${request.url()}`);
});
const shoot = (name) => page.screenshot({ path: join(shots, `${name}.png`) });
const focused = () => page.evaluate(() => {
  const element = document.activeElement;
  return `${element.tagName.toLowerCase()} ${element.getAttribute("aria-label") || element.textContent.trim()}`;
});
/// Presses Tab till what has the focus contains `text`.
async function tabTo(text) {
  for (let i = 0; i < 40; ++i) {
    if ((await focused()).includes(text)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`no Tab leads to ${text}; the focus is on ${await focused()}`);
}
/// A picture counts when it was decoded.
const decoded = (selector) => page.waitForFunction((wanted) => {
  const image = document.querySelector(wanted);
  return image && image.complete !== undefined && image.naturalWidth > 0;
}, selector);

try {
  // Signing in: the token is in the fragment, and leaves it.
  await page.goto(login);
  await page.waitForSelector("#nav:not([hidden])");
  assert.ok(!page.url().includes("token"), "the token stays in the address");
  assert.equal(await page.evaluate(() => document.cookie), "", "scripts see the session");

  // The moving picture, and an unknown face in view.
  await decoded("#live-picture");
  const row = page.locator("#in-view li", { hasText: /unknown/i }).first();
  await row.waitFor();
  await page.waitForFunction(() => document.querySelector("#in-view li .title").textContent.startsWith("unknown-"));
  await page.waitForSelector("#feed li");
  await shoot("live-unknown");

  // Enrolled by a click, and recognised: the caller looks at the time.
  await row.getByRole("button", { name: /^Name / }).click();
  await page.locator("#name-dialog[open]").waitFor();
  await page.fill("#name-input", "Ada Lovelace");
  await shoot("name-dialog");
  const enrolled = performance.now();
  await page.click("#name-submit");
  await page.locator("#in-view li", { hasText: "Ada Lovelace" }).locator(".pill.known").waitFor();
  seen.timings.recognised_ms = Math.round(performance.now() - enrolled);
  await page.locator("#name-dialog:not([open])").waitFor({ state: "attached" });
  await page.locator("#feed li", { hasText: "Ada Lovelace" }).first().waitFor();
  await page.waitForTimeout(400); // the overlay has the name
  await shoot("live-known");

  // Events with best shots.
  await page.getByRole("link", { name: "Events" }).click();
  await page.locator("#event-list li").first().waitFor();
  await decoded("#event-list img.face");
  await shoot("events");

  // The gallery: a photograph, renamed by keyboard alone.
  await page.getByRole("link", { name: "People" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#people li");
  await decoded("#people img.face");
  assert.equal(await focused(), "h1 People", "a view's heading has the focus");
  await shoot("people");
  await tabTo("Rename Ada Lovelace");
  await page.keyboard.press("Enter");
  await page.locator("#name-dialog[open]").waitFor();
  assert.ok((await focused()).startsWith("input"), "the dialog's field has the focus");
  for (let i = 0; i < 8; ++i) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body ||
      document.activeElement.closest("#name-dialog") !== null), "the focus left the dialog");
  }
  await page.keyboard.press("Escape");
  await page.locator("#name-dialog:not([open])").waitFor({ state: "attached" });
  assert.ok((await focused()).includes("Rename Ada Lovelace"), "the focus is where it was");
  await page.keyboard.press("Enter");
  await page.locator("#name-dialog[open]").waitFor();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("Countess");
  await page.keyboard.press("Enter");
  await page.locator("#people li", { hasText: "Countess" }).waitFor();

  // What a name holds is text.
  await page.getByRole("button", { name: "Rename Countess" }).click();
  await page.fill("#name-input", "<img src=x onerror=alert(1)>");
  await page.click("#name-submit");
  await page.locator("#people li .title", { hasText: "<img src=x" }).waitFor();

  // Removed, after a question whose first answer is no.
  await page.getByRole("button", { name: "Remove <img" }).click();
  await page.locator("#confirm-dialog[open]").waitFor();
  assert.equal(await focused(), "button Cancel");
  await shoot("confirm");
  await page.click("#confirm-submit");
  await page.getByText("Nobody is enrolled yet").waitFor();
  await shoot("people-empty");

  // Who was removed is unknown again, is collected and can be named there.
  await page.getByRole("link", { name: /Unknown/ }).click();
  await page.locator("#strangers li").first().waitFor();
  await decoded("#strangers img.face");
  await shoot("unknown");
  await page.locator("#strangers li").first().getByRole("textbox").fill("Grace Hopper");
  await page.locator("#strangers li").first().getByRole("button", { name: "Enrol" }).click();
  await page.getByText("No unknown faces").waitFor();

  // By keyboard from the top: the skip link first, then the views.
  await page.goto(new URL("/#/live", login).href);
  await page.waitForSelector("#feed li");
  const removed = await page.locator("#feed li", { hasText: "<img src=x" }).allTextContents();
  assert.deepEqual(removed, [], "events of who was removed are listed");
  await page.reload();
  await page.waitForSelector("#in-view li");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "a Skip to content");
  await tabTo("Theme");
  await page.keyboard.press("Enter"); // light
  await page.keyboard.press("Enter"); // dark
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await decoded("#live-picture");
  await page.waitForTimeout(300);
  await shoot("live-dark");
  await page.getByRole("link", { name: "People" }).click();
  await page.waitForSelector("#people li");
  await shoot("people-dark");

  // As wide as a telephone: nothing to be scrolled sideways.
  await page.setViewportSize({ width: 375, height: 780 });
  for (const view of ["live", "events", "unknown", "people"]) {
    await page.goto(new URL(`/#/${view}`, login).href);
    await page.waitForTimeout(400);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${view} is ${over} px too wide`);
    await shoot(`phone-${view}`);
  }

  // Signed out.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await shoot("sign-in");
  // A 401 is what asking without a session gets, and Chromium says so.
  assert.deepEqual(problems.filter((text) => !text.includes("401")), []);
  seen.good = true;
} catch (error) {
  await shoot("failure").catch(() => {});
  console.error(error.stack || String(error));
  console.error(problems.join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
