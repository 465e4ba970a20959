import { createHmac, timingSafeEqual } from "node:crypto";
import { eventOf, type WebhookEvent } from "./events.js";
import { WebhookRefused } from "./refused.js";

/** Seconds, in either direction. */
export const TOLERANCE = 300;

const HEADER = "X-Athos-Signature";
const HEADER_LONGEST = 4096; // characters; ours has about 90, or 160 while a secret rotates

/** All headers of the request, as Node or as the Fetch API has them, or the value of X-Athos-Signature alone. */
export type WebhookHeaders =
  | string
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /** Seconds that the signature's time may be away from now, in either direction; 300 by default. */
  readonly tolerance?: number;
  /** Unix seconds, for tests. */
  readonly now?: number;
}

/**
 * The event in `body`, or `WebhookRefused`. Throws TypeError when called wrongly.
 *
 * `body`: the bytes as received, not JSON that was parsed and printed again.
 * `secret`: the endpoint's `whsec_…`, or several of them, any of which may have signed.
 */
export function verify(
  body: Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  { tolerance = TOLERANCE, now = Date.now() / 1000 }: VerifyOptions = {},
): WebhookEvent {
  if (!(body instanceof Uint8Array)) throw new TypeError("verify() needs the raw bytes of the body, as received.");
  const secrets = typeof secret === "string" ? [secret] : secret;
  // An empty key would make a signature that anybody can make.
  if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isSecret)) {
    throw new TypeError("verify() needs the endpoint's secret, which begins with whsec_.");
  }
  if (!(tolerance >= 0 && tolerance < Infinity)) {
    throw new TypeError("verify() needs a tolerance in seconds, of 0 or more.");
  }
  const { sentAt, digests } = signatureOf(headerOf(headers));
  if (!isSigned(body, sentAt, digests, secrets)) {
    throw new WebhookRefused("SIGNATURE_MISMATCH", "No signature fits the body and the secret.");
  }
  checkTime(Number(sentAt), now, tolerance);
  return eventOf(body);
}

function isSecret(secret: unknown): boolean {
  return typeof secret === "string" && secret.startsWith("whsec_");
}

function headerOf(headers: WebhookHeaders): string {
  const header = typeof headers === "string" ? headers : found(headers);
  if (typeof header !== "string") throw new WebhookRefused("SIGNATURE_MISSING", `There is no ${HEADER}.`);
  return header;
}

function found(headers: Exclude<WebhookHeaders, string>): unknown {
  if (typeof headers.get === "function") return headers.get(HEADER);
  const own = Object.entries(headers).find(([name]) => name.toLowerCase() === HEADER.toLowerCase());
  return Array.isArray(own?.[1]) && own[1].length === 1 ? own[1][0] : own?.[1];
}

/** The time as it was written, and the digests that look like one. */
function signatureOf(header: string): { sentAt: string; digests: Buffer[] } {
  if (header.length > HEADER_LONGEST) throw new WebhookRefused("SIGNATURE_MALFORMED", `${HEADER} is too long.`);
  const times: string[] = [];
  const digests: Buffer[] = [];
  for (const part of header.split(",")) {
    if (part.startsWith("t=")) times.push(part.slice(2));
    if (/^v1=[0-9a-f]{64}$/.test(part)) digests.push(Buffer.from(part.slice(3), "hex"));
  }
  const [sentAt = ""] = times;
  if (times.length !== 1 || !/^[0-9]{1,12}$/.test(sentAt) || digests.length === 0) {
    throw new WebhookRefused("SIGNATURE_MALFORMED", `${HEADER} must be t=<seconds>,v1=<hex>.`);
  }
  return { sentAt, digests };
}

/** Each secret is tried with each digest, so that how long it takes says nothing. */
function isSigned(body: Uint8Array, sentAt: string, digests: readonly Buffer[], secrets: readonly string[]): boolean {
  let signed = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(`${sentAt}.`).update(body).digest();
    for (const digest of digests) if (timingSafeEqual(digest, expected)) signed = true;
  }
  return signed;
}

function checkTime(sentAt: number, now: number, tolerance: number): void {
  if (now - sentAt > tolerance) throw new WebhookRefused("TIME_TOO_OLD", `It was signed over ${tolerance} s ago.`);
  if (sentAt - now > tolerance) {
    throw new WebhookRefused("TIME_TOO_NEW", `It was signed over ${tolerance} s in the future.`);
  }
}
