import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AthosRoleplay, type AthosRoleplayCreateOptions, type AthosRoleplaySession } from "./index.js";
import { ATHOS_EVENT_NAMES } from "./events.js";
import { FakeBrowser, never, REDEEMED } from "./testing/fake-browser.js";

let browser: FakeBrowser;

beforeEach(() => {
  vi.useFakeTimers();
  browser = new FakeBrowser();
  browser.install();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

type Heard = [event: string, payload?: unknown];

interface Started {
  session: AthosRoleplaySession;
  heard: Heard[];
  /** How `connect()` settled: "connected", or the rejection. */
  outcome: () => unknown;
}

function create(options: Partial<AthosRoleplayCreateOptions> = {}): { session: AthosRoleplaySession; heard: Heard[] } {
  const session = AthosRoleplay.create({ token: "token-1", drillKey: "ma-full-sale", ...options });
  const heard: Heard[] = [];
  for (const name of ATHOS_EVENT_NAMES) {
    session.on(name, (payload) => heard.push(payload === undefined ? [name] : [name, payload]));
  }
  return { session, heard };
}

function start(options: Partial<AthosRoleplayCreateOptions> = {}): Started {
  const { session, heard } = create(options);
  let outcome: unknown = "pending";
  session.connect().then(
    () => (outcome = "connected"),
    (cause: unknown) => (outcome = cause),
  );
  return { session, heard, outcome: () => outcome };
}

async function startLive(options: Partial<AthosRoleplayCreateOptions> = {}): Promise<Started> {
  const started = start(options);
  await pass(100);
  expect(started.outcome()).toBe("connected");
  started.heard.length = 0;
  return started;
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

async function expectNothingOpen(): Promise<void> {
  expect(browser.microphoneOn).toBe(false);
  expect(browser.sockets.every((socket) => socket.closed)).toBe(true);
  expect(browser.peers.every((peer) => peer.closed)).toBe(true);
  expect(browser.audio.every((element) => element.removed)).toBe(true);
  expect(browser.contexts).toBe(0);
  await pass(10);
  expect(vi.getTimerCount()).toBe(0);
}

/** The lid is shut: the clock goes on, no timer runs. */
function sleepFor(ms: number): void {
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + ms);
}

const NETWORK_LOST = ["error", { code: "NETWORK_LOST", message: "The connection was lost." }];

describe("connect", () => {
  it("goes from microphone to redeem to ready", async () => {
    const { heard, outcome } = start({ difficulty: "Elite", filters: { state: "TX" } });
    await pass(100);

    expect(outcome()).toBe("connected");
    expect(heard).toEqual([["connecting"], ["ready", { persona: { name: "Rosa" } }]]);
    expect(browser.asked).toEqual([{ echoCancellation: true, noiseSuppression: true, autoGainControl: true }]);
    const [request] = browser.requests;
    expect(request?.url).toBe("https://athos.test/api/external/v1/roleplay/session");
    expect(request?.init.headers).toMatchObject({ Authorization: "Bearer token-1" });
    expect(JSON.parse(String(request?.init.body))).toEqual({
      drillKey: "ma-full-sale",
      filters: { state: "TX" },
      difficulty: "Elite",
    });
    expect(browser.socket.url).toBe(REDEEMED.connectionUrl);
    expect(browser.socket.sent.slice(0, 3)).toEqual([
      { type: "join", ticket: "ticket-1", version: 1 },
      { type: "offer", sdp: "offer" },
      { type: "candidate", candidate: { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 } },
    ]);
    expect(browser.peer.configuration).toEqual({ iceServers: [{ urls: "stun:one" }] });
    expect(browser.audio).toHaveLength(1);
    expect(browser.audio[0]?.plays).toBe(1);
  });

  it("opens the way to the server while the person looks at the question, and asks for nothing there", async () => {
    browser.microphone = never;
    start();
    await pass(0);
    expect(browser.links).toEqual([{ rel: "preconnect", href: "https://athos.test" }]);
    expect(browser.requests).toEqual([]);
  });

  it("offers while the server still looks at the ticket", async () => {
    const answer = browser.server.joined;
    browser.server.joined = (socket) => void setTimeout(() => answer(socket), 50);
    start();
    await pass(40);
    expect(browser.socket.types()).toEqual(["join", "offer"]);
    expect(browser.peer.configuration).toBeUndefined();
    await pass(20);
    expect(browser.socket.types()).toEqual(["join", "offer", "candidate"]);
    expect(browser.peer.configuration).toEqual({ iceServers: [{ urls: "stun:one" }] });
  });

  it("uses the origin of apiBase", async () => {
    start({ apiBase: "https://calls.example.com/" });
    await pass(0);
    expect(browser.requests[0]?.url).toBe("https://calls.example.com/api/external/v1/roleplay/session");
  });

  it("leaves the token unspent when the microphone is denied", async () => {
    browser.microphone = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    const { heard, outcome } = start();
    await pass(0);

    expect(outcome()).toMatchObject({ name: "AthosRoleplayError", code: "MIC_PERMISSION_DENIED" });
    expect(heard).toEqual([["connecting"], ["error", expect.objectContaining({ code: "MIC_PERMISSION_DENIED" })]]);
    expect(browser.requests).toEqual([]);
    await expectNothingOpen();
  });

  it.each(["NotFoundError", "NotReadableError", "OverconstrainedError"])("says NO_MIC_AVAILABLE on %s", async (name) => {
    browser.microphone = () => Promise.reject(new DOMException("no", name));
    const { outcome } = start();
    await pass(0);
    expect(outcome()).toMatchObject({ code: "NO_MIC_AVAILABLE" });
  });

  it("passes on what redeem refuses, with the microphone off", async () => {
    const error = { code: "TOKEN_EXPIRED", message: "The token has expired.", requestId: "req_1" };
    browser.answer = async () => ({ status: 401, body: { error } });
    const { heard, outcome } = start();
    await pass(0);

    expect(outcome()).toMatchObject({ code: "TOKEN_EXPIRED", message: "The token has expired." });
    expect(heard).toEqual([
      ["connecting"],
      ["error", { code: "TOKEN_EXPIRED", message: "The token has expired." }],
    ]);
    await expectNothingOpen();
  });

  it("ends the call that redeem made when the server refuses the ticket", async () => {
    browser.server.joined = (socket) => socket.dies(4401);
    const { heard, outcome } = start();
    await pass(0);

    expect(outcome()).toMatchObject({ code: "INVALID_TOKEN" });
    expect(heard.map(([name]) => name)).toEqual(["connecting", "error", "ended"]);
    expect(heard[2]).toEqual(["ended", { callId: "athos_call_1", durationSec: 0 }]);
    await expectNothingOpen();
  });

  it("passes on an error that the server names", async () => {
    browser.server.joined = (socket) => socket.says({ type: "error", code: "TENANT_INACTIVE", message: "Not active." });
    const { outcome } = start();
    await pass(0);
    expect(outcome()).toMatchObject({ code: "TENANT_INACTIVE", message: "Not active." });
    await expectNothingOpen();
  });

  it("tries again while no worker is there, and connects when one comes", async () => {
    browser.server.joined = (socket) => socket.dies(4503);
    const { outcome } = start();
    await pass(3_000);
    expect(outcome()).toBe("pending");
    expect(browser.sockets.length).toBeGreaterThanOrEqual(6);
    browser.server.joined = (socket) => socket.says({ type: "joined", callId: "athos_call_1", iceServers: [] });
    await pass(600);

    expect(outcome()).toBe("connected");
    expect(browser.requests).toHaveLength(1);
  });

  it.each([
    ["no worker comes", (): void => void (browser.server.joined = (socket) => socket.dies(4503)), "SERVICE_UNAVAILABLE"],
    ["sockets are refused", (): void => void (browser.server.state = "refusing"), "NETWORK_LOST"],
    ["sockets never open", (): void => void (browser.server.state = "away"), "NETWORK_LOST"],
    ["no ready comes", (): void => void (browser.server.offered = () => {}), "NETWORK_LOST"],
  ])("gives up after 30 s when %s", async (_, arrange, code) => {
    arrange();
    const { heard, outcome } = start();
    await pass(29_900);
    expect(outcome()).toBe("pending");
    await pass(200);

    expect(outcome()).toMatchObject({ code });
    expect(heard.map(([name]) => name)).toEqual(["connecting", "error", "ended"]);
    await expectNothingOpen();
  });

  it.each([
    ["an address that is none", (): void => void (browser.answer = async () => ({ status: 200, body: { ...REDEEMED, connectionUrl: "not an address" } }))],
    ["an answer that is none", (): void => void (browser.server.offered = (socket) => socket.says({ type: "answer", sdp: "broken" }))],
  ])("reports %s as our fault", async (_, arrange) => {
    arrange();
    const { outcome } = start();
    await pass(0);
    expect(outcome()).toMatchObject({ code: "INTERNAL_ERROR" });
    await expectNothingOpen();
  });

  it("refuses a second connect and leaves the first alone", async () => {
    const { session, heard } = await startLive();
    await expect(session.connect()).rejects.toMatchObject({ code: "SESSION_ALREADY_CONNECTED" });
    await pass(1_000);
    expect(heard).toEqual([]);
    expect(browser.microphoneOn).toBe(true);
  });

  it("carries on when a listener throws", async () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const { session, heard } = create();
    session.on("connecting", () => {
      throw new Error("the page's own");
    });
    await Promise.all([session.connect(), pass(100)]);
    expect(heard.at(-1)?.[0]).toBe("ready");
    expect(report).toHaveBeenCalledOnce();
  });
});

describe("disconnect while connecting", () => {
  const stages: [string, () => void, number][] = [
    ["the microphone is asked for", () => (browser.microphone = never), 0],
    ["the token is redeemed", () => (browser.answer = never), 1],
    ["the socket opens", () => (browser.server.state = "away"), 1],
    ["the ticket is checked", () => (browser.server.joined = () => {}), 1],
    ["the offer is answered", () => (browser.server.offered = () => {}), 1],
    ["a new try is due", () => (browser.server.state = "refusing"), 1],
  ];

  it.each(stages)("cancels without an event while %s", async (_, arrange, requests) => {
    arrange();
    const { session, heard, outcome } = start();
    await pass(50);
    await session.disconnect();
    await pass(0);

    expect(outcome()).toMatchObject({ name: "AbortError" });
    expect(outcome()).toBeInstanceOf(DOMException);
    await pass(60_000);
    expect(heard).toEqual([["connecting"]]);
    expect(browser.requests).toHaveLength(requests);
    await expectNothingOpen();
  });

  it("switches off a microphone that is allowed too late", async () => {
    let allow = (): void => {};
    browser.microphone = () => new Promise((resolve) => (allow = resolve));
    const { session } = start();
    await pass(0);
    await session.disconnect();
    allow();
    await pass(0);

    expect(browser.tracks).toHaveLength(1);
    expect(browser.microphoneOn).toBe(false);
    expect(browser.requests).toEqual([]);
  });

  it("spends no token when the microphone is allowed in the same moment", async () => {
    let allow = (): void => {};
    browser.microphone = () => new Promise((resolve) => (allow = resolve));
    const { session, outcome } = start();
    await pass(0);
    allow();
    void session.disconnect();
    await pass(0);

    expect(outcome()).toMatchObject({ name: "AbortError" });
    expect(browser.requests).toEqual([]);
    await expectNothingOpen();
  });

  it("asks for nothing when a listener of connecting disconnects", async () => {
    const { session } = create();
    session.on("connecting", () => void session.disconnect());
    await expect(session.connect()).rejects.toMatchObject({ name: "AbortError" });
    expect(browser.asked).toEqual([]);
  });

  it("tells the server, where it can already be told", async () => {
    browser.server.offered = () => {};
    const { session } = start();
    await pass(50);
    await session.disconnect();
    expect(browser.socket.types()).toContain("end");
  });

  it("works before connect and makes connect impossible", async () => {
    const { session, heard } = create();
    await session.disconnect();
    await session.disconnect();
    await expect(session.connect()).rejects.toMatchObject({ code: "SESSION_ALREADY_CONNECTED" });
    expect(heard).toEqual([]);
    expect(browser.asked).toEqual([]);
  });
});

describe("the end of a call", () => {
  it("is confirmed by the server, whose duration counts", async () => {
    const { session, heard } = await startLive();
    await pass(5_000);
    await Promise.all([session.disconnect(), session.disconnect(), pass(0)]);
    await session.disconnect();

    expect(heard).toEqual([["ended", { callId: "athos_call_1", durationSec: 77 }]]);
    expect(browser.socket.types().filter((type) => type === "end")).toHaveLength(1);
    await expectNothingOpen();
  });

  it("silences both at once and does not wait long for a server that says nothing", async () => {
    browser.server.ended = () => {};
    const { session, heard } = await startLive();
    await pass(5_000);
    void session.disconnect();
    expect(browser.microphoneOn).toBe(false);
    expect(browser.audio[0]?.removed).toBe(true);
    expect(heard).toEqual([]);
    await pass(2_000);

    expect(heard).toEqual([["ended", { callId: "athos_call_1", durationSec: 7 }]]);
    await expectNothingOpen();
  });

  it("does not wait at all when there is nobody to tell", async () => {
    const { session, heard } = await startLive();
    browser.server.state = "away";
    browser.socket.dies();
    await session.disconnect();
    expect(heard).toEqual([["ended", { callId: "athos_call_1", durationSec: 0 }]]);
    await expectNothingOpen();
  });

  it("can come from the server", async () => {
    const { session, heard } = await startLive();
    browser.socket.says({ type: "ended", callId: "athos_call_1", durationSec: 7200, reason: "ceiling" });
    browser.socket.dies(4410);
    await session.disconnect();
    expect(heard).toEqual([["ended", { callId: "athos_call_1", durationSec: 7200 }]]);
    await expectNothingOpen();
  });

  it("comes with the page's", async () => {
    const { heard } = await startLive();
    browser.page.dispatchEvent(new Event("pagehide"));
    expect(browser.socket.types().at(-1)).toBe("end");
    expect(heard.map(([name]) => name)).toEqual(["ended"]);
    await expectNothingOpen();
  });

  it("comes with the page's while connecting, without an event", async () => {
    browser.server.offered = () => {};
    const { heard, outcome } = start();
    await pass(50);
    browser.page.dispatchEvent(new Event("pagehide"));
    await pass(0);
    expect(outcome()).toMatchObject({ name: "AbortError" });
    expect(heard).toEqual([["connecting"]]);
    await expectNothingOpen();
  });

  it("says why when another tab carries the call", async () => {
    const { heard } = await startLive();
    browser.socket.says({ type: "taken_over" });
    expect(heard).toEqual([
      ["error", { code: "SESSION_ALREADY_CONNECTED", message: "This call goes on in another tab." }],
      ["ended", { callId: "athos_call_1", durationSec: 0 }],
    ]);
    await expectNothingOpen();
  });

  it("can be asked for from a listener of ready", async () => {
    const { session, heard } = create();
    session.on("ready", () => void session.disconnect());
    const connected = session.connect();
    await pass(100);
    await connected;
    expect(heard.map(([name]) => name)).toEqual(["connecting", "ready", "ended"]);
    await expectNothingOpen();
  });
});

describe("who is speaking", () => {
  it("is passed on once per change", async () => {
    const { heard } = await startLive();
    browser.socket.says({ type: "personaSpeaking", speaking: true });
    browser.socket.says({ type: "personaSpeaking", speaking: true });
    browser.socket.says({ type: "personaSpeaking", speaking: false });
    browser.socket.says({ type: "userSpeaking", speaking: true });
    expect(heard).toEqual([
      ["personaSpeaking", { speaking: true }],
      ["personaSpeaking", { speaking: false }],
      ["userSpeaking", { speaking: true }],
    ]);
  });

  it("ends with the call", async () => {
    const { session, heard } = await startLive();
    browser.socket.says({ type: "personaSpeaking", speaking: true });
    await session.disconnect();
    expect(heard.map(([name]) => name)).toEqual(["personaSpeaking", "personaSpeaking", "ended"]);
    expect(heard[1]).toEqual(["personaSpeaking", { speaking: false }]);
  });

  it("unsubscribes by either way", async () => {
    const { session } = await startLive();
    const [one, two] = [vi.fn(), vi.fn()];
    const off = session.on("userSpeaking", one);
    session.on("userSpeaking", two);
    off();
    session.off("userSpeaking", two);
    browser.socket.says({ type: "userSpeaking", speaking: true });
    expect(one).not.toHaveBeenCalled();
    expect(two).not.toHaveBeenCalled();
  });
});

describe("the microphone", () => {
  it("is muted and unmuted, and stays muted on another device", async () => {
    const { session } = await startLive();
    await session.mute();
    expect(browser.tracks[0]?.enabled).toBe(false);
    await session.setMicrophone("usb");
    expect(browser.tracks[1]?.enabled).toBe(false);
    await session.unmute();
    expect(browser.tracks[1]?.enabled).toBe(true);
  });

  it("starts muted when muted before", async () => {
    const { session } = create();
    await session.mute();
    await Promise.all([session.connect(), pass(100)]);
    expect(browser.tracks[0]?.enabled).toBe(false);
  });

  it("is switched without dropping the call", async () => {
    const { session, heard } = await startLive();
    await session.setMicrophone("usb");
    expect(browser.asked[1]).toMatchObject({ deviceId: { exact: "usb" }, echoCancellation: true });
    expect(browser.peer.sender.track).toBe(browser.tracks[1]);
    expect(browser.tracks.map((track) => track.stopped)).toEqual([true, false]);
    expect(browser.peers).toHaveLength(1);
    expect(heard).toEqual([]);
  });

  it("keeps the old device when the new one fails", async () => {
    const { session, heard } = await startLive();
    browser.microphone = () => Promise.reject(new DOMException("gone", "OverconstrainedError"));
    await expect(session.setMicrophone("gone")).rejects.toMatchObject({ code: "NO_MIC_AVAILABLE" });
    expect(heard).toEqual([["error", expect.objectContaining({ code: "NO_MIC_AVAILABLE" })]]);
    expect(browser.tracks[0]?.stopped).toBe(false);
    expect(browser.peer.sender.track).toBe(browser.tracks[0]);
  });

  it("follows the last of two quick choices", async () => {
    const { session } = await startLive();
    const answers: (() => void)[] = [];
    browser.microphone = () => new Promise((resolve) => answers.push(resolve));
    const switches = Promise.all([session.setMicrophone("one"), session.setMicrophone("two")]);
    await pass(0);
    answers[1]?.();
    await pass(0);
    answers[0]?.();
    await switches;
    const on = browser.tracks.filter((track) => !track.stopped);
    expect(on.map((track) => track.label)).toEqual(['{"exact":"two"}']);
    expect(browser.peer.sender.track).toBe(on[0]);
  });

  it("is off when the call ends during a switch", async () => {
    const { session } = await startLive();
    let allow = (): void => {};
    browser.microphone = () => new Promise((resolve) => (allow = resolve));
    const switched = expect(session.setMicrophone("usb")).rejects.toMatchObject({ name: "AbortError" });
    await pass(0);
    await session.disconnect();
    allow();
    await switched;
    await pass(0);
    await expectNothingOpen();
  });

  it("chosen before the call is the one that is asked for", async () => {
    const { session } = create();
    await session.setMicrophone("usb");
    expect(browser.asked).toEqual([]);
    await Promise.all([session.connect(), pass(100)]);
    expect(browser.asked).toMatchObject([{ deviceId: { exact: "usb" } }]);
  });

  it("that is unplugged is an error, silence is sent, and the call goes on", async () => {
    const { session, heard } = await startLive();
    browser.tracks[0]?.unplug();
    await pass(60_000);
    expect(heard).toEqual([["error", expect.objectContaining({ code: "MIC_DEVICE_DISCONNECTED" })]]);
    expect(browser.peer.sender.track?.label).toBe("silence");

    await session.setMicrophone("usb");
    expect(browser.peer.sender.track).toBe(browser.tracks[1]);
    expect(browser.contexts).toBe(0);
    await session.disconnect();
    await expectNothingOpen();
  });

  it("whose permission is taken away says so, and is not asked for again", async () => {
    browser.permission = "granted";
    const { session, heard } = await startLive();
    browser.permission = "denied";
    browser.tracks[0]?.unplug();
    browser.devices.dispatchEvent(new Event("devicechange"));
    await pass(1_000);
    expect(heard).toEqual([["error", expect.objectContaining({ code: "MIC_PERMISSION_DENIED" })]]);
    expect(browser.asked).toHaveLength(1);
    expect(browser.peer.sender.track?.label).toBe("silence");
    await session.disconnect();
    await expectNothingOpen();
  });

  it("that comes back is heard again, without a question", async () => {
    browser.permission = "granted";
    const { session } = create();
    await session.setMicrophone("headset");
    await Promise.all([session.connect(), pass(100)]);
    browser.tracks[0]?.unplug();
    await pass(100);
    browser.microphone = () => Promise.reject(new DOMException("not yet", "OverconstrainedError"));
    browser.devices.dispatchEvent(new Event("devicechange"));
    await pass(100);
    expect(browser.peer.sender.track?.label).toBe("silence");

    browser.microphone = async () => {};
    browser.devices.dispatchEvent(new Event("devicechange"));
    await pass(100);
    expect(browser.asked.at(-1)).toMatchObject({ deviceId: { exact: "headset" } });
    expect(browser.peer.sender.track).toBe(browser.tracks[1]);
    expect(browser.contexts).toBe(0);
    await session.disconnect();
    await expectNothingOpen();
  });

  it("that comes back does not take the place of the one being chosen", async () => {
    browser.permission = "granted";
    const { session } = await startLive();
    browser.tracks[0]?.unplug();
    await pass(100);
    let allow = (): void => {};
    browser.microphone = () => new Promise((resolve) => (allow = resolve));
    const chosen = session.setMicrophone("usb");
    browser.devices.dispatchEvent(new Event("devicechange"));
    await pass(100);
    allow();
    await chosen;
    expect(browser.asked.slice(1)).toMatchObject([{ deviceId: { exact: "usb" } }]);
    expect(browser.peer.sender.track).toBe(browser.tracks[1]);
  });

  it("that works is left alone when other devices come and go", async () => {
    browser.permission = "granted";
    await startLive();
    browser.devices.dispatchEvent(new Event("devicechange"));
    await pass(100);
    expect(browser.asked).toHaveLength(1);
  });

  it("has a level, from nothing at -60 dB to one at full scale", async () => {
    const { session } = create();
    expect(session.inputLevel()).toBe(0);
    await Promise.all([session.connect(), pass(100)]);
    browser.loudness = 0.1; // -20 dB
    expect(session.inputLevel()).toBeCloseTo(2 / 3, 3);
    browser.loudness = 0;
    expect(session.inputLevel()).toBe(0);
    browser.loudness = 1;
    expect(session.inputLevel()).toBe(1);
    await session.setMicrophone("usb");
    expect(session.inputLevel()).toBe(1);
    expect(browser.contexts).toBe(1);
    await session.disconnect();
    expect(session.inputLevel()).toBe(0);
    await expectNothingOpen();
  });

  it("is listed among the inputs only", async () => {
    const { session } = create();
    expect(await session.listMicrophones()).toEqual([{ deviceId: "usb", label: "USB microphone" }]);
  });
});

describe("sound", () => {
  it("that is blocked is an error, and a click brings it back", async () => {
    browser.autoplayBlocked = true;
    const { session, heard, outcome } = start();
    await pass(100);
    expect(outcome()).toBe("connected");
    expect(heard.filter(([name]) => name === "error")).toEqual([
      ["error", expect.objectContaining({ code: "AUDIO_PLAYBACK_BLOCKED" })],
    ]);
    await expect(session.resumeAudio()).rejects.toMatchObject({ code: "AUDIO_PLAYBACK_BLOCKED" });
    browser.autoplayBlocked = false;
    await session.resumeAudio();
    expect(browser.audio[0]?.plays).toBe(3);
  });

  it("can be resumed at any time without harm", async () => {
    const { session } = create();
    await session.resumeAudio();
    expect(browser.audio).toEqual([]);
  });
});

describe("a page", () => {
  it("may hold two sessions that know nothing of each other", async () => {
    const one = await startLive();
    const two = await startLive({ token: "token-2" });
    await one.session.mute();
    expect(browser.tracks.map((track) => track.enabled)).toEqual([false, true]);
    await one.session.disconnect();
    await pass(5_000);
    expect(one.heard.map(([name]) => name)).toEqual(["ended"]);
    expect(two.heard).toEqual([]);
    expect(browser.tracks.map((track) => track.stopped)).toEqual([true, false]);
    expect(browser.peers.map((peer) => peer.closed)).toEqual([true, false]);
    await two.session.disconnect();
    await expectNothingOpen();
  });

  it("may mount twice, as React's StrictMode does: the token is spent once", async () => {
    const first = start();
    void first.session.disconnect(); // the effect's clean-up, in the same breath
    const second = start();
    await pass(100);

    expect(first.outcome()).toMatchObject({ name: "AbortError" });
    expect(first.heard).toEqual([["connecting"]]);
    expect(second.outcome()).toBe("connected");
    expect(browser.requests).toHaveLength(1);
    expect(browser.tracks.filter((track) => !track.stopped)).toHaveLength(1);
    await second.session.disconnect();
    await expectNothingOpen();
  });

  it("that is hidden, whose timers run once a second, keeps its call", async () => {
    const { heard } = await startLive();
    const { setTimeout: soon, setInterval: often } = globalThis;
    vi.stubGlobal("setTimeout", (work: () => void, ms = 0) => soon(work, Math.ceil(ms / 1000) * 1000));
    vi.stubGlobal("setInterval", (work: () => void, ms = 0) => often(work, Math.ceil(ms / 1000) * 1000));
    await pass(120_000);
    expect(heard).toEqual([]);
    expect(browser.sockets).toHaveLength(1);
  });

  it("that slept for a while gets its call back", async () => {
    const { heard } = await startLive();
    browser.peer.flowing = false;
    sleepFor(20_000);
    await pass(3_000);
    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
  });

  it("that slept too long is told that the call is lost", async () => {
    const { heard } = await startLive();
    browser.peer.flowing = false;
    sleepFor(3_600_000);
    await pass(3_000);
    expect(heard).toEqual([NETWORK_LOST, ["ended", { callId: "athos_call_1", durationSec: 3_600 }]]);
    await expectNothingOpen();
  });

  it("that is left during a switch of the microphone has it off", async () => {
    const { session } = await startLive();
    browser.microphone = () => new Promise(() => {});
    session.setMicrophone("usb").catch(() => {});
    browser.page.dispatchEvent(new Event("pagehide"));
    await expectNothingOpen();
  });
});

describe("press-to-talk", () => {
  const told = (): unknown[] => browser.socket.sent.filter(({ type }) => type === "talk").map(({ pressed }) => pressed);

  it("tells the server when the button goes down and up, and sends sound only in between", async () => {
    const { session } = await startLive();
    expect(told()).toEqual([]);
    await session.pressToTalk(false);
    expect(browser.tracks[0]?.enabled).toBe(false);
    await session.pressToTalk(true);
    expect(browser.tracks[0]?.enabled).toBe(true);
    expect(told()).toEqual([false, true]);
    await session.pressToTalk(false);
    expect(browser.tracks[0]?.enabled).toBe(false);
    expect(told()).toEqual([false, true]); // the end of the word is on its way
    await pass(200);
    expect(told()).toEqual([false, true, false]);
    await session.pressToTalk(null);
    expect(browser.tracks[0]?.enabled).toBe(true);
    expect(told()).toEqual([false, true, false, null]);
  });

  it("is told again to a server that has just taken the call", async () => {
    const { session } = create();
    await session.pressToTalk(false);
    await Promise.all([session.connect(), pass(100)]);
    expect(told()).toEqual([false]);
    expect(browser.tracks[0]?.enabled).toBe(false);
    browser.peer.flowing = false;
    await pass(3_000);
    expect(browser.sockets).toHaveLength(2);
    expect(told()).toEqual([false]);
  });

  it("that was given up while the line was away is given up on the next one too", async () => {
    const { session } = await startLive();
    await session.pressToTalk(false);
    browser.socket.dies();
    await session.pressToTalk(null);
    await pass(1_000);
    expect(browser.sockets).toHaveLength(2);
    expect(told()).toEqual([null]);
    expect(browser.tracks[0]?.enabled).toBe(true);
  });

  it("is not spoken of where nobody uses it", async () => {
    await startLive();
    browser.socket.dies();
    await pass(1_000);
    expect(browser.sockets).toHaveLength(2);
    expect(told()).toEqual([]);
  });

  it("leaves no timer behind", async () => {
    const { session } = await startLive();
    await session.pressToTalk(true);
    await session.pressToTalk(false);
    await Promise.all([session.disconnect(), pass(10)]);
    await expectNothingOpen();
  });
});

describe("a pause", () => {
  const told = (): unknown[] => browser.socket.sent.filter(({ type }) => type === "pause").map(({ paused }) => paused);

  it("silences the microphone at once, and is what the server says it is", async () => {
    const { session, heard } = await startLive();
    const pauses: boolean[] = [];
    const off = session.onPause(({ paused }) => pauses.push(paused));
    await session.pause();
    expect(browser.tracks[0]?.enabled).toBe(false);
    expect(pauses).toEqual([]);
    browser.socket.says({ type: "paused", paused: true });
    await session.resume();
    expect(browser.tracks[0]?.enabled).toBe(true);
    browser.socket.says({ type: "paused", paused: false });
    expect(told()).toEqual([true, false]);
    expect(pauses).toEqual([true, false]);
    off();
    browser.socket.says({ type: "paused", paused: true });
    expect(pauses).toEqual([true, false]);
    expect(heard).toEqual([]);
  });

  it("ends when the server ends it", async () => {
    const { session } = await startLive();
    await session.pause();
    browser.socket.says({ type: "paused", paused: true });
    browser.socket.says({ type: "paused", paused: false });
    expect(browser.tracks[0]?.enabled).toBe(true);
  });

  it("that was ended while the line was away is over on the next one", async () => {
    const { session } = await startLive();
    const pauses: boolean[] = [];
    session.onPause(({ paused }) => pauses.push(paused));
    await session.pause();
    browser.socket.says({ type: "paused", paused: true });
    const answer = browser.server.offered;
    browser.server.offered = (socket) => {
      answer(socket);
      setTimeout(() => socket.says({ type: "paused", paused: true }), 20); // what it knows of before
    };
    browser.socket.dies();
    await session.resume();
    await pass(1_000);
    expect(told()).toEqual([false]);
    browser.socket.says({ type: "paused", paused: false });
    expect(browser.tracks[0]?.enabled).toBe(true);
    expect(pauses).toEqual([true, false]);
  });

  it("goes on over a new line, and leaves a rep muted who was", async () => {
    const { session } = await startLive();
    await session.mute();
    await session.pause();
    browser.peer.flowing = false;
    await pass(3_000);
    expect(browser.sockets).toHaveLength(2);
    expect(told()).toEqual([true]);
    await session.resume();
    expect(browser.tracks[0]?.enabled).toBe(false);
  });
});

describe("captions", () => {
  it("are asked for and told, and end with their listener", async () => {
    const { session, heard } = create({ captions: true });
    const captions: string[] = [];
    const off = session.onCaption(({ text }) => captions.push(text));
    await Promise.all([session.connect(), pass(100)]);
    expect(browser.socket.sent[0]).toEqual({ type: "join", ticket: "ticket-1", version: 1, captions: true });
    browser.socket.says({ type: "caption", text: "Hello?" });
    off();
    browser.socket.says({ type: "caption", text: "Who is this?" });
    expect(captions).toEqual(["Hello?"]);
    expect(heard.map(([name]) => name)).toEqual(["connecting", "ready"]);
  });

  it("are asked for again on a new line", async () => {
    await startLive({ captions: true });
    browser.peer.flowing = false;
    await pass(3_000);
    expect(browser.sockets).toHaveLength(2);
    expect(browser.socket.sent[0]).toMatchObject({ type: "join", captions: true });
  });
});

describe("the quality of the connection", () => {
  it("is known during the call only", async () => {
    const { session } = create();
    expect(session.connectionQuality()).toBeUndefined();
    await Promise.all([session.connect(), pass(1_000)]);
    expect(session.connectionQuality()).toEqual({
      quality: "good",
      roundTripMs: 20,
      jitterMs: 0,
      lossPercent: 0,
      relayed: true,
    });
    await session.disconnect();
    expect(session.connectionQuality()).toBeUndefined();
  });

  it("is lost while nothing is heard", async () => {
    const { session } = await startLive();
    browser.server.state = "away";
    browser.peer.flowing = false;
    await pass(2_000);
    expect(session.connectionQuality()).toMatchObject({ quality: "lost" });
  });
});

describe("a lost line", () => {
  it("is noticed after 1.5 s and replaced, the old one kept until then", async () => {
    const { heard } = await startLive();
    const [first] = browser.peers;
    browser.server.offered = () => {};
    browser.peer.flowing = false;
    await pass(1_400);
    expect(heard).toEqual([]);
    await pass(600);
    expect(heard).toEqual([["reconnecting"]]);
    expect(browser.peers).toHaveLength(2);
    expect(first?.closed).toBe(false);
    browser.socket.says({ type: "answer", sdp: "answer" });
    browser.socket.says({ type: "ready", persona: { name: "Rosa" } });
    await pass(0);

    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
    expect(first?.closed).toBe(true);
    expect(browser.sockets[0]?.closed).toBe(true);
    expect(browser.socket.sent[0]).toEqual({ type: "join", ticket: "ticket-1", version: 1 });
    expect(browser.audio.filter((element) => !element.removed)).toHaveLength(1);
    await pass(60_000);
    expect(heard).toHaveLength(2);
    expect(browser.requests).toHaveLength(1);
  });

  it("does not wait long for a socket that hangs, at first", async () => {
    await startLive();
    browser.peer.flowing = false;
    browser.server.state = "away";
    await pass(1_750 + 2_000);
    expect(browser.socket.closed).toBe(true);
    browser.server.state = "up";
    await pass(700);
    expect(browser.peers).toHaveLength(2);
    expect(browser.peers[0]?.closed).toBe(true);
  });

  it("gives a slow network more time with each fourth try", async () => {
    await startLive();
    browser.peer.flowing = false;
    browser.server.state = "away";
    await pass(28_000);
    expect(browser.sockets.length - 1).toBe(8); // 2, 2, 2, 6 s and so on, with half a second between
  });

  it("is asked for at once when the browser sees a network again", async () => {
    const { heard } = await startLive();
    browser.peer.flowing = false;
    browser.server.state = "away";
    await pass(10_000); // in the middle of a patient try
    browser.server.state = "up";
    browser.page.dispatchEvent(new Event("online"));
    await pass(700);
    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
  });

  it("is tried again every 0.5 s", async () => {
    await startLive();
    browser.peer.flowing = false;
    browser.server.state = "refusing";
    await pass(2_000);
    const before = browser.sockets.length;
    await pass(6_000);
    expect(browser.sockets.length - before).toBeGreaterThanOrEqual(8);
    expect(browser.sockets.length - before).toBeLessThanOrEqual(12);
  });

  it("ends the call with NETWORK_LOST after 30 s", async () => {
    const { session, heard } = await startLive();
    browser.peer.flowing = false;
    browser.server.state = "away";
    await pass(29_500);
    expect(heard).toEqual([["reconnecting"]]);
    await pass(1_000);

    expect(heard.slice(1, 2)).toEqual([NETWORK_LOST]);
    expect(heard[2]).toEqual(["ended", { callId: "athos_call_1", durationSec: 30 }]);
    expect(heard).toHaveLength(3);
    await expectNothingOpen();
    await session.disconnect();
    expect(heard).toHaveLength(3);
  });

  it("that heals by itself is kept", async () => {
    const { heard } = await startLive();
    browser.server.state = "away";
    const [peer] = browser.peers;
    if (peer !== undefined) peer.flowing = false;
    await pass(3_000);
    browser.server.state = "up";
    if (peer !== undefined) peer.flowing = true;
    await pass(2_000);

    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
    expect(browser.peers).toHaveLength(1);
    expect(peer?.closed).toBe(false);
    expect(browser.sockets.slice(1).every((socket) => socket.closed)).toBe(true);
  });

  it("is not taken for another tab when our own new line takes the call over", async () => {
    const { heard } = await startLive();
    const [firstSocket] = browser.sockets;
    const answer = browser.server.offered;
    browser.server.offered = (socket) => {
      firstSocket?.says({ type: "taken_over" });
      answer(socket);
    };
    browser.peer.flowing = false;
    await pass(3_000);
    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
  });

  it("is left to the other tab when that takes the new one", async () => {
    const { heard } = await startLive();
    browser.server.offered = (socket) => socket.says({ type: "taken_over" });
    browser.peer.flowing = false;
    await pass(3_000);
    expect(heard.map(([name]) => name)).toEqual(["reconnecting", "error", "ended"]);
    await expectNothingOpen();
  });

  it("ends quietly when the server says that the call is over", async () => {
    const { heard } = await startLive();
    browser.server.joined = (socket) => {
      socket.says({ type: "ended", callId: "athos_call_1", durationSec: 12, reason: "network" });
      socket.dies(4410);
    };
    browser.peer.flowing = false;
    await pass(3_000);
    expect(heard).toEqual([["reconnecting"], ["ended", { callId: "athos_call_1", durationSec: 12 }]]);
    await expectNothingOpen();
  });

  it.each([
    ["refuses to let us in again", { type: "error", code: "CALL_NOT_FOUND", message: "This call is over." }],
    ["only closes", undefined],
  ])("counts as lost when the call ended meanwhile and the server %s", async (_, message) => {
    const { heard } = await startLive();
    browser.server.joined = (socket) => {
      if (message) socket.says(message);
      socket.dies(4410);
    };
    browser.peer.flowing = false;
    await pass(3_000);
    expect(heard).toEqual([["reconnecting"], NETWORK_LOST, ["ended", { callId: "athos_call_1", durationSec: 2 }]]);
    await expectNothingOpen();
  });

  it("is noticed when only the way out is broken", async () => {
    const { heard } = await startLive();
    browser.peer.connectionState = "disconnected";
    await pass(1_000);
    expect(heard).toEqual([["reconnecting"], ["reconnected"]]);
  });

  it("is replaced without a word when only the socket is gone", async () => {
    const { heard } = await startLive();
    browser.socket.dies();
    await pass(1_000);
    expect(browser.peers).toHaveLength(2);
    expect(browser.peers[0]?.closed).toBe(true);
    browser.socket.says({ type: "userSpeaking", speaking: true });
    expect(heard).toEqual([["userSpeaking", { speaking: true }]]);
  });

  it("counts a socket as gone that no longer answers", async () => {
    await startLive();
    browser.socket.says = () => {};
    await pass(9_000);
    expect(browser.sockets[0]?.closed).toBe(true);
    expect(browser.sockets).toHaveLength(2);
  });

  it("does not end the call while both hear each other", async () => {
    const { heard } = await startLive();
    browser.server.state = "refusing";
    browser.socket.dies();
    await pass(120_000);
    expect(heard).toEqual([]);
    expect(browser.peers[0]?.closed).toBe(false);
    expect(browser.sockets.length).toBeLessThan(70);
  });

  it("says that the persona fell silent", async () => {
    const { heard } = await startLive();
    browser.socket.says({ type: "personaSpeaking", speaking: true });
    browser.peer.flowing = false;
    browser.server.state = "away";
    await pass(2_000);
    expect(heard.slice(1)).toEqual([["personaSpeaking", { speaking: false }], ["reconnecting"]]);
  });

  it("can be hung up", async () => {
    const { session, heard } = await startLive();
    browser.server.state = "away";
    browser.peer.flowing = false;
    browser.socket.dies();
    await pass(2_000);
    await Promise.all([session.disconnect(), pass(2_000)]);
    expect(heard.map(([name]) => name)).toEqual(["reconnecting", "ended"]);
    await expectNothingOpen();
  });

  it("takes the current microphone along", async () => {
    const { session } = await startLive();
    await session.setMicrophone("usb");
    browser.peer.flowing = false;
    await pass(3_000);
    expect(browser.peers).toHaveLength(2);
    expect(browser.peer.sender.track).toBe(browser.tracks[1]);
  });
});

describe("debug", () => {
  it("logs under a prefix, and neither token nor ticket", async () => {
    const lines: unknown[][] = [];
    vi.stubGlobal("console", { info: (...args: unknown[]) => lines.push(args) });
    const { session } = await startLive({ debug: true });
    await session.disconnect();
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.every(([first]) => String(first).startsWith("[Athos] "))).toBe(true);
    expect(JSON.stringify(lines)).not.toMatch(/token-1|ticket-1|Rosa/);
  });

  it("is silent otherwise", async () => {
    const info = vi.fn();
    vi.stubGlobal("console", { info, log: info, warn: info, error: info });
    const { session } = await startLive();
    await session.disconnect();
    expect(info).not.toHaveBeenCalled();
  });
});
