import { asAthosError, AthosRoleplayError, networkLost } from "./errors.js";
import { Meter } from "./meter.js";
import { Microphone } from "./microphone.js";
import { PROTOCOL_VERSION } from "./protocol.js";
import { Signalling } from "./signalling.js";
import { abortable, sleep, within } from "./waiting.js";

const PATH = "/live/v1";
const LISTEN_MS = 3_000; // for the person to say a word
const LOOK_MS = 50;
const HEARD = 0.25; // level; -45 dB, soft speech close to a microphone
const ANSWER_MS = 5_000;
const GATHER_MS = 5_000;
const TONE_HZ = 1_406.25; // the middle of a bin of the meter at 48 kHz
const TONE_GAIN = 0.1;
const TONE_MS = 800;
const QUIET_DB = -90; // what nobody can hear
const ECHO_DB = 15; // louder than the room before it

export interface AthosEnvironmentOptions {
  /** A session token. It stays unspent: it proves that the server may be asked. */
  token: string;
  apiBase?: string | undefined;
  /** The microphone to listen to; the default one when not given. */
  deviceId?: string | undefined;
  /** Plays a short soft tone to hear whether the speakers reach the microphone. */
  echo?: boolean | undefined;
  /** The level of the microphone while it listens, 0 to 1, for a meter. */
  onLevel?: ((level: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What was found. `undefined`: it could not be told. */
export interface AthosEnvironment {
  /** `heard`: something loud enough for a voice came in. */
  microphone: { heard: boolean; peak: number } | { error: AthosRoleplayError };
  network: NetworkCheck | { error: AthosRoleplayError };
  echo: boolean | undefined;
}

export interface NetworkCheck {
  roundTripMs: number;
  /** A datagram went out to the server's STUN or TURN address and came back. */
  udp: boolean | undefined;
  /** A TURN server relays for us. */
  turn: boolean | undefined;
}

/** Microphone and network at once. Whatever happens the microphone is off afterwards. */
export async function checkEnvironment(options: AthosEnvironmentOptions & { apiBase: string }): Promise<AthosEnvironment> {
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const [sound, network] = await Promise.all([
    checkSound(options, signal).catch(failure),
    checkNetwork(options.apiBase, options.token, signal).catch(failure),
  ]);
  signal.throwIfAborted();
  if ("error" in sound) return { microphone: sound, network, echo: undefined };
  const { echo, ...microphone } = sound;
  return { microphone, network, echo };
}

function failure(cause: unknown): { error: AthosRoleplayError } {
  return { error: asAthosError(cause) };
}

interface SoundCheck {
  heard: boolean;
  peak: number;
  echo: boolean | undefined;
}

async function checkSound(options: AthosEnvironmentOptions, signal: AbortSignal): Promise<SoundCheck> {
  const microphone = await Microphone.open(options.deviceId, signal);
  const meter = new Meter();
  try {
    const echo = options.echo === true ? await hearsTone(meter, microphone.track, signal) : undefined;
    const peak = await listen(meter, microphone.track, options.onLevel, signal);
    if (!meter.running) throw new AthosRoleplayError("AUDIO_PLAYBACK_BLOCKED"); // it heard nothing because it was asleep
    return { heard: peak >= HEARD, peak, echo };
  } finally {
    meter.close();
    microphone.stop();
  }
}

/** The loudest level within the time; ends early once that is a voice. */
async function listen(
  meter: Meter,
  track: MediaStreamTrack,
  onLevel: ((level: number) => void) | undefined,
  signal: AbortSignal,
): Promise<number> {
  let peak = 0;
  for (let waited = 0; waited < LISTEN_MS && peak < HEARD; waited += LOOK_MS) {
    await sleep(LOOK_MS, signal);
    const level = meter.level(track);
    peak = Math.max(peak, level);
    onLevel?.(level);
  }
  return peak;
}

/** True when the microphone hears our own tone in spite of echo cancellation, which gets the first half to adapt. */
async function hearsTone(meter: Meter, track: MediaStreamTrack, signal: AbortSignal): Promise<boolean> {
  const loudest = async (ms: number): Promise<number> => {
    let decibels = -Infinity;
    for (let waited = 0; waited < ms; waited += LOOK_MS) {
      await sleep(LOOK_MS, signal);
      decibels = Math.max(decibels, meter.toneDb(track, TONE_HZ));
    }
    return decibels;
  };
  const before = await loudest(TONE_MS / 2);
  const stop = meter.play(TONE_HZ, TONE_GAIN);
  try {
    await sleep(TONE_MS / 2, signal);
    const during = await loudest(TONE_MS / 2);
    return during > QUIET_DB && !(during - before < ECHO_DB);
  } finally {
    stop();
  }
}

async function checkNetwork(apiBase: string, token: string, signal: AbortSignal): Promise<NetworkCheck> {
  const { iceServers, roundTripMs } = await within(ANSWER_MS, signal, networkLost, async (limit) => {
    const signalling = await Signalling.open(apiBase.replace(/^http/, "ws") + PATH, limit);
    try {
      const checked = signalling.next("checked", limit);
      const askedAt = performance.now();
      signalling.send({ type: "check", token, version: PROTOCOL_VERSION });
      return { ...(await checked), roundTripMs: performance.now() - askedAt };
    } finally {
      signalling.close();
    }
  });
  return { roundTripMs, ...(await reach(iceServers, signal)) };
}

type Candidate = RTCIceCandidate & { relayProtocol?: string | null };

/** Asks each STUN and TURN server, as a call would. */
async function reach(iceServers: RTCIceServer[], signal: AbortSignal): Promise<Pick<NetworkCheck, "udp" | "turn">> {
  const connection = new RTCPeerConnection({ iceServers });
  const found: Candidate[] = [];
  let unreached = false;
  try {
    const gathered = new Promise<void>((resolve) => {
      connection.onicecandidate = ({ candidate }) => (candidate === null ? resolve() : found.push(candidate));
    });
    connection.onicecandidateerror = () => (unreached = true);
    connection.addTransceiver("audio");
    await abortable(connection.setLocalDescription(), signal);
    await Promise.race([gathered, sleep(GATHER_MS, signal)]);
  } finally {
    connection.close();
  }
  const relays = found.filter(({ type }) => type === "relay");
  const datagrams = found.some(({ type }) => type === "srflx") || relays.some(({ relayProtocol }) => relayProtocol === "udp");
  const offersTurn = iceServers.flatMap(({ urls }) => urls).some((url) => url.startsWith("turn"));
  return { udp: datagrams || (unreached ? false : undefined), turn: offersTurn ? relays.length > 0 : undefined };
}
