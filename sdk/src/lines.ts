import { abortError, AthosRoleplayError, CallOver, networkLost, TakenOver } from "./errors.js";
import { Line, type Address, type LineHandlers } from "./line.js";
import type { Log } from "./log.js";
import type { Microphone } from "./microphone.js";
import type { ClientMessage } from "./protocol.js";
import type { ConnectionQuality } from "./quality.js";
import { childOf, sleep, within } from "./waiting.js";

const POLL_MS = 250;
const RETRY_MS = 500;
const QUIET_RETRY_MS = 2_000; // while only the socket is gone and both still hear each other
const TRY_LIMIT_MS = 10_000;
const JOIN_LIMIT_MS = 6_000;
/** A try begun while the network was away hangs, and TCP asks ever more seldom: give it up early and ask again. */
const HASTY_JOIN_MS = 2_000;
const PATIENT_EACH = 4; // each fourth try gets the time that a slow network needs
const GIVE_UP_MS = 30_000;

export interface LinesHandlers extends Pick<LineHandlers, "onMessage" | "onPlaybackBlocked"> {
  onReconnecting: () => void;
  onReconnected: () => void;
  /** Another line carries the call: what was told the server may have to be told again. */
  onNewLine: () => void;
  /** The end, and why: `CallOver`, `TakenOver`, or `NETWORK_LOST` after 30 s without sound. */
  onEnd: (reason: Error) => void;
}

/**
 * Keeps one call on a working line. When sound or socket fail, a new line is built beside the old one,
 * which stays until then, since it may heal.
 */
export class Lines {
  readonly #address: Address;
  readonly #microphone: Microphone;
  readonly #handlers: LinesHandlers;
  readonly #log: Log;
  readonly #open = new Set<Line>();
  #current: Line | undefined;
  #redialling: { cancel: AbortController; line?: Line } | undefined;
  /** A line of ours was tried after the current one: if that is taken over, it was us. */
  #superseded = false;
  #audible = true;
  #failures = 0;

  constructor(address: Address, microphone: Microphone, handlers: LinesHandlers, log: Log) {
    this.#address = address;
    this.#microphone = microphone;
    this.#handlers = handlers;
    this.#log = log;
  }

  /** The first line. Tried again, for up to 30 s, where that can help. */
  async connect(signal: AbortSignal): Promise<{ name: string }> {
    let failure = networkLost();
    return within(GIVE_UP_MS, signal, () => failure, async (limit) => {
      for (;;) {
        try {
          return await this.#dial(JOIN_LIMIT_MS, limit);
        } catch (cause) {
          if (!canRetry(cause)) throw cause;
          failure = cause;
          this.#log("connecting failed, trying again", { code: cause.code });
          await sleep(RETRY_MS, limit);
        }
      }
    });
  }

  /** Watches over the call until the signal fires. */
  async keep(signal: AbortSignal): Promise<void> {
    window.addEventListener("online", this.#askAgain);
    try {
      for (;;) {
        await sleep(POLL_MS, signal);
        await this.#current?.measure();
        signal.throwIfAborted();
        this.#check(signal);
      }
    } finally {
      window.removeEventListener("online", this.#askAgain);
    }
  }

  /** Tells the server that the rep ends the call. False when no line could carry that. */
  end(): boolean {
    const reachable = [...this.#open].filter((line) => line.hasSocket);
    for (const line of reachable) line.end();
    return reachable.length > 0;
  }

  /** To the server. A line that comes later is told by whoever hears of it, see `onNewLine`. */
  tell(message: ClientMessage): void {
    this.#current?.tell(message);
  }

  /** No more sound of the persona, while the end is being confirmed. */
  hush(): void {
    for (const line of this.#open) line.hush();
  }

  quality(): ConnectionQuality | undefined {
    return this.#current?.quality();
  }

  async resumeAudio(): Promise<void> {
    await this.#current?.resumeAudio();
  }

  close(): void {
    for (const line of this.#open) line.close();
    this.#open.clear();
  }

  /** The browser sees a network again: what was asked without one hangs. */
  readonly #askAgain = (): void => {
    if (this.#redialling?.line?.offered === false) this.#redialling.cancel.abort(networkLost());
  };

  #check(signal: AbortSignal): void {
    const line = this.#current;
    if (line === undefined) return;
    if (line.silentMs() >= GIVE_UP_MS) return this.#handlers.onEnd(networkLost());
    this.#setAudible(line.audible);
    const healthy = line.audible && line.hasSocket;
    if (healthy) this.#failures = 0;
    if (!healthy && this.#redialling === undefined) void this.#redial(signal);
    // Healed by itself. Once the server has the new offer there is no way back, it may have moved the call.
    if (healthy && this.#redialling?.line?.offered === false) this.#redialling.cancel.abort(abortError());
  }

  #setAudible(audible: boolean): void {
    if (audible === this.#audible) return;
    this.#audible = audible;
    if (audible) this.#handlers.onReconnected();
    else this.#handlers.onReconnecting();
  }

  /** One try at a new line. `keep` comes back while it is needed. */
  async #redial(signal: AbortSignal): Promise<void> {
    const { controller: cancel, release } = childOf(signal);
    this.#redialling = { cancel };
    this.#superseded = true;
    try {
      const patient = this.#failures % PATIENT_EACH === PATIENT_EACH - 1;
      await this.#dial(patient ? JOIN_LIMIT_MS : HASTY_JOIN_MS, cancel.signal);
      this.#log("on a new line");
    } catch (cause) {
      this.#failures += 1;
      this.#log("no new line", { cause: cause instanceof AthosRoleplayError ? cause.code : String(cause) });
      await sleep(this.#audible ? QUIET_RETRY_MS : RETRY_MS, signal).catch(() => {}); // called off: done anyway
    } finally {
      release();
      this.#redialling = undefined;
    }
  }

  async #dial(joinMs: number, signal: AbortSignal): Promise<{ name: string }> {
    const line = this.#newLine();
    if (this.#redialling !== undefined) this.#redialling.line = line;
    try {
      const persona = await within(TRY_LIMIT_MS, signal, networkLost, (limit) => line.open(this.#address, joinMs, limit));
      signal.throwIfAborted();
      this.#promote(line);
      return persona;
    } catch (cause) {
      this.#drop(line);
      throw cause;
    }
  }

  #newLine(): Line {
    const { onMessage, onPlaybackBlocked } = this.#handlers;
    const onClosed = (reason: Error): void => this.#closed(line, reason);
    const line = new Line(this.#microphone, { onMessage, onPlaybackBlocked, onClosed });
    this.#open.add(line);
    return line;
  }

  #closed(line: Line, reason: Error): void {
    const isCurrent = line === this.#current;
    if (reason instanceof TakenOver && isCurrent && this.#superseded) return; // by us
    if (reason instanceof CallOver && !isCurrent && reason.durationSec === undefined) {
      return this.#handlers.onEnd(networkLost()); // it ended while we were away
    }
    if (reason instanceof CallOver || reason instanceof TakenOver) return this.#handlers.onEnd(reason);
    this.#log("socket closed", { reason: reason.message });
  }

  #promote(line: Line): void {
    const old = this.#current;
    this.#current = line;
    this.#superseded = false;
    this.#failures = 0;
    if (old !== undefined) this.#drop(old);
    this.#setAudible(true);
    if (old !== undefined) this.#handlers.onNewLine();
  }

  #drop(line: Line): void {
    this.#open.delete(line);
    line.close();
  }
}

/** A refusal stays a refusal; a network or a server that was away may come back. */
function canRetry(cause: unknown): cause is AthosRoleplayError {
  return cause instanceof AthosRoleplayError && ["NETWORK_LOST", "SERVICE_UNAVAILABLE"].includes(cause.code);
}
