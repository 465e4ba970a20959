/** The messages of docs/live-protocol.md. What does not read as one of them is not one. */

export const PROTOCOL_VERSION = 1;

export type ClientMessage =
  | { type: "join"; ticket: string; version: number; captions?: true }
  | { type: "check"; token: string; version: number }
  | { type: "offer"; sdp: string }
  | { type: "candidate"; candidate: { candidate: string; sdpMid: string | null; sdpMLineIndex: number | null } }
  | { type: "talk"; pressed: boolean | null }
  | { type: "pause"; paused: boolean }
  | { type: "end" }
  | { type: "ping"; t: number };

export type ServerMessage =
  | { type: "joined"; callId: string; iceServers: RTCIceServer[] }
  | { type: "answer"; sdp: string }
  | { type: "ready"; persona: { name: string } }
  | { type: "personaSpeaking"; speaking: boolean }
  | { type: "userSpeaking"; speaking: boolean }
  | { type: "caption"; text: string }
  | { type: "paused"; paused: boolean }
  | { type: "checked"; iceServers: RTCIceServer[] }
  | { type: "taken_over" }
  | { type: "ended"; callId: string; durationSec: number; reason?: string }
  | { type: "error"; code: string; message: string }
  | { type: "pong"; t: number };

export type MessageOf<Type extends ServerMessage["type"]> = Extract<ServerMessage, { type: Type }>;

export const CLOSE_TICKET_REFUSED = 4401;
export const CLOSE_TAKEN_OVER = 4409;
export const CLOSE_CALL_OVER = 4410;
export const CLOSE_NO_WORKER = 4503;

const LARGEST_MESSAGE = 65_536; // characters

type Fields = Record<string, (value: unknown) => boolean>;

const isString = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isNamed = (value: unknown): boolean => isString((value as { name?: unknown } | null)?.name);

const FIELDS: Record<ServerMessage["type"], Fields> = {
  joined: { callId: isString, iceServers: Array.isArray },
  answer: { sdp: isString },
  ready: { persona: isNamed },
  personaSpeaking: { speaking: isBoolean },
  userSpeaking: { speaking: isBoolean },
  caption: { text: isString },
  paused: { paused: isBoolean },
  checked: { iceServers: Array.isArray },
  taken_over: {},
  ended: { callId: isString, durationSec: isNumber },
  error: { code: isString, message: isString },
  pong: { t: isNumber },
};

/** The message, or undefined: a newer server may say things that this version does not know. */
export function parseMessage(data: unknown): ServerMessage | undefined {
  if (typeof data !== "string" || data.length > LARGEST_MESSAGE) return undefined;
  try {
    const message = JSON.parse(data) as Record<string, unknown> & { type: ServerMessage["type"] };
    const fields = Object.hasOwn(FIELDS, message.type) ? Object.entries(FIELDS[message.type]) : undefined;
    const fits = fields?.every(([name, check]) => check(message[name]));
    return fits === true ? (message as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}
