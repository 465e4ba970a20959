import { WebhookRefused } from "./refused.js";

/** What all messages have. */
interface Facts {
  /** The same on every attempt: ignore a message whose id you have had. */
  readonly webhookId: string;
  /** ISO 8601 in UTC. */
  readonly occurredAt: string;
  /** Tell it to us when something is odd. */
  readonly requestId: string;
  /** Only in the sandbox. */
  readonly mode?: "test";
}

interface CallFacts extends Facts {
  /** For `GET /api/external/v1/calls/{callId}`. */
  readonly callId: string;
  readonly source: string;
  /** Your own name of the rep. */
  readonly externalUserId: string;
  readonly externalAgencyId: string | null;
}

interface NoScore {
  /** A code; the list may grow. */
  readonly reason?: string;
  readonly reasonMessage?: string;
}

/** There is a score to fetch if `success`, else `reason` says why there is none. */
export interface CallScoredEvent extends CallFacts, NoScore {
  readonly event: "call.scored";
  readonly success: boolean;
}

/** Rep and persona hear each other. */
export interface CallStartedEvent extends CallFacts {
  readonly event: "call.started";
}

/** The call is over; its score comes later. */
export interface CallEndedEvent extends CallFacts {
  readonly event: "call.ended";
  /** `REP_ENDED`, `NETWORK_LOST` and others; the list may grow. */
  readonly endReason: string;
  readonly durationSec: number;
}

/** There will be no score of this call. */
export interface CallScoreFailedEvent extends CallFacts, NoScore {
  readonly event: "call.score_failed";
}

/** A manager changed the score, or took that back. Fetch the call again. */
export interface ScoreOverriddenEvent extends CallFacts {
  readonly event: "score.overridden";
}

/** There is no audio of the call any more. It names nobody. */
export interface RecordingDeletedEvent extends Facts {
  readonly event: "recording.deleted";
  readonly callId: string;
  readonly source: string;
  /** `RETENTION`, `CALL_ERASED`, `REP_ERASED`; the list may grow. */
  readonly reason: string;
}

/** What you asked for, to see that your endpoint hears us. */
export interface EndpointTestEvent extends Facts {
  readonly event: "endpoint.test";
}

/** Any string but those above. To the compiler it is one of its own, or it could not tell the kinds apart. */
declare enum OtherKind {
  Other = "",
}

/** Of a kind that this version does not know. Ignore it, and answer a 2xx. */
export interface OtherEvent extends Facts {
  readonly event: OtherKind;
  readonly [fact: string]: unknown;
}

/** `switch (event.event)` tells the kinds apart. */
export type WebhookEvent =
  | CallScoredEvent
  | CallStartedEvent
  | CallEndedEvent
  | CallScoreFailedEvent
  | ScoreOverriddenEvent
  | RecordingDeletedEvent
  | EndpointTestEvent
  | OtherEvent;

type Check = (fact: unknown) => boolean;
const text: Check = (fact) => typeof fact === "string";
const flag: Check = (fact) => typeof fact === "boolean";
const whole: Check = (fact) => Number.isInteger(fact);
const textOrNull: Check = (fact) => fact === null || text(fact);
const textOrNothing: Check = (fact) => fact === undefined || textOrNull(fact);
const moment: Check = (fact) => text(fact) && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(fact as string);

type Checks = Readonly<Record<string, Check>>;
const FACTS: Checks = { event: text, webhookId: text, occurredAt: moment, requestId: text };
const CALL: Checks = { callId: text, source: text, externalUserId: text, externalAgencyId: textOrNull };
const NO_SCORE: Checks = { reason: textOrNothing, reasonMessage: textOrNothing };
const KINDS: ReadonlyMap<unknown, Checks> = new Map<unknown, Checks>([
  ["call.scored", { ...CALL, ...NO_SCORE, success: flag }],
  ["call.started", CALL],
  ["call.ended", { ...CALL, endReason: text, durationSec: whole }],
  ["call.score_failed", { ...CALL, ...NO_SCORE }],
  ["score.overridden", CALL],
  ["recording.deleted", { callId: text, source: text, reason: text }],
]);

/** The event that a verified body tells of. */
export function eventOf(body: Uint8Array): WebhookEvent {
  const message = parsed(body);
  if (typeof message !== "object" || message === null || Array.isArray(message)) throw invalid();
  const facts = message as Record<string, unknown>;
  for (const [name, check] of Object.entries({ ...FACTS, ...KINDS.get(facts["event"]) })) {
    if (!check(facts[name])) throw invalid();
  }
  return message as WebhookEvent;
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw invalid();
  }
}

function invalid(): WebhookRefused {
  return new WebhookRefused("BODY_INVALID", "The body is not a message of Athos.");
}
