// SPDX-License-Identifier: MIT
// A real browser, headless, on a leash: one JSON command a line on stdin, one JSON answer a line on stdout.
//   {"open": URL}                        -> {"page": N}      a page of its own, loaded
//   {"page": N, "run": FUNCTION, "with": VALUE} -> {"value": …}   what the function, run in the page, resolves to
//   {"page": N, "close": true}
// BROWSER_ARGS: further arguments of Chromium, as a JSON list.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [...quiet, ...JSON.parse(process.env.BROWSER_ARGS ?? "[]")],
});
const pages = [];

async function act(command) {
  if (command.open) {
    const page = await browser.newPage();
    page.messages = [];
    page.on("console", (message) => page.messages.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => page.messages.push(`error: ${error.message}`));
    await page.goto(command.open, { waitUntil: "load", timeout: 20000 });
    return { page: pages.push(page) - 1 };
  }
  const page = pages[command.page];
  if (command.run) {
    const value = await page.evaluate(`(${command.run})(${JSON.stringify(command.with ?? null)})`);
    return { value };
  }
  if (command.close) await page.close();
  return { messages: page.messages };
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
