// What any small Node server needs; nothing here is about Athos.
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { parseArgs } from "node:util";

const LARGEST_BODY = 64 * 1024; // bytes
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** From the environment, or from a file such as `make run` writes. A missing one stops the start by name. */
export function settings() {
  const { demo } = parseArgs({ options: { demo: { type: "string" } } }).values;
  const given = demo ? JSON.parse(readFileSync(demo, "utf8")) : {};
  const need = (name, fallback) => {
    const value = process.env[name] ?? fallback;
    if (value) return value;
    console.error(`${name} is missing. Set it, or start with --demo <path to demo.json>.`);
    process.exit(1);
  };
  return {
    athosUrl: new URL(need("ATHOS_BASE_URL", given.baseUrl)).origin,
    apiKey: need("ATHOS_API_KEY", given.apiKey),
    webhookSecret: need("ATHOS_WEBHOOK_SECRET", given.webhookSecret),
    port: Number(need("PORT", given.exampleUrl ? new URL(given.exampleUrl).port : "4000")),
  };
}

/** A file of public/, with `{{ATHOS_URL}}` filled in, and the headers that a page with a microphone should have. */
export function file(name, athosUrl) {
  const text = readFileSync(new URL(`public/${name}`, import.meta.url), "utf8").replaceAll("{{ATHOS_URL}}", athosUrl);
  const headers = {
    "Content-Type": `${TYPES[extname(name)]}; charset=utf-8`,
    "Content-Security-Policy": [
      "default-src 'none'",
      `script-src 'self' ${athosUrl}`,
      `frame-src ${athosUrl}`,
      `connect-src 'self' ${athosUrl} ${athosUrl.replace(/^http/, "ws")}`,
      "style-src 'self'",
      "img-src 'self' data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; "),
    "Permissions-Policy": `microphone=(self "${athosUrl}"), autoplay=(self "${athosUrl}")`,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  };
  return (request, response) => response.writeHead(200, headers).end(text);
}

export function sendJson(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
}

export function refuse(response, status, code, message) {
  sendJson(response, status, { error: { code, message } });
}

/** The bytes as received, which is what a signature is about. */
export async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) {
      const error = { code: "PAYLOAD_TOO_LARGE", message: "The body is too large." };
      throw Object.assign(new Error(error.message), { status: 413, answer: { error } });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Server-sent events: `start` gets a function that sends one, and returns what stops it. */
export function streamEvents(response, start) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write(":\n\n");
  const stop = start((data) => response.write(`data: ${JSON.stringify(data)}\n\n`));
  const beat = setInterval(() => response.write(":\n\n"), 15_000); // proxies close what is silent
  response.on("close", () => {
    clearInterval(beat);
    stop();
  });
}

/** The last `limit` entries, which can be waited for. A product would use its database. */
export class Recent {
  #entries = new Map();
  #followers = new Map();

  constructor(limit) {
    this.limit = limit;
  }

  has(key) {
    return this.#entries.has(key);
  }

  set(key, value) {
    this.#entries.set(key, value);
    if (this.#entries.size > this.limit) this.#entries.delete(this.#entries.keys().next().value);
    for (const tell of this.#followers.get(key) ?? []) tell(value);
  }

  /** Tells the value now and whenever it changes, until the returned function is called. */
  follow(key, tell) {
    const tells = this.#followers.get(key) ?? new Set();
    this.#followers.set(key, tells.add(tell));
    if (this.has(key)) tell(this.#entries.get(key));
    return () => {
      tells.delete(tell);
      if (tells.size === 0) this.#followers.delete(key);
    };
  }
}
