import { abortError, asAthosError, AthosRoleplayError, CallOver } from "./errors.js";
import { Emitter, type AthosEventMap, type AthosEventName, type Listener } from "./events.js";
import { Lines } from "./lines.js";
import type { Log } from "./log.js";
import { listMicrophones, Microphone, type MicrophoneInfo } from "./microphone.js";
import type { ServerMessage } from "./protocol.js";
import type { ConnectionQuality } from "./quality.js";
import { openWay, redeem, type Redeemed, type RedeemRequest } from "./redeem.js";

const GOODBYE_MS = 2_000; // how long the server may take to confirm the end
const TAIL_MS = 120; // what was said before a button came up is still on its way

export interface SessionOptions extends RedeemRequest {
  token: string;
  apiBase: string;
  captions: boolean;
}

/** One call, from the rep's side. */
export interface AthosRoleplaySession {
  /**
   * Asks for the microphone, then redeems the token and joins the call. Resolves when both can hear each
   * other. Rejects with the `AthosRoleplayError` that is emitted too, or with an `AbortError` after
   * `disconnect()`; the microphone is off again then. A session connects once.
   */
  connect(): Promise<void>;
  /** Ends the call. Works at any time, any number of times; cancels a `connect()` under way without an event. */
  disconnect(): Promise<void>;
  /** Returns the function that unsubscribes. */
  on<Name extends AthosEventName>(event: Name, callback: Listener<Name>): () => void;
  off<Name extends AthosEventName>(event: Name, callback: Listener<Name>): void;
  listMicrophones(): Promise<MicrophoneInfo[]>;
  /** Before the call: the one to ask for. During it: switches without dropping the call. */
  setMicrophone(deviceId: string): Promise<void>;
  mute(): Promise<void>;
  unmute(): Promise<void>;
  /** For a click handler, after `AUDIO_PLAYBACK_BLOCKED`. */
  resumeAudio(): Promise<void>;
  /**
   * Press-to-talk, for noisy rooms: `true` while the button is down, `false` while it is up; then only what is
   * said in between is heard, and letting go ends the turn. `null` goes back to talking freely.
   */
  pressToTalk(pressed: boolean | null): Promise<void>;
  /** Both are silent until `resume()`, for ten minutes at most; the call's time runs on. `onPause` tells when. */
  pause(): Promise<void>;
  /** Goes on: the persona begins again the sentence that was cut. */
  resume(): Promise<void>;
  /** The server's word that the call stands still or goes on, also by itself. Returns what unsubscribes. */
  onPause(callback: (pause: { paused: boolean }) => void): () => void;
  /** How loud the rep is at this moment, 0 to 1, for a level meter; 0 while muted and outside a call. */
  inputLevel(): number;
  /** How the line does; `undefined` outside a call. */
  connectionQuality(): ConnectionQuality | undefined;
  /** With `captions: true`: each sentence of the persona as she begins to say it. Returns what unsubscribes. */
  onCaption(callback: (caption: { text: string }) => void): () => void;
}

type State = "idle" | "connecting" | "live" | "ending" | "ended";

export class Session implements AthosRoleplaySession {
  readonly #options: SessionOptions;
  readonly #log: Log;
  readonly #emitter = new Emitter<AthosEventMap>();
  readonly #extras = new Emitter<{ caption: { text: string }; pause: { paused: boolean } }>();
  readonly #life = new AbortController();
  readonly #speaking = new Set<"personaSpeaking" | "userSpeaking">();
  #state: State = "idle";
  #deviceId: string | undefined;
  #muted = false;
  #pressed: boolean | null | undefined; // undefined: never used
  #paused = false;
  #pauseAsked: boolean | undefined; // not answered by the server yet
  #letGo: ReturnType<typeof setTimeout> | undefined;
  #microphone: Microphone | undefined;
  #call: Redeemed | undefined;
  #lines: Lines | undefined;
  #liveAt = 0;
  #goodbye: Promise<void> | undefined;
  #confirmEnd: () => void = () => {};

  constructor(options: SessionOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  async connect(): Promise<void> {
    if (this.#state !== "idle") throw new AthosRoleplayError("SESSION_ALREADY_CONNECTED");
    this.#state = "connecting";
    window.addEventListener("pagehide", this.#leave);
    this.#emitter.emit("connecting");
    try {
      const persona = await this.#join(this.#life.signal);
      this.#life.signal.throwIfAborted();
      this.#goLive(persona);
    } catch (cause) {
      throw this.#connectFailed(cause);
    }
  }

  disconnect(): Promise<void> {
    this.#goodbye ??= this.#state === "live" ? this.#hangUp() : this.#cancel();
    return this.#goodbye;
  }

  on<Name extends AthosEventName>(event: Name, callback: Listener<Name>): () => void {
    return this.#emitter.on(event, callback);
  }

  off<Name extends AthosEventName>(event: Name, callback: Listener<Name>): void {
    this.#emitter.off(event, callback);
  }

  listMicrophones(): Promise<MicrophoneInfo[]> {
    return listMicrophones();
  }

  async setMicrophone(deviceId: string): Promise<void> {
    this.#deviceId = deviceId;
    if (this.#microphone === undefined || this.#life.signal.aborted) return;
    try {
      await this.#microphone.switchTo(deviceId, this.#life.signal);
    } catch (cause) {
      if (this.#life.signal.aborted) throw abortError();
      throw this.#report(cause);
    }
  }

  async mute(): Promise<void> {
    this.#muted = true;
    this.#openOrMute();
  }

  async unmute(): Promise<void> {
    this.#muted = false;
    this.#openOrMute();
  }

  async pressToTalk(pressed: boolean | null): Promise<void> {
    const letsGo = this.#pressed === true && pressed === false;
    this.#pressed = pressed;
    this.#openOrMute();
    clearTimeout(this.#letGo);
    if (letsGo && this.#state === "live") this.#letGo = setTimeout(this.#tellPressed, TAIL_MS);
    else this.#tellPressed();
  }

  async pause(): Promise<void> {
    this.#setPaused(true);
  }

  async resume(): Promise<void> {
    this.#setPaused(false);
  }

  async resumeAudio(): Promise<void> {
    await this.#lines?.resumeAudio();
  }

  inputLevel(): number {
    return this.#microphone?.level() ?? 0;
  }

  connectionQuality(): ConnectionQuality | undefined {
    return this.#state === "live" ? this.#lines?.quality() : undefined;
  }

  onCaption(callback: (caption: { text: string }) => void): () => void {
    return this.#extras.on("caption", callback);
  }

  onPause(callback: (pause: { paused: boolean }) => void): () => void {
    return this.#extras.on("pause", callback);
  }

  /** Microphone first: who says no has not spent the token. */
  async #join(signal: AbortSignal): Promise<{ name: string }> {
    signal.throwIfAborted(); // a listener of `connecting` may have disconnected
    openWay(this.#options.apiBase);
    this.#microphone = await Microphone.open(this.#deviceId, signal);
    this.#openOrMute();
    this.#microphone.onLost = (reason) => this.#report(reason);
    signal.throwIfAborted();
    const { apiBase, token, drillKey, filters, difficulty } = this.#options;
    this.#call = await redeem(apiBase, token, { drillKey, filters, difficulty }, signal);
    signal.throwIfAborted();
    this.#log("redeemed", { sessionId: this.#call.sessionId, callId: this.#call.callId });
    this.#lines = this.#makeLines(this.#call, this.#microphone);
    return this.#lines.connect(signal);
  }

  #makeLines(call: Redeemed, microphone: Microphone): Lines {
    const address = { ...call, captions: this.#options.captions };
    const handlers = {
      onMessage: (message: ServerMessage) => this.#onMessage(message),
      onPlaybackBlocked: (error: AthosRoleplayError) => this.#report(error),
      onReconnecting: () => this.#onReconnecting(),
      onReconnected: () => this.#emitter.emit("reconnected"),
      onNewLine: () => this.#tellAgain(),
      onEnd: (reason: Error) => this.#onEnd(reason),
    };
    return new Lines(address, microphone, handlers, this.#log);
  }

  #goLive(persona: { name: string }): void {
    this.#state = "live";
    this.#liveAt = performance.now();
    this.#log("live");
    this.#lines?.keep(this.#life.signal).catch((cause: unknown) => {
      if (!this.#life.signal.aborted) this.#log("watching failed", { cause: String(cause) });
    });
    this.#tellAgain();
    this.#emitter.emit("ready", { persona });
  }

  /** Whatever keeps the rep from being heard: sound that is not wanted does not leave the browser. */
  #openOrMute(): void {
    this.#microphone?.setMuted(this.#muted || this.#paused || this.#pressed === false);
  }

  #setPaused(paused: boolean): void {
    this.#paused = this.#pauseAsked = paused;
    this.#openOrMute();
    if (this.#state === "live") this.#lines?.tell({ type: "pause", paused });
  }

  readonly #tellPressed = (): void => {
    if (this.#state !== "live" || this.#pressed === undefined) return;
    this.#lines?.tell({ type: "talk", pressed: this.#pressed });
  };

  /** A server that has just taken the call knows neither button nor pause, and what was told on a lost line is lost. */
  #tellAgain(): void {
    this.#tellPressed();
    if (this.#paused || this.#pauseAsked !== undefined) this.#setPaused(this.#paused);
  }

  #connectFailed(cause: unknown): Error {
    const cancelled = this.#life.signal.aborted;
    this.#close();
    if (cancelled) return abortError();
    const error = this.#report(cause);
    if (this.#call !== undefined) this.#emitter.emit("ended", { callId: this.#call.callId, durationSec: 0 });
    return error;
  }

  /** Before the call is live: no event, and what was begun is undone. */
  async #cancel(): Promise<void> {
    this.#lines?.end();
    this.#close();
  }

  /** Both are silent at once; the server's word on the duration may take a moment. */
  async #hangUp(): Promise<void> {
    this.#state = "ending";
    this.#microphone?.stop();
    const told = this.#lines?.end() === true;
    this.#lines?.hush();
    this.#life.abort(abortError());
    if (told) await this.#endConfirmed();
    this.#finish();
  }

  #endConfirmed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, GOODBYE_MS);
      this.#confirmEnd = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  readonly #leave = (): void => {
    if (this.#state === "connecting") return void this.#cancel();
    this.#lines?.end();
    this.#finish();
  };

  #onMessage(message: ServerMessage): void {
    if (message.type === "caption") return this.#extras.emit("caption", { text: message.text });
    if (message.type === "paused") return this.#onPaused(message.paused);
    if (message.type !== "personaSpeaking" && message.type !== "userSpeaking") return;
    if (this.#state !== "live" || message.speaking === this.#speaking.has(message.type)) return;
    if (message.speaking) this.#speaking.add(message.type);
    else this.#speaking.delete(message.type);
    this.#emitter.emit(message.type, { speaking: message.speaking });
  }

  /** Also when the pause has lasted too long, or another server took the call that knows of none. */
  #onPaused(paused: boolean): void {
    if (this.#pauseAsked === !paused) return; // said before it heard what we asked last
    this.#pauseAsked = undefined;
    this.#paused = paused;
    this.#openOrMute();
    this.#extras.emit("pause", { paused });
  }

  #onReconnecting(): void {
    this.#allSilent();
    this.#emitter.emit("reconnecting");
  }

  #onEnd(reason: Error): void {
    if (reason instanceof CallOver) return this.#finish(reason.durationSec);
    if (this.#state === "live") this.#finish(undefined, reason);
  }

  /** The end of a live call, once. */
  #finish(durationSec = Math.round((performance.now() - this.#liveAt) / 1000), error?: Error): void {
    if (this.#call === undefined || (this.#state !== "live" && this.#state !== "ending")) return;
    this.#close();
    this.#allSilent();
    if (error !== undefined) this.#report(error);
    this.#emitter.emit("ended", { callId: this.#call.callId, durationSec });
    this.#confirmEnd();
  }

  #allSilent(): void {
    for (const event of this.#speaking) this.#emitter.emit(event, { speaking: false });
    this.#speaking.clear();
  }

  #report(cause: unknown): AthosRoleplayError {
    const error = asAthosError(cause);
    this.#log("error", { code: error.code });
    this.#emitter.emit("error", { code: error.code, message: error.message });
    return error;
  }

  /** Whatever happened: microphone off, sound off, nothing open. */
  #close(): void {
    if (this.#state !== "ended") this.#log("closed");
    this.#state = "ended";
    window.removeEventListener("pagehide", this.#leave);
    clearTimeout(this.#letGo);
    this.#life.abort(abortError());
    this.#microphone?.stop();
    this.#lines?.close();
  }
}
