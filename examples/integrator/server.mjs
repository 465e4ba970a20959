// A small product that embeds Athos. Three steps: mint a token, make the call in the page, receive the result.
// Set ATHOS_BASE_URL, ATHOS_API_KEY, ATHOS_WEBHOOK_SECRET and PORT, or start with --demo <Athos' demo.json>.
import { createServer } from "node:http";
import { verify, WebhookRefused } from "@useathos/webhooks";
import { file, Recent, readBody, refuse, sendJson, settings, streamEvents } from "./http.mjs";

const { athosUrl, apiKey, webhookSecret, port } = settings();

// 1. Your backend, which alone knows the API key, mints a token: one call, for the person who is signed in.
async function token(request, response) {
  const who = { externalUserId: "rep_8842", externalAgencyId: "agency_chicago" }; // from your own sign-in
  const rep = { name: "Sam Carter", team: "Blue" }; // for the people who look at Athos' dashboard
  sendJson(response, 200, await athos("POST", "/session", { ...who, rep }));
}

// 2. The page makes the call with that token: public/app.js.

// 3. Athos posts here when the call is scored. The body says which call; its score is fetched with the key.
async function webhook(request, response) {
  const event = verify(await readBody(request), request.headers, webhookSecret); // throws what is not from Athos
  if (!received.has(event.webhookId)) {
    if (event.event === "call.scored") {
      const call = event.success ? await scoredCall(event.callId) : null;
      results.set(event.callId, { event, call });
    }
    received.set(event.webhookId, event); // only now: had anything failed, Athos would send it again
    messages.set("newest", event);
  }
  response.writeHead(204).end();
}

const received = new Recent(1000); // webhook id -> event: it counts once, however often it comes
const results = new Recent(100); // call id -> { event, call }
const messages = new Recent(1); // "newest" -> event

// The page waits here for the result of its call, as server-sent events.
function events(request, response, { searchParams }) {
  streamEvents(response, (send) => results.follow(searchParams.get("callId"), send));
}

// And here for whatever Athos says, for those who want to see it.
function webhooks(request, response) {
  streamEvents(response, (send) => messages.follow("newest", send));
}

function scoredCall(callId) {
  return athos("GET", `/calls/${encodeURIComponent(callId)}`).catch((cause) => {
    if (cause.answer?.error.code === "CALL_NOT_FOUND") return null; // erased meanwhile, or a test event
    throw cause;
  });
}

/** One request to Athos' API. Its errors are `{ error: { code, message, requestId } }`. */
async function athos(method, path, body) {
  const response = await fetch(`${athosUrl}/api/external/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error.message), { status: response.status, answer });
  return answer;
}

const routes = {
  "GET /": file("index.html", athosUrl),
  "GET /app.js": file("app.js", athosUrl),
  "GET /style.css": file("style.css", athosUrl),
  "GET /headless": file("headless.html", athosUrl), // the same in thirty lines
  "GET /headless.js": file("headless.js", athosUrl),
  "GET /embedded": file("embedded.html", athosUrl), // or with Athos' own page in an iframe
  "GET /embedded.js": file("embedded.js", athosUrl),
  "GET /events": events,
  "GET /webhooks": webhooks,
  "POST /token": token,
  "POST /webhook": webhook,
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const route = routes[`${request.method} ${url.pathname}`];
  if (!route) return refuse(response, 404, "NOT_FOUND", "There is nothing at this address.");
  try {
    await route(request, response, url);
  } catch (cause) {
    if (cause instanceof WebhookRefused) return refuse(response, 401, cause.code, cause.message);
    console.error(`${request.method} ${url.pathname}:`, cause.answer?.error ?? cause.message);
    if (cause.answer) sendJson(response, cause.status, cause.answer);
    else refuse(response, 502, "UNREACHABLE", "Athos cannot be reached.");
  }
});
server.listen(port, "127.0.0.1", () => console.log(`The example runs at http://localhost:${port}`));
