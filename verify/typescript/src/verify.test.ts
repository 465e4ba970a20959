import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { verify, WebhookRefused, type VerifyOptions, type WebhookHeaders } from "./index.js";

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NOW = 1_749_139_254;
const MESSAGE = {
  event: "call.scored",
  success: true,
  callId: "athos_call_GZ1DjOkZv_VEPoE-CJ8mp",
  source: "roleplay",
  externalUserId: "rep Zoë 漢",
  externalAgencyId: null,
  occurredAt: "2026-06-05T18:09:14.000Z",
  requestId: "req_1",
  webhookId: "wh_1",
};
const BODY = bytes(MESSAGE);

function bytes(message: unknown): Uint8Array {
  return new TextEncoder().encode(typeof message === "string" ? message : JSON.stringify(message));
}

function digest(body: Uint8Array, { secret = SECRET, sentAt = NOW }: { secret?: string; sentAt?: number | string } = {}): string {
  return createHmac("sha256", secret).update(`${sentAt}.`).update(body).digest("hex");
}

const header = (sentAt: number | string = NOW, body = BODY) => `t=${sentAt},v1=${digest(body, { sentAt })}`;

/** The code of the refusal, or the event that came through. */
function outcome(headers: WebhookHeaders, body = BODY, secret: string | string[] = SECRET, options: VerifyOptions = {}): string {
  try {
    return verify(body, headers, secret, { now: NOW, ...options }).event;
  } catch (cause) {
    if (cause instanceof WebhookRefused) return cause.code;
    throw cause;
  }
}

test("what Athos signed is accepted and read", () => {
  expect(verify(BODY, header(), SECRET, { now: NOW })).toEqual(MESSAGE);
});

test.each([
  ["of Node", { host: "x", "x-athos-signature": header() }],
  ["as they were written", { "X-Athos-Signature": header() }],
  ["of the Fetch API", new Headers({ "X-Athos-Signature": header() })],
  ["in lists", { "x-athos-signature": [header()] }],
  ["as the one value", header()],
])("headers %s are understood", (_, headers) => {
  expect(outcome(headers as WebhookHeaders)).toBe("call.scored");
});

test.each([{}, { "x-athos-signature": undefined }, new Headers(), { "x-athos-signature": [header(), header()] }])(
  "without the header nothing is accepted",
  (headers) => {
    expect(outcome(headers as WebhookHeaders)).toBe("SIGNATURE_MISSING");
  },
);

test("300 s in either direction are allowed, more are not", () => {
  expect([-300, 0, 300].map((away) => outcome(header(NOW + away)))).toEqual(Array(3).fill("call.scored"));
  expect(outcome(header(NOW - 301))).toBe("TIME_TOO_OLD");
  expect(outcome(header(NOW + 301))).toBe("TIME_TOO_NEW");
  expect(outcome(header(NOW - 11), BODY, SECRET, { tolerance: 10 })).toBe("TIME_TOO_OLD");
  expect(outcome(header(NOW - 1000), BODY, SECRET, { tolerance: 1000 })).toBe("call.scored");
});

test("while a secret rotates, any of its signatures and any of our secrets will do", () => {
  const fresh = digest(BODY, { secret: "whsec_new" });
  const both = `t=${NOW},v1=${fresh},v1=${digest(BODY)}`;
  for (const secret of [SECRET, "whsec_new", ["whsec_other", SECRET]]) expect(outcome(both, BODY, secret)).toBe("call.scored");
  expect(outcome(header(), BODY, ["whsec_new", SECRET])).toBe("call.scored");
  expect(outcome(both, BODY, ["whsec_a", "whsec_b"])).toBe("SIGNATURE_MISMATCH");
});

const signature = digest(BODY);
test.each([
  "", "t=,v1=", `v1=${signature}`, `t=${NOW}`, `t=${NOW},v1=`, `t=${NOW},v1=zz`, `t=x,v1=${signature}`, `t=${NOW},v0=${signature}`,
  `t=${NOW},v1=${signature.slice(2)}`, `t=NaN,v1=${signature}`, `t=-1,v1=${signature}`, `t=1e9,v1=${signature}`, `t=${NOW}, v1=${signature}`,
  `t=${NOW},v1=${signature.toUpperCase()}`, `t=${NOW},t=${NOW},v1=${signature}`, `t=${NOW},v1=${signature}0`, `t=１,v1=${signature}`,
  `t=${"1".repeat(13)},v1=${signature}`, `t=${NOW},v1=${signature}${",v1=00".repeat(1000)}`, `t=${NOW}\n,v1=${signature}`,
])("a header of another form is refused: %s", (value) => {
  expect(outcome(value)).toBe("SIGNATURE_MALFORMED");
});

test("other bytes, another time and another secret are refused", () => {
  expect(outcome(header(), bytes({ ...MESSAGE, success: false }))).toBe("SIGNATURE_MISMATCH");
  expect(outcome(header().replace(`t=${NOW}`, `t=${NOW + 1}`))).toBe("SIGNATURE_MISMATCH");
  expect(outcome(header(), BODY, "whsec_other")).toBe("SIGNATURE_MISMATCH");
  expect(outcome(header(`0${NOW}`).replace("t=0", "t="))).toBe("SIGNATURE_MISMATCH"); // the time as written is what is signed
});

test.each([
  "", "{", "null", "[]", "1", '"call.scored"', "\ufeff{}", "{}", { ...MESSAGE, event: 1 }, { ...MESSAGE, success: "true" },
  { ...MESSAGE, callId: undefined }, { ...MESSAGE, occurredAt: "yesterday" }, { ...MESSAGE, webhookId: null },
])("what is signed but no message of Athos is refused: %j", (message) => {
  const body = bytes(message);
  expect(outcome(header(NOW, body), body)).toBe("BODY_INVALID");
  const broken = Uint8Array.from([0xff, 0xfe]);
  expect(outcome(header(NOW, broken), broken)).toBe("BODY_INVALID");
});

test("an event of a kind that came later is passed on", () => {
  const body = bytes({ event: "call.praised", occurredAt: MESSAGE.occurredAt, requestId: "req_1", webhookId: "wh_2", by: "Zoë" });
  expect(verify(body, header(NOW, body), SECRET, { now: NOW })).toMatchObject({ event: "call.praised", by: "Zoë" });
});

test("a wrong call is told apart from a wrong message", () => {
  const wrong = [
    () => verify(MESSAGE as never, header(), SECRET),
    () => verify(JSON.stringify(MESSAGE) as never, header(), SECRET),
    ...["", [], [""], undefined, "MDEy", [SECRET, undefined]].map((secret) => () => verify(BODY, header(), secret as never)),
    ...[-1, Infinity, NaN].map((tolerance) => () => verify(BODY, header(), SECRET, { tolerance })),
  ];
  for (const call of wrong) expect(call).toThrow(TypeError);
});

test("the clock is the machine's unless a test gives another", () => {
  expect(verify(BODY, header(Math.floor(Date.now() / 1000)), SECRET).event).toBe("call.scored");
  expect(() => verify(BODY, header(), SECRET)).toThrow("TIME_TOO_OLD");
});
