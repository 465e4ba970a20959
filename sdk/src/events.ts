import type { AthosErrorCode } from "./errors.js";

/** What each event hands to its listeners. `undefined`: nothing. */
export interface AthosEventMap {
  connecting: undefined;
  /** The call is live: both can hear each other. */
  ready: { persona: { name: string } };
  /** No sound arrives; the session is trying to get the line back. */
  reconnecting: undefined;
  reconnected: undefined;
  personaSpeaking: { speaking: boolean };
  userSpeaking: { speaking: boolean };
  /** The call is over, however it ended. `durationSec` counts from `ready`. */
  ended: { callId: string; durationSec: number };
  /** Something failed. Only `NETWORK_LOST` is followed by `ended`. */
  error: { code: AthosErrorCode; message: string };
}

export type AthosEventName = keyof AthosEventMap;

export const ATHOS_EVENT_NAMES = [
  "connecting",
  "ready",
  "reconnecting",
  "reconnected",
  "personaSpeaking",
  "userSpeaking",
  "ended",
  "error",
] as const satisfies readonly AthosEventName[];

export type Listener<Name extends AthosEventName> = (payload: AthosEventMap[Name]) => void;

/** What `emit` takes: the payload, or nothing where the event has none. */
type Payload<Value> = Value extends undefined ? [] : [payload: Value];

/** Listeners by event. One that throws is reported to the page and harms nobody else. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  on<Name extends keyof Events>(event: Name, listener: (payload: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => this.off(event, listener);
  }

  off<Name extends keyof Events>(event: Name, listener: (payload: Events[Name]) => void): void {
    this.#listeners.get(event)?.delete(listener);
  }

  emit<Name extends keyof Events>(event: Name, ...[payload]: Payload<Events[Name]>): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as (payload: unknown) => void)(payload);
      } catch (cause) {
        queueMicrotask(() => reportError(cause)); // the page's own mistake, shown as its own
      }
    }
  }
}
