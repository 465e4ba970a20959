// A receiver for developers: verifies what comes, remembers the last of it, and tells its page.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import page from "./page.html?raw";
import { WebhookRefused } from "./refused.js";
import { verify } from "./verify.js";

const LARGEST_BODY = 64 * 1024; // bytes; ours stay under 20,000
const KEPT = 200; // messages
const PAGES = 20; // that may listen at once
const FORWARD_SECONDS = 14; // Athos waits for 15
const SLOW_SECONDS = 20; // longer than Athos waits
const BEAT_SECONDS = 15; // proxies close what is silent
const SHOWN = /^(content-type|user-agent|webhook-.*|x-athos-.*)$/;
const PASSED_ON = /^(content-type|webhook-.*|x-athos-.*)$/;

/** How the next messages are answered: as they deserve, or badly, to see what Athos does then. */
export const ANSWERS = ["deserved", "500", "503", "410", "slow"] as const;
export type Answer = (typeof ANSWERS)[number];

/** A message as the page shows it. */
export interface Received {
  readonly number: number;
  readonly at: string;
  readonly path: string;
  /** `verified`, or why not. */
  readonly verdict: string;
  readonly event: string;
  readonly callId: string;
  /** 1 for the first message with this `webhookId`, 2 for its first repeat. */
  readonly time: number;
  readonly answered: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ReceiverOptions {
  /** Asked for each message, so that a secret may come after the server has begun to listen. */
  readonly secrets: () => readonly string[];
  /** Where verified messages are passed on to; its answer becomes ours. */
  readonly forward?: string | undefined;
  readonly tell?: ((message: Received) => void) | undefined;
}

export function receiver(options: ReceiverOptions): Server {
  const state = new State(options);
  return createServer((request, response) => {
    route(state, request, response).catch((cause: unknown) => {
      const status = cause instanceof TooLarge ? 413 : 500;
      if (!response.headersSent) response.writeHead(status, { Connection: "close" });
      response.end();
    });
  });
}

class TooLarge extends Error {}

class State {
  answer: Answer = "deserved";
  readonly kept: Received[] = [];
  readonly pages = new Set<ServerResponse>();
  readonly #times = new Map<string, number>();
  #number = 0;

  constructor(readonly options: ReceiverOptions) {}

  next(): number {
    this.#number += 1;
    return this.#number;
  }

  /** How often a message with this id has come, this one counted. */
  time(id: string): number {
    const time = (this.#times.get(id) ?? 0) + 1;
    this.#times.delete(id);
    this.#times.set(id, time);
    const [oldest] = this.#times.keys();
    if (this.#times.size > KEPT && oldest !== undefined) this.#times.delete(oldest);
    return time;
  }

  keep(message: Received): void {
    this.kept.push(message);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const page of this.pages) page.write(`data: ${JSON.stringify(message)}\n\n`);
    this.options.tell?.(message);
  }
}

async function route(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const ours = path === "/" ? request.method === "GET" : path.startsWith("/-/");
  if (!ours) return request.method === "POST" ? receive(state, request, response) : answer(response, 404);
  // A tunnel brings messages of the whole world: the page, which shows them, is for this machine alone.
  if (!isLocal(request.headers.host)) return answer(response, 404);
  if (path === "/") return show(response);
  if (path === "/-/events" && request.method === "GET") return follow(state, response);
  if (path === "/-/answer" && request.method === "POST") return choose(state, request, response);
  answer(response, 404);
}

function isLocal(host: string | undefined): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host ?? "");
}

async function receive(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await read(request);
  const { verdict, event, callId, webhookId } = judge(state.options, body, request);
  const answered = await answerTo(state, verdict, body, request);
  state.keep({
    number: state.next(),
    at: new Date().toISOString(),
    path: request.url ?? "/",
    verdict,
    event,
    callId,
    time: webhookId === "" ? 1 : state.time(webhookId),
    answered,
    headers: chosen(request, SHOWN),
    body: body.toString("utf8"),
  });
  if (answered === 503) response.setHeader("Retry-After", "5");
  answer(response, answered);
}

function judge({ secrets }: ReceiverOptions, body: Buffer, request: IncomingMessage) {
  const nothing = { event: "", callId: "", webhookId: "" };
  try {
    const { event, webhookId, ...facts } = verify(body, request.headers, secrets());
    const callId = "callId" in facts ? String(facts.callId) : "";
    return { verdict: "verified", event: String(event), callId, webhookId };
  } catch (cause) {
    if (cause instanceof WebhookRefused) return { verdict: cause.code as string, ...nothing };
    throw cause;
  }
}

async function answerTo(state: State, verdict: string, body: Buffer, request: IncomingMessage): Promise<number> {
  if (verdict !== "verified") return verdict === "BODY_INVALID" ? 400 : 401;
  if (state.answer === "slow") await new Promise((resolve) => setTimeout(resolve, SLOW_SECONDS * 1000));
  if (state.answer !== "deserved" && state.answer !== "slow") return Number(state.answer);
  return state.options.forward === undefined ? 204 : passedOn(state.options.forward, body, request);
}

/** The status of the program behind us, or 502 if it does not answer. */
async function passedOn(url: string, body: Buffer, request: IncomingMessage): Promise<number> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: chosen(request, PASSED_ON),
      body: new Uint8Array(body),
      redirect: "manual",
      signal: AbortSignal.timeout(FORWARD_SECONDS * 1000),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 502;
  }
}

function show(response: ServerResponse): void {
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy":
      "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(page);
}

/** Server-sent events: what is remembered, then what comes. */
function follow(state: State, response: ServerResponse): void {
  if (state.pages.size >= PAGES) return answer(response, 503);
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write(`event: answer\ndata: ${JSON.stringify(state.answer)}\n\n`);
  for (const message of state.kept) response.write(`data: ${JSON.stringify(message)}\n\n`);
  state.pages.add(response);
  const beat = setInterval(() => response.write(":\n\n"), BEAT_SECONDS * 1000);
  response.on("close", () => {
    clearInterval(beat);
    state.pages.delete(response);
  });
}

/** JSON, which a page of another origin cannot send without asking first; we never answer that. */
async function choose(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const wanted = (await read(request)).toString("utf8");
  const found = ANSWERS.find((one) => JSON.stringify({ answer: one }) === wanted);
  if (request.headers["content-type"] !== "application/json" || found === undefined) return answer(response, 400);
  state.answer = found;
  for (const page of state.pages) page.write(`event: answer\ndata: ${JSON.stringify(found)}\n\n`);
  answer(response, 204);
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function chosen(request: IncomingMessage, names: RegExp): Record<string, string> {
  const pairs = Object.entries(request.headers).filter(([name]) => names.test(name));
  return Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]));
}

function answer(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}
