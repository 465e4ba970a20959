// What our own server says about the call, by the connection ticket.

const FAST_MS = 1_500;
const SLOW_MS = 5_000;
const FAST_POLLS = 40; // a minute; most calls are scored by then

export class TicketOver extends Error {}

/** Asks until the call is scored or failed; `onState` hears each answer, `onTrouble` each failed try. */
export async function follow(ticket, { onState, onTrouble, signal }) {
  for (let polls = 0; ; polls += 1) {
    const state = await ask(ticket, signal).catch((cause) => {
      if (signal.aborted || cause instanceof TicketOver) throw cause;
      onTrouble();
    });
    if (state) onState(state);
    if (state && ["scored", "failed"].includes(state.stage)) return state;
    await pause(polls < FAST_POLLS ? FAST_MS : SLOW_MS, signal);
  }
}

/** The scorecard as HTML of our own server, which has escaped all that people said. */
export async function scorecard(ticket, signal) {
  return (await send("/embed/v1/call/scorecard", ticket, signal)).text();
}

/** Tells our server that the rep agreed to this version of the consent text, and whether they keep the call to themselves. No call goes on without it. */
export async function consent(ticket, version, isPrivate) {
  const limit = AbortSignal.timeout(15_000);
  const body = JSON.stringify({ version, private: isPrivate });
  await send("/embed/v1/call/consent", ticket, limit, { method: "POST", body, type: "application/json" });
}

/** The rep sees a verdict differently: once for each check. */
export async function dispute(ticket, checkKey, text) {
  const limit = AbortSignal.timeout(15_000);
  const body = JSON.stringify({ checkKey, text });
  await send("/embed/v1/call/dispute", ticket, limit, { method: "POST", body, type: "application/json" });
}

async function ask(ticket, signal) {
  return (await send("/embed/v1/call", ticket, signal)).json();
}

async function send(path, ticket, signal, { method = "GET", body, type } = {}) {
  const response = await fetch(path, {
    method,
    body,
    headers: { Authorization: `Ticket ${ticket}`, ...(type && { "Content-Type": type }) },
    credentials: "omit",
    cache: "no-store",
    signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
  });
  if ([401, 404].includes(response.status)) throw new TicketOver();
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return response;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
