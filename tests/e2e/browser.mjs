// SPDX-License-Identifier: MIT
// A real browser, headless, on a leash: one JSON command a line on stdin, one JSON answer a line on stdout.
//   {"open": URL, "as": OPTIONS}         -> {"page": N}      a page of its own, loaded; options as newPage() of Playwright has them
//   {"page": N, "run": FUNCTION, "with": VALUE} -> {"value": …}   what the function, run in the page, resolves to
//   {"page": N, "wait": FUNCTION}        -> {"value": …}     its first true value
//   {"page": N, "press": KEY}, {"page": N, "shot": FILE, "full": BOOL}, {"page": N, "close": true}
//   {"page": N}                          -> {"messages": […], "requests": […]}   of the console, and the addresses it asked for
// BROWSER_ARGS: further arguments of Chromium, as a JSON list.
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { chromium } from "playwright-core";

const quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [...quiet, ...JSON.parse(process.env.BROWSER_ARGS ?? "[]")],
});
const pages = [];

// Not by waitForFunction(): it evaluates text within the page, which a page's policy may forbid.
const call = (page, text, value = null) => page.evaluate(`(${text})(${JSON.stringify(value)})`);

async function act(command) {
  if (command.open) {
    const page = await browser.newPage(command.as ?? {});
    page.messages = [];
    page.addresses = [];
    page.on("request", (request) => page.addresses.push(request.url()));
    page.on("console", (message) => page.messages.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => page.messages.push(`error: ${error.message}`));
    await page.goto(command.open, { waitUntil: "load", timeout: 20000 });
    return { page: pages.push(page) - 1 };
  }
  const page = pages[command.page];
  if (command.run) {
    return { value: (await call(page, command.run, command.with)) ?? null };
  }
  if (command.wait) {
    for (const end = Date.now() + 20000; Date.now() < end; await setTimeout(30)) {
      const value = await call(page, command.wait, command.with);
      if (value) return { value };
    }
    throw new Error(`in vain: ${command.wait}`);
  }
  if (command.press) await page.keyboard.press(command.press);
  if (command.shot) await page.screenshot({ path: command.shot, fullPage: command.full });
  if (command.close) await page.close();
  return { messages: page.messages, requests: page.addresses };
}

console.log(JSON.stringify({ version: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await act(JSON.parse(line));
  } catch (error) {
    answer = { fault: String(error.message ?? error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
