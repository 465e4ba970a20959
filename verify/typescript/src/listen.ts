#!/usr/bin/env node
// athos-webhooks listen: receives webhooks on this machine, verifies them and shows them, here and on a page.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { receiver, type Received } from "./receiver.js";

const HELP = `athos-webhooks listen [options]

Receives webhooks on this machine, verifies them, and shows them here and on a page.

With ATHOS_URL and ATHOS_API_KEY (scope webhooks:write) it adds an endpoint to your account for as long as it
runs. Without, give it the secret of an endpoint that leads here.

  --port <number>    where to listen (4400)
  --url <url>        where Athos reaches this machine, such as a tunnel of yours (http://localhost:<port>/)
  --secret <whsec_>  the endpoint's secret, or ATHOS_WEBHOOK_SECRET; twice while a secret rotates
  --forward <url>    pass verified messages on to your own program; its status becomes the answer
`;
const EVENTS = ["call.scored", "call.started", "call.ended", "call.score_failed", "score.overridden", "recording.deleted"];
const API_SECONDS = 15;

class Stop extends Error {}

interface Endpoint {
  readonly id: string;
  readonly secret: string;
}

async function main(): Promise<void> {
  const { values, positionals } = options();
  if (values.help) return console.log(HELP);
  if (positionals.join(" ") !== "listen") throw new Stop(HELP);
  let secrets = values.secret ?? (process.env["ATHOS_WEBHOOK_SECRET"] ? [process.env["ATHOS_WEBHOOK_SECRET"]] : []);
  if (!secrets.every((secret) => secret.startsWith("whsec_"))) throw new Stop("A secret begins with whsec_.");
  const { forward } = values;
  if (forward !== undefined && !/^https?:\/\//.test(forward)) throw new Stop("--forward needs an http URL.");
  const api = secrets.length ? undefined : account();

  const server = receiver({ secrets: () => secrets, forward, tell });
  const port = await listening(server, values.port);
  const endpoint = api && (await added(api, values.url ?? `http://localhost:${port}/`).catch(closing(server)));
  if (endpoint) secrets = [endpoint.secret];
  console.log(`Listening. Open http://localhost:${port}/ to watch; Ctrl-C ends it.`);
  if (endpoint) console.log(`Added the endpoint ${endpoint.id} for as long as this runs.`);

  await new Promise((resolve) => ["SIGINT", "SIGTERM", "SIGHUP"].forEach((signal) => process.once(signal, resolve)));
  server.close();
  server.closeAllConnections();
  if (api && endpoint) await call(api, "DELETE", `/${endpoint.id}`);
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h" },
        port: { type: "string", default: "4400" },
        url: { type: "string" },
        secret: { type: "string", multiple: true },
        forward: { type: "string" },
      },
    });
  } catch (cause) {
    throw new Stop(`${(cause as Error).message}\n\n${HELP}`);
  }
}

interface Account {
  readonly base: string;
  readonly key: string;
}

function account(): Account {
  const { ATHOS_URL: url, ATHOS_API_KEY: key } = process.env;
  if (!url || !key) throw new Stop(`Set ATHOS_URL and ATHOS_API_KEY, or give a --secret.\n\n${HELP}`);
  return { base: `${url.replace(/\/+$/, "")}/api/external/v1/webhook-endpoints`, key };
}

async function added(api: Account, url: string): Promise<Endpoint> {
  const body = { url, description: "athos-webhooks listen", eventTypes: EVENTS };
  return (await call(api, "POST", "", body)) as Endpoint;
}

async function call({ base, key }: Account, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(base + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(API_SECONDS * 1000),
  }).catch((cause: Error) => {
    throw new Stop(`Athos cannot be reached: ${cause.message}`);
  });
  if (response.status === 204) return undefined;
  const answer = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } };
  if (response.ok) return answer;
  const { code = String(response.status), message = "Athos refused." } = answer.error ?? {};
  throw new Stop(`${message} (${code})`);
}

function listening(server: Server, port: string): Promise<number> {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) throw new Stop("--port needs a number up to 65535.");
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Stop(cause.message)));
    server.listen(Number(port), "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function closing(server: Server): (cause: unknown) => never {
  return (cause) => {
    server.close();
    throw cause;
  };
}

/** One line for each message: what is signed by Athos, and nothing of what is not. */
function tell({ at, verdict, event, callId, time, answered }: Received): void {
  const what = verdict === "verified" ? [event, callId, time > 1 ? `again (${time})` : ""] : [`refused: ${verdict}`];
  console.log([at.slice(11, 19), ...what, `→ ${answered}`].filter(Boolean).join("  "));
}

try {
  await main();
} catch (cause) {
  if (!(cause instanceof Stop)) throw cause;
  console.error(cause.message);
  process.exitCode = 1;
}
