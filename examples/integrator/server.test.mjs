// The example beside an Athos that is made up: what it believes, what it fetches, what its page is told.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const EVENT = {
  event: "call.scored", success: true, callId: "athos_call_1", source: "roleplay", externalUserId: "Zoë", externalAgencyId: null,
  occurredAt: "2026-06-05T18:09:14.000Z", requestId: "req_1", webhookId: "wh_1",
};
const asked = [];
const athos = createServer((request, response) => {
  asked.push(request.url);
  response.writeHead(200, { "Content-Type": "application/json" }).end('{"score":{"overallScore":82}}');
}).listen(0, "127.0.0.1");
await once(athos, "listening");

const free = createServer().listen(0, "127.0.0.1");
await once(free, "listening");
const { port } = free.address();
free.close();
const example = spawn(process.execPath, [new URL("server.mjs", import.meta.url).pathname], {
  env: {
    ...process.env,
    ATHOS_BASE_URL: `http://127.0.0.1:${athos.address().port}`,
    ATHOS_API_KEY: "ath_test_x",
    ATHOS_WEBHOOK_SECRET: SECRET,
    PORT: String(port),
  },
  stdio: ["ignore", "pipe", "inherit"],
});
await once(example.stdout, "data");
after(() => (example.kill(), athos.close(), athos.closeAllConnections()));

function post(event, secret = SECRET) {
  const body = JSON.stringify(event);
  const sentAt = Math.floor(Date.now() / 1000);
  const digest = createHmac("sha256", secret).update(`${sentAt}.${body}`).digest("hex");
  return fetch(`http://127.0.0.1:${port}/webhook`, {
    method: "POST",
    body,
    headers: { "X-Athos-Signature": `t=${sentAt},v1=${digest}` },
  });
}

/** The first message of a stream of server-sent events. */
async function first(path) {
  const reader = (await fetch(`http://127.0.0.1:${port}${path}`)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("data: ")) text += (await reader.read()).value;
  await reader.cancel();
  return JSON.parse(text.slice(text.indexOf("data: ") + 6).split("\n")[0]);
}

test("a message is verified, its call fetched once, and both are shown", async () => {
  for (let time = 0; time < 2; time += 1) assert.equal((await post(EVENT)).status, 204);
  assert.deepEqual(asked, ["/api/external/v1/calls/athos_call_1"]);
  assert.deepEqual(await first("/webhooks"), EVENT);
  assert.deepEqual(await first("/events?callId=athos_call_1"), { event: EVENT, call: { score: { overallScore: 82 } } });
});

test("what Athos did not sign is refused with the reason", async () => {
  await post(EVENT);
  const refused = await post({ ...EVENT, webhookId: "wh_2" }, "whsec_other");
  assert.equal(refused.status, 401);
  assert.equal((await refused.json()).error.code, "SIGNATURE_MISMATCH");
  assert.equal((await first("/webhooks")).webhookId, "wh_1");
});
