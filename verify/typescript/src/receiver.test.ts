import { createHmac } from "node:crypto";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { receiver, type Received, type ReceiverOptions } from "./receiver.js";

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => (server.closeAllConnections(), server.close())));

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function started(options: Partial<ReceiverOptions> = {}) {
  const told: Received[] = [];
  const url = await listening(receiver({ secrets: () => [SECRET], tell: (message) => told.push(message), ...options }));
  return { url, told };
}

function message(webhookId = "wh_1"): string {
  return JSON.stringify({
    event: "call.started", callId: "athos_call_1", source: "roleplay", externalUserId: "rep", externalAgencyId: null,
    occurredAt: "2026-06-05T18:09:14.000Z", requestId: "req_1", webhookId,
  });
}

function signed(body: string): Record<string, string> {
  const sentAt = Math.floor(Date.now() / 1000);
  const digest = createHmac("sha256", SECRET).update(`${sentAt}.${body}`).digest("hex");
  return { "X-Athos-Signature": `t=${sentAt},v1=${digest}`, "Content-Type": "application/json", "X-Private": "x" };
}

async function post(url: string, body: string, headers = signed(body)): Promise<Response> {
  return fetch(url, { method: "POST", body, headers });
}

test("a message is verified, told and answered; a repeat is counted", async () => {
  const { url, told } = await started();
  expect((await post(`${url}/hooks`, message())).status).toBe(204);
  expect((await post(url, message())).status).toBe(204);
  expect(told.map(({ number, verdict, event, callId, time }) => [number, verdict, event, callId, time])).toEqual([
    [1, "verified", "call.started", "athos_call_1", 1],
    [2, "verified", "call.started", "athos_call_1", 2],
  ]);
  expect(told[0]?.headers).not.toHaveProperty("x-private");
});

test("what is not signed is refused and shown as refused", async () => {
  const { url, told } = await started();
  expect((await post(url, message(), {})).status).toBe(401);
  expect((await post(url, `${message()} `, signed(message()))).status).toBe(401);
  expect((await post(url, "{}")).status).toBe(400);
  expect(told.map(({ verdict, event }) => verdict + event)).toEqual(["SIGNATURE_MISSING", "SIGNATURE_MISMATCH", "BODY_INVALID"]);
});

test("a body that is too large is not read to its end", async () => {
  const { url, told } = await started();
  expect((await post(url, "x".repeat(70_000), {})).status).toBe(413);
  expect(told).toEqual([]);
});

test("without a secret nothing is accepted", async () => {
  const { url, told } = await started({ secrets: () => [] });
  expect((await post(url, message())).status).toBe(500);
  expect(told).toEqual([]);
});

test("the page tells what came before and what comes", async () => {
  const { url } = await started();
  expect(await (await fetch(url)).text()).toContain("<h1>Webhooks");
  await post(url, message("wh_1"));
  const stream = (await fetch(`${url}/-/events`)).body!.pipeThrough(new TextDecoderStream()).getReader();
  await post(url, message("wh_2"));
  let text = "";
  while (!text.includes("wh_2")) text += (await stream.read()).value;
  expect(text).toContain('event: answer\ndata: "deserved"');
  expect(text).toContain("wh_1");
  await stream.cancel();
});

test("the page is for this machine alone, messages are for all", async () => {
  const { url } = await started();
  const asked = (path: string, method: string, headers: Record<string, string>, body = "") =>
    new Promise<number>((resolve, reject) => {
      const headersAll = { ...headers, Host: "tunnel.example.com" };
      httpRequest(url + path, { method, headers: headersAll }, (response) => resolve(response.statusCode ?? 0))
        .on("error", reject)
        .end(body);
    });
  expect(await asked("/", "GET", {})).toBe(404);
  expect(await asked("/-/events", "GET", {})).toBe(404);
  expect(await asked("/-/answer", "POST", { "Content-Type": "application/json" }, '{"answer":"500"}')).toBe(404);
  expect(await asked("/", "POST", signed(message()), message())).toBe(204);
});

test("the next answers can be bad ones", async () => {
  const { url } = await started();
  const choose = (answer: string, type = "application/json") =>
    post(`${url}/-/answer`, JSON.stringify({ answer }), { "Content-Type": type });
  for (const status of ["500", "410", "503"]) {
    expect((await choose(status)).status).toBe(204);
    expect((await post(url, message())).status).toBe(Number(status));
  }
  expect((await post(url, message())).headers.get("retry-after")).toBe("5");
  expect((await post(url, message(), {})).status).toBe(401);
  expect((await choose("200")).status).toBe(400);
  expect((await choose("500", "text/plain")).status).toBe(400); // as a foreign page could send it
  await choose("deserved");
  expect((await post(url, message())).status).toBe(204);
});

test("verified messages are passed on as they came, and answered as the program behind answers", async () => {
  const got: [string, string | undefined][] = [];
  const behind = await listening(
    createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        got.push([body, request.headers["x-athos-signature"] as string]);
        response.writeHead(418).end();
      });
    }),
  );
  const { url } = await started({ forward: behind });
  const headers = signed(message());
  expect((await post(url, message(), headers)).status).toBe(418);
  expect((await post(url, message(), {})).status).toBe(401);
  expect(got).toEqual([[message(), headers["X-Athos-Signature"]]]);
  const nobody = await started({ forward: "http://127.0.0.1:1/" });
  expect((await post(nobody.url, message())).status).toBe(502);
});
