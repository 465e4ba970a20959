import { AthosRoleplayError, isErrorCode, networkLost, type AthosErrorCode } from "./errors.js";
import { within } from "./waiting.js";

const REDEEM_LIMIT_MS = 15_000;
const PATH = "/api/external/v1/roleplay/session";

export interface RedeemRequest {
  drillKey: string;
  filters?: { state?: string | undefined; category?: string | undefined } | undefined;
  difficulty?: "Beginner" | "Advanced" | "Elite" | undefined;
}

export interface Redeemed {
  connectionTicket: string;
  connectionUrl: string;
  sessionId: string;
  callId: string;
  persona: { name: string };
}

/** Opens the way to the server, and asks it for nothing, while the person is asked for the microphone. */
export function openWay(apiBase: string): void {
  const link = document.createElement("link");
  link.rel = "preconnect";
  link.crossOrigin = "anonymous"; // as `redeem` asks: without credentials
  link.href = apiBase;
  document.head.append(link);
  link.remove(); // it has been seen
}

/** Spends the session token on a call. Never tried twice: the first try may have spent it. */
export async function redeem(
  apiBase: string,
  token: string,
  request: RedeemRequest,
  signal: AbortSignal,
): Promise<Redeemed> {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new AthosRoleplayError("INVALID_TOKEN"); // no header could carry it
  return within(REDEEM_LIMIT_MS, signal, networkLost, async (limit) => {
    const { ok, status, text } = await post(apiBase + PATH, token, request, limit);
    const body = parse(text);
    if (!ok) throw refusal(status, body);
    if (!isRedeemed(body)) throw new AthosRoleplayError("INTERNAL_ERROR");
    return body;
  });
}

interface Answer {
  ok: boolean;
  status: number;
  text: string;
}

async function post(url: string, token: string, body: RedeemRequest, signal: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal,
    });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw networkLost(cause);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours: judged by its status
  }
}

function refusal(status: number, body: unknown): AthosRoleplayError {
  const { code, message } = (isRecord(body) && isRecord(body["error"]) ? body["error"] : {}) as Record<string, unknown>;
  if (!isErrorCode(code)) return new AthosRoleplayError(codeOf(status));
  return new AthosRoleplayError(code, typeof message === "string" ? message : undefined);
}

/** For answers without our envelope: something between us and the page spoke. */
function codeOf(status: number): AthosErrorCode {
  if (status === 429) return "RATE_LIMITED";
  if (status >= 502 && status <= 504) return "SERVICE_UNAVAILABLE";
  return status < 500 ? "INVALID_REQUEST" : "INTERNAL_ERROR";
}

function isRedeemed(body: unknown): body is Redeemed {
  return (
    isRecord(body) &&
    ["connectionTicket", "connectionUrl", "sessionId", "callId"].every((key) => typeof body[key] === "string") &&
    isRecord(body["persona"]) &&
    typeof body["persona"]["name"] === "string"
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
