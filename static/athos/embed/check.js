// The check before the call: does the microphone hear the rep, does the rep hear us, is the server near?

import { HEARD, showLevel, watchLevel } from "./level.js";

const LISTEN_MS = 10_000; // for a voice, before we say that there is none
const VOICE_LEVELS = 8; // readings above HEARD that make a voice: about half a second
const SLOW_MS = 400; // there and back; beyond, talking gets awkward
const PINGS = 3;
const NOTES_HZ = [523, 659, 784];

const WORDS = {
  NotAllowedError: "Your browser does not let this page use the microphone. Allow it in the address bar, then check again.",
  NotFoundError: "No microphone was found. Plug one in, then check again.",
  NotReadableError: "Another program uses the microphone. Close it there, then check again.",
};

export class SoundCheck {
  #parts;
  #life = new AbortController();
  #stream;
  #context;
  #voice = 0;

  /** `deviceId` is the microphone that the rep chose, undefined until then. */
  deviceId;

  /** `parts` are the elements of the check, by name. */
  constructor(parts) {
    this.#parts = parts;
    parts.start.addEventListener("click", () => this.run());
    parts.device.addEventListener("change", () => this.#switch(parts.device.value));
    parts.heardYes.addEventListener("click", () => this.#heard(true));
    parts.heardNo.addEventListener("click", () => this.#heard(false));
  }

  /** Runs until `stop`; safe to call again. */
  async run() {
    this.stop();
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.#parts.start.textContent = "Check again";
    this.#context = new AudioContext();
    this.#playNotes();
    await Promise.all([this.#checkNetwork(signal), this.#listen(signal)]);
  }

  /** The microphone is off afterwards. */
  stop() {
    this.#life.abort();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#context?.close();
    this.#context = undefined;
    this.#parts.level.hidden = true;
  }

  // --- microphone --------------------------------------------------------------------------------

  async #switch(deviceId) {
    this.deviceId = deviceId;
    if (this.#context === undefined) return this.run();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#life.abort();
    this.#life = new AbortController();
    await this.#listen(this.#life.signal);
  }

  async #listen(signal) {
    this.#tell("microphone", "busy", "waiting for your browser’s permission…");
    try {
      const wanted = this.deviceId ? { deviceId: { exact: this.deviceId } } : {};
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...wanted, echoCancellation: true } });
      if (signal.aborted) return stream.getTracks().forEach((track) => track.stop());
      this.#stream = stream;
    } catch (cause) {
      if (!signal.aborted) this.#tell("microphone", "bad", WORDS[cause.name] ?? "The microphone could not be opened.");
      return;
    }
    await this.#listDevices();
    this.#hearVoice(signal);
  }

  async #listDevices() {
    const { device } = this.#parts;
    const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind, label }) => kind === "audioinput" && label);
    const used = this.#stream?.getAudioTracks()[0]?.getSettings().deviceId;
    device.replaceChildren(...found.map(({ deviceId, label }) => new Option(label, deviceId, false, deviceId === used)));
    device.hidden = found.length < 2;
  }

  #hearVoice(signal) {
    this.#voice = 0;
    this.#parts.level.hidden = false;
    this.#tell("microphone", "busy", "say a few words");
    const late = setTimeout(() => this.#tell("microphone", "bad", "we hear nothing. Is it muted, or the wrong one?"), LISTEN_MS);
    signal.addEventListener("abort", () => clearTimeout(late), { once: true });
    watchLevel(this.#stream, this.#context, (level) => {
      showLevel(this.#parts.level, level);
      if (level < HEARD) return;
      this.#voice += 1;
      if (this.#voice !== VOICE_LEVELS) return;
      clearTimeout(late);
      this.#tell("microphone", "good", "we hear you");
    }, signal);
  }

  // --- speaker -----------------------------------------------------------------------------------

  #playNotes() {
    const begin = this.#context.currentTime + 0.1;
    NOTES_HZ.forEach((hertz, n) => this.#playNote(hertz, begin + 0.22 * n));
    this.#tell("speaker", "busy", "did you hear three notes?");
    this.#parts.heard.hidden = false;
  }

  #playNote(hertz, at) {
    const tone = new OscillatorNode(this.#context, { frequency: hertz });
    const volume = new GainNode(this.#context, { gain: 0 });
    volume.gain.setTargetAtTime(0.2, at, 0.01);
    volume.gain.setTargetAtTime(0, at + 0.15, 0.04);
    tone.connect(volume).connect(this.#context.destination);
    tone.start(at);
    tone.stop(at + 0.5);
  }

  #heard(yes) {
    this.#parts.heard.hidden = true;
    if (yes) this.#tell("speaker", "good", "you hear us");
    else this.#tell("speaker", "bad", "turn the volume up, or choose another output in your system, then check again");
  }

  // --- network -----------------------------------------------------------------------------------

  async #checkNetwork(signal) {
    this.#tell("network", "busy", "asking the server…");
    try {
      const [fastest] = await Promise.all([fastestAnswer(signal), socketOpens(signal)]);
      if (fastest > SLOW_MS) this.#tell("network", "bad", "slow: answers may come late. A cable is better than Wi-Fi.");
      else this.#tell("network", "good", "good");
    } catch {
      if (!signal.aborted) this.#tell("network", "bad", "the server cannot be reached. Check your network, or a firewall or VPN in between.");
    }
  }

  #tell(part, state, words) {
    const row = this.#parts[part];
    row.dataset.check = state;
    row.querySelector(".told").textContent = words;
  }
}

async function fastestAnswer(signal) {
  let fastest = Infinity;
  for (let n = 0; n < PINGS; n += 1) {
    const began = performance.now();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
    const response = await fetch("/healthz", { cache: "no-store", credentials: "omit", signal: limit });
    if (!response.ok) throw new Error(`answered ${response.status}`);
    fastest = Math.min(fastest, performance.now() - began);
  }
  return fastest;
}

/** Some networks let pages through and no sockets, without which there is no call. */
function socketOpens(signal) {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/live/v1`);
    const done = (settle, value) => {
      socket.close();
      settle(value);
    };
    socket.onopen = () => done(resolve);
    socket.onerror = () => done(reject, new Error("refused"));
    limit.addEventListener("abort", () => done(reject, limit.reason), { once: true });
  });
}
