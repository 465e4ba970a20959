import { AthosRoleplayError } from "./errors.js";
import { Meter } from "./meter.js";
import { startSilence, type Silence } from "./silence.js";
import { abortable } from "./waiting.js";

export interface MicrophoneInfo {
  deviceId: string;
  /** Empty until the page may use the microphone. */
  label: string;
}

/** What sends a track: an `RTCRtpSender`. */
export type TrackSender = Pick<RTCRtpSender, "replaceTrack">;

export async function listMicrophones(): Promise<MicrophoneInfo[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "audioinput")
    .map(({ deviceId, label }) => ({ deviceId, label }));
}

/** The rep's microphone: one track, sent by whichever connections are attached. */
export class Microphone {
  /** The device stopped by itself, or may not be used any more. Silence is sent until one can be heard again. */
  onLost: (reason: AthosRoleplayError) => void = () => {};

  readonly #senders = new Set<TrackSender>();
  readonly #life = new AbortController();
  readonly #allowed: Promise<boolean>;
  #wish: string | undefined;
  #track: MediaStreamTrack;
  #silence: Silence | undefined;
  #meter: Meter | undefined;
  #muted = false;
  #switches = 0;
  #opening = 0;

  private constructor(track: MediaStreamTrack, wish: string | undefined) {
    this.#track = track;
    this.#wish = wish;
    this.#allowed = isAllowed();
    this.#watch(track);
    navigator.mediaDevices.addEventListener("devicechange", this.#findAgain);
  }

  /** Asks the person. A track that comes after the signal fired is switched off at once. */
  static async open(deviceId: string | undefined, signal: AbortSignal): Promise<Microphone> {
    return new Microphone(await openTrack(deviceId, signal), deviceId);
  }

  get track(): MediaStreamTrack {
    return this.#track;
  }

  /** How loud the rep is now, 0 (silence, or muted) to 1: 60 dB, as ears count. */
  level(): number {
    if (this.#life.signal.aborted) return 0;
    this.#meter ??= new Meter();
    return this.#meter.level(this.#track);
  }

  /** Keeps the sender on the current track. Returns what ends that. */
  attach(sender: TrackSender): () => void {
    this.#senders.add(sender);
    return () => this.#senders.delete(sender);
  }

  setMuted(muted: boolean): void {
    this.#muted = muted;
    this.#track.enabled = !muted;
  }

  /** Changes the device without a gap in the call. On failure the old one stays; of two switches the later wins. */
  async switchTo(deviceId: string, signal: AbortSignal): Promise<void> {
    await this.#open(deviceId, signal);
  }

  /** Off, for good. Harmless to repeat. */
  stop(): void {
    this.#life.abort();
    navigator.mediaDevices.removeEventListener("devicechange", this.#findAgain);
    this.#track.stop();
    this.#senders.clear();
    this.#endSilence();
    this.#meter?.close();
    this.#meter = undefined;
  }

  async #open(deviceId: string | undefined, signal: AbortSignal): Promise<void> {
    const turn = ++this.#switches;
    this.#opening += 1;
    const track = await openTrack(deviceId, signal).finally(() => (this.#opening -= 1));
    if (this.#life.signal.aborted || turn !== this.#switches) return track.stop();
    this.#wish = deviceId;
    this.#watch(track);
    await this.#send(track);
    this.#endSilence();
  }

  #watch(track: MediaStreamTrack): void {
    track.addEventListener("ended", () => {
      if (!this.#life.signal.aborted && track === this.#track) void this.#lost();
    });
  }

  async #lost(): Promise<void> {
    this.#sendSilence().catch(() => {}); // a connection closed meanwhile; the next one takes the track
    const revoked = (await this.#allowed) && !(await isAllowed());
    if (this.#life.signal.aborted) return;
    this.onLost(new AthosRoleplayError(revoked ? "MIC_PERMISSION_DENIED" : "MIC_DEVICE_DISCONNECTED"));
  }

  /** A headset that changed its profile comes back in a moment, and a lost default has a successor. Never asks anybody. */
  readonly #findAgain = async (): Promise<void> => {
    if (this.#silence === undefined || !(await isAllowed())) return;
    if (this.#opening > 0) return; // somebody chooses already
    await this.#open(this.#wish, this.#life.signal).catch(() => {}); // not back yet
  };

  async #send(track: MediaStreamTrack): Promise<void> {
    const old = this.#track;
    this.#track = track;
    track.enabled = !this.#muted;
    try {
      await Promise.all([...this.#senders].map((sender) => sender.replaceTrack(track)));
    } finally {
      old.stop();
    }
  }

  /** An ended track sends no packets at all, which the far side must take for a broken line. */
  async #sendSilence(): Promise<void> {
    this.#silence ??= startSilence();
    if (this.#silence !== undefined) await this.#send(this.#silence.track);
  }

  #endSilence(): void {
    this.#silence?.stop();
    this.#silence = undefined;
  }
}

/** Whether the page may use the microphone without a question. Where browsers do not tell: no. */
async function isAllowed(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state === "granted";
  } catch {
    return false;
  }
}

async function openTrack(deviceId: string | undefined, signal: AbortSignal): Promise<MediaStreamTrack> {
  const opening = navigator.mediaDevices.getUserMedia({ audio: constraints(deviceId) });
  try {
    const stream = await abortable(opening, signal);
    const [track] = stream.getAudioTracks();
    if (track === undefined) throw new AthosRoleplayError("NO_MIC_AVAILABLE");
    return track;
  } catch (cause) {
    if (signal.aborted) {
      // The person may still be looking at the question; their answer must not leave a microphone on.
      opening.then(stopAll, () => {});
      throw signal.reason;
    }
    throw microphoneError(cause);
  }
}

function constraints(deviceId: string | undefined): MediaTrackConstraints {
  const clean = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return deviceId === undefined ? clean : { ...clean, deviceId: { exact: deviceId } };
}

function stopAll(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function microphoneError(cause: unknown): AthosRoleplayError {
  if (cause instanceof AthosRoleplayError) return cause;
  const name = cause instanceof Error ? cause.name : "";
  const denied = name === "NotAllowedError" || name === "SecurityError";
  return new AthosRoleplayError(denied ? "MIC_PERMISSION_DENIED" : "NO_MIC_AVAILABLE", undefined, { cause });
}
