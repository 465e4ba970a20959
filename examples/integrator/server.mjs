// A small product that embeds Athos. Three steps: mint a token, make the call in the page, receive the result.
// Set ATHOS_BASE_URL, ATHOS_API_KEY, ATHOS_WEBHOOK_SECRET and PORT, or start with --demo <Athos' demo.json>.
import { createServer } from "node:http";
import { file, Recent, readBody, refuse, sendJson, settings, streamEvents } from "./http.mjs";
import { isFromAthos } from "./signature.mjs";

const { athosUrl, apiKey, webhookSecret, port } = settings();

// 1. Your backend, which alone knows the API key, mints a token: one call, for the person who is signed in.
async function token(request, response) {
  const rep = { externalUserId: "rep_8842", externalAgencyId: "agency_chicago" }; // from your own sign-in
  sendJson(response, 200, await athos("POST", "/session", rep));
}

// 2. The page makes the call with that token: public/app.js.

// 3. Athos posts here when the call is scored. The body says which call; its score is fetched with the key.
async function webhook(request, response) {
  const body = await readBody(request);
  if (!isFromAthos(request.headers["x-athos-signature"], body, webhookSecret)) {
    return refuse(response, 401, "INVALID_SIGNATURE", "This was not signed by Athos, or too long ago.");
  }
  const event = JSON.parse(body);
  if (event.event === "call.scored" && !received.has(event.webhookId)) {
    const call = event.success ? await scoredCall(event.callId) : null;
    received.set(event.webhookId, true); // only now: had anything failed, Athos would send it again
    results.set(event.callId, { event, call });
  }
  response.writeHead(204).end();
}

const received = new Recent(1000); // webhook ids: an event counts once, however often it comes
const results = new Recent(100); // call id -> { event, call }

// The page waits here for the result of its call, as server-sent events.
function events(request, response, { searchParams }) {
  streamEvents(response, (send) => results.follow(searchParams.get("callId"), send));
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
  "GET /embedded": file("embedded.html", athosUrl), // the same with Athos' own page in an iframe
  "GET /embedded.js": file("embedded.js", athosUrl),
  "GET /events": events,
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
    console.error(`${request.method} ${url.pathname}:`, cause.answer?.error ?? cause.message);
    if (cause.answer) sendJson(response, cause.status, cause.answer);
    else refuse(response, 502, "UNREACHABLE", "Athos cannot be reached.");
  }
});
server.listen(port, "127.0.0.1", () => console.log(`The example runs at http://localhost:${port}`));
