// SPDX-License-Identifier: MIT
// Ways in which programs on Node.js find a file for a request target, one server each. PORTS and ROOT by environment.
import { createServer } from "node:http";
import { readFile, stat } from "node:fs/promises";
import { posix } from "node:path";
import { unescape } from "node:querystring";
import { parse } from "node:url";

const cut = (target) => target.split(/[?#]/)[0];
const ways = {
  // The standard's URL parser, which takes what follows two slashes for a host.
  url: (target) => decodeURIComponent(new URL(target, "http://h").pathname),
  "url-raw": (target) => new URL(target, "http://h").pathname,
  // Its predecessor, which turns backslashes.
  legacy: (target) => unescape(parse(target).pathname),
  // By hand: decode, then let the file system's rules do.
  plain: (target) => decodeURIComponent(cut(target)),
  twice: (target) => decodeURIComponent(decodeURIComponent(cut(target))),
  // Segment by segment, as routers of frameworks do: what is decoded is no separator any more.
  segments: (target) => cut(target).split("/").map((part) => encodeURIComponent(decodeURIComponent(part))).join("/"),
  raw: (target) => cut(target),
};

async function serve(read, request, response) {
  let found = null;
  try {
    const path = posix.normalize("/" + read(request.url));
    if (!path.includes("\0")) {
      const name = (await stat(process.env.ROOT + path)).isDirectory() ? `${path}/index.html` : path;
      found = await readFile(process.env.ROOT + name);
    }
  } catch { /* malformed, or no such file */ }
  response.writeHead(found ? 200 : 404).end(found ?? "");
}

const ports = JSON.parse(process.env.PORTS);
for (const [name, read] of Object.entries(ways))
  await new Promise((done) => createServer((request, response) => serve(read, request, response)).listen(ports[name], "127.0.0.1", done));
console.log("listening");
