// The whole loop with a client generated from the served document: mint, endpoints, a sandbox call
// until it is scored, read it, meet an error. `built/athos.d.ts` is made by openapi-typescript.
import createClient from "openapi-fetch";
import type { components, paths } from "./built/athos.js";

const [server, key] = process.argv.slice(2);
if (!server || !key) throw new Error("node loop.js <server> <API key>");
const api = createClient<paths>({ baseUrl: server, headers: { Authorization: `Bearer ${key}` } });

function given<T>(answer: { data?: T; error?: components["schemas"]["Error"] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.error.code ?? "no answer");
  return answer.data;
}

async function scored(callId: string): Promise<void> {
  for (const end = Date.now() + 300_000; Date.now() < end; ) {
    const now = given(await api.GET("/calls/{callId}/status", { params: { path: { callId } } }));
    if (now.status === "scored") return;
    if (now.status === "failed") throw new Error(now.reason);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("not scored in time");
}

const began = new Date(Date.now() - 3_600_000).toISOString();
const token = given(await api.POST("/session", { body: { externalUserId: "rep_ts" } }));
if (new Date(token.expiresAt) < new Date()) throw new Error("an old token");

const url = "https://crm.example.com/hooks/typescript";
const endpoint = given(await api.POST("/webhook-endpoints", { body: { url } }));
const endpoints = given(await api.GET("/webhook-endpoints"));
if (!endpoints.data.some((each) => each.id === endpoint.id)) throw new Error("no endpoint");
const path = { endpointId: endpoint.id };
const removed = await api.DELETE("/webhook-endpoints/{endpointId}", { params: { path } });
if (removed.response.status !== 204) throw new Error("the endpoint stays");

const body = { drillKey: "ma-full-sale", externalUserId: "rep_ts", difficulty: "Elite" } as const;
const { callId } = given(await api.POST("/sandbox/calls", { body }));
await scored(callId);
const call = given(await api.GET("/calls/{callId}", { params: { path: { callId } } }));
const page = given(
  await api.GET("/calls", { params: { query: { from: began, externalUserId: "rep_ts" } } }),
);
if (!page.data.some((row) => row.id === callId)) throw new Error("the call is not listed");

const nobody = { callId: "athos_call_" + "x".repeat(21) };
const missing = await api.GET("/calls/{callId}", { params: { path: nobody } });
const { overallScore, criteria } = call.score;
console.log(
  JSON.stringify({
    callId,
    overallScore,
    turns: call.transcript.length,
    checks: criteria.length,
    quote: criteria.map((each) => each.evidence).find((each) => each.kind === "quote")?.quote,
    refused: missing.error?.error.code,
  }),
);
