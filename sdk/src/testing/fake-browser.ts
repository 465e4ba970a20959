/** A browser made of plain objects, and a server to talk to, for tests on a virtual clock. */

import { vi } from "vitest";

const CHROME = "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

export class FakeTrack extends EventTarget {
  readonly kind = "audio";
  enabled = true;
  stopped = false;

  constructor(readonly label: string) {
    super();
  }

  stop(): void {
    this.stopped = true;
  }

  /** The device went away: the browser ends the track by itself. */
  unplug(): void {
    this.stopped = true;
    this.dispatchEvent(new Event("ended"));
  }
}

export class FakeStream {
  constructor(readonly tracks: FakeTrack[]) {}
  getTracks = (): FakeTrack[] => this.tracks;
  getAudioTracks = (): FakeTrack[] => this.tracks;
}

export class FakeSocket {
  onopen: () => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (event: { code: number }) => void = () => {};
  sent: Record<string, unknown>[] = [];
  closed = false;

  constructor(
    readonly url: string,
    private readonly browser: FakeBrowser,
  ) {
    if (url === "not an address") throw new DOMException("bad address", "SyntaxError");
    browser.sockets.push(this);
    queueMicrotask(() => browser.server.opened(this));
  }

  send(data: string): void {
    const message = JSON.parse(data) as Record<string, unknown>;
    this.sent.push(message);
    queueMicrotask(() => !this.closed && this.browser.server.received(this, message));
  }

  close(): void {
    this.closed = true;
  }

  says(message: Record<string, unknown>): void {
    if (!this.closed) this.onmessage({ data: JSON.stringify(message) });
  }

  dies(code = 1006): void {
    this.closed = true;
    this.onclose({ code });
  }

  types(): unknown[] {
    return this.sent.map(({ type }) => type);
  }
}

export class FakePeer {
  connectionState = "new";
  closed = false;
  flowing = true;
  ontrack: ((event: { track: FakeTrack }) => void) | null = null;
  onicecandidate: ((event: { candidate: object | null }) => void) | null = null;
  onicecandidateerror: (() => void) | null = null;
  stats: Record<string, unknown> = {};
  sender = {
    track: undefined as FakeTrack | undefined,
    replaceTrack: async (track: FakeTrack): Promise<void> => {
      this.sender.track = track;
    },
  };
  #packets = 0;

  constructor(
    public configuration: object,
    private readonly browser: FakeBrowser,
  ) {
    browser.peers.push(this);
  }

  setConfiguration(configuration: object): void {
    this.configuration = configuration;
  }

  addTransceiver(track: FakeTrack | "audio"): { sender: FakePeer["sender"] } {
    if (track !== "audio") this.sender.track = track;
    return { sender: this.sender };
  }

  async createOffer(): Promise<{ sdp: string }> {
    return { sdp: "offer" };
  }

  async setLocalDescription(): Promise<void> {
    setTimeout(() => {
      this.onicecandidate?.({ candidate: { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 } });
      for (const found of this.browser.candidates) this.onicecandidate?.({ candidate: found });
      if (this.browser.stunAway) this.onicecandidateerror?.();
      this.onicecandidate?.({ candidate: null });
    }, 1);
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    if (sdp === "broken") throw new DOMException("bad sdp", "OperationError");
    this.connectionState = "connected";
    this.ontrack?.({ track: new FakeTrack("persona") });
  }

  async getStats(): Promise<Map<string, object>> {
    if (this.flowing) this.#packets += 12;
    return new Map([
      ["in", { type: "inbound-rtp", packetsReceived: this.#packets, ...this.stats }],
      ["out", { type: "outbound-rtp", packetsSent: 1 }],
      ["pair", { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.02, localCandidateId: "local" }],
      ["local", { id: "local", type: "local-candidate", candidateType: "relay" }],
    ]);
  }

  close(): void {
    this.closed = true;
  }
}

/** Answers sockets by the protocol. Tests replace the one step that they are about. */
export class FakeServer {
  /** "away": sockets never open. "refusing": they close at once. */
  state: "up" | "away" | "refusing" = "up";
  joined: (socket: FakeSocket) => void = (socket) =>
    socket.says({ type: "joined", callId: "athos_call_1", iceServers: [{ urls: "stun:one" }] });
  checked: (socket: FakeSocket) => void = (socket) => socket.says({ type: "checked", iceServers: [] });
  offered: (socket: FakeSocket) => void = (socket) => {
    socket.says({ type: "answer", sdp: "answer" });
    setTimeout(() => socket.says({ type: "ready", persona: { name: "Rosa" } }), 10);
  };
  ended: (socket: FakeSocket) => void = (socket) => {
    socket.says({ type: "ended", callId: "athos_call_1", durationSec: 77, reason: "rep" });
    socket.dies(4410);
  };

  opened(socket: FakeSocket): void {
    if (this.state === "up") socket.onopen();
    if (this.state === "refusing") socket.dies();
  }

  received(socket: FakeSocket, message: Record<string, unknown>): void {
    if (this.state === "away") return;
    if (message["type"] === "join") this.joined(socket);
    if (message["type"] === "check") this.checked(socket);
    if (message["type"] === "offer") this.offered(socket);
    if (message["type"] === "end") this.ended(socket);
    if (message["type"] === "ping") socket.says({ type: "pong", t: message["t"] });
  }
}

export class FakeElement {
  srcObject: FakeStream | null = null;
  autoplay = false;
  hidden = false;
  removed = false;
  plays = 0;

  constructor(private readonly browser: FakeBrowser) {
    browser.audio.push(this);
  }

  async play(): Promise<void> {
    this.plays += 1;
    if (this.browser.autoplayBlocked) throw new DOMException("click first", "NotAllowedError");
  }

  remove(): void {
    this.removed = true;
  }
}

export interface FakeAnswer {
  status: number;
  body: unknown;
}

/** What redeem answers when all is well. */
export const REDEEMED = {
  connectionTicket: "ticket-1",
  connectionUrl: "wss://athos.test/live",
  sessionId: "ext_1",
  callId: "athos_call_1",
  persona: { name: "Rosa" },
};

export class FakeBrowser {
  sockets: FakeSocket[] = [];
  peers: FakePeer[] = [];
  audio: FakeElement[] = [];
  tracks: FakeTrack[] = [];
  /** Audio contexts that are open: silence that is sent, or a meter. */
  contexts = 0;
  server = new FakeServer();
  autoplayBlocked = false;
  requests: { url: string; init: RequestInit }[] = [];
  links: { rel: string; href: string }[] = [];
  asked: MediaTrackConstraints[] = [];
  page = new EventTarget();
  devices = new EventTarget();
  /** Whether the microphone may be used without a question; undefined: the browser does not tell. */
  permission: PermissionState | undefined;
  /** What the microphone hears: samples, and the strength of each tone in dB while one is played or not. */
  loudness = 0.1;
  toneDb = { quiet: -120, played: -120 };
  tones = 0;
  audioAsleep = false;
  candidates: object[] = [];
  stunAway = false;
  userAgent = CHROME;

  /** The answer to the microphone question. */
  microphone: () => Promise<void> = async () => {};
  answer: () => Promise<FakeAnswer> = async () => ({ status: 200, body: REDEEMED });

  install(): void {
    const browser = this;
    vi.stubGlobal("navigator", {
      get userAgent() {
        return browser.userAgent;
      },
      permissions: { query: async () => this.#permission() },
      mediaDevices: Object.assign(this.devices, {
        getUserMedia: (wish: { audio: MediaTrackConstraints }) => this.#getUserMedia(wish.audio),
        enumerateDevices: async () => [
          { kind: "audioinput", deviceId: "usb", label: "USB microphone", groupId: "g" },
          { kind: "audiooutput", deviceId: "out", label: "Speaker", groupId: "g" },
        ],
      }),
    });
    vi.stubGlobal("window", this.page);
    vi.stubGlobal("document", {
      createElement: (name: string) => (name === "audio" ? new FakeElement(this) : { remove: () => {} }),
      head: { append: ({ rel, href }: HTMLLinkElement) => this.links.push({ rel, href }) },
      body: { append: () => {} },
    });
    vi.stubGlobal("MediaStream", FakeStream);
    vi.stubGlobal("WebSocket", constructed((url) => new FakeSocket(String(url), this)));
    vi.stubGlobal("RTCPeerConnection", constructed((configuration) => new FakePeer(configuration as object, this)));
    vi.stubGlobal("AudioContext", constructed(() => this.#audioContext()));
    vi.stubGlobal("ConstantSourceNode", constructed(() => ({ connect: () => {}, start: () => {} })));
    vi.stubGlobal("MediaStreamAudioSourceNode", constructed(() => ({ connect: () => {}, disconnect: () => {} })));
    vi.stubGlobal("GainNode", constructed(() => ({ connect: () => {} })));
    vi.stubGlobal("AnalyserNode", constructed(() => this.#analyser()));
    vi.stubGlobal("OscillatorNode", constructed(() => this.#oscillator()));
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => this.#fetch(url, init));
  }

  /** The newest of each: what the call is on. */
  get socket(): FakeSocket {
    return last(this.sockets);
  }

  get peer(): FakePeer {
    return last(this.peers);
  }

  /** Whether anything still listens to the rep. */
  get microphoneOn(): boolean {
    return this.tracks.some((track) => !track.stopped);
  }

  async #getUserMedia(wish: MediaTrackConstraints): Promise<FakeStream> {
    this.asked.push(wish);
    await this.microphone();
    const track = new FakeTrack(JSON.stringify(wish.deviceId ?? "default"));
    this.tracks.push(track);
    return new FakeStream([track]);
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    this.requests.push({ url, init });
    const aborted = new Promise<never>((_, reject) =>
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error)),
    );
    const { status, body } = await Promise.race([this.answer(), aborted]);
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
  }

  #permission(): { state: PermissionState } {
    if (this.permission === undefined) throw new TypeError("no such permission");
    return { state: this.permission };
  }

  #audioContext(): object {
    this.contexts += 1;
    const stream = new FakeStream([new FakeTrack("silence")]);
    return {
      sampleRate: 48_000,
      state: this.audioAsleep ? "suspended" : "running",
      createMediaStreamDestination: () => ({ stream }),
      resume: async () => {},
      close: async () => {
        this.contexts -= 1;
      },
    };
  }

  #analyser(): object {
    return {
      frequencyBinCount: 512,
      getFloatTimeDomainData: (samples: Float32Array) => samples.fill(this.loudness),
      getFloatFrequencyData: (bins: Float32Array) => bins.fill(this.tones > 0 ? this.toneDb.played : this.toneDb.quiet),
    };
  }

  #oscillator(): object {
    return {
      connect: (next: object) => next,
      start: () => (this.tones += 1),
      stop: () => (this.tones -= 1),
    };
  }
}

/** For tests in which an answer never comes. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

function last<T>(list: T[]): T {
  const item = list.at(-1);
  if (item === undefined) throw new Error("nothing was opened");
  return item;
}

/** Something that `new` can be put before and that returns what `make` makes. */
function constructed(make: (first: unknown) => object): unknown {
  const called = function (first: unknown): object {
    return make(first);
  };
  called.prototype = FakePeer.prototype; // only of one of them is it looked at
  return called;
}
