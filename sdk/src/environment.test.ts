import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { AthosRoleplay, type AthosEnvironment, type AthosEnvironmentOptions } from "./index.js";
import { FakeBrowser, never } from "./testing/fake-browser.js";

let browser: FakeBrowser;

beforeEach(() => {
  vi.useFakeTimers();
  browser = new FakeBrowser();
  browser.install();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function check(options: Partial<AthosEnvironmentOptions> = {}): Promise<AthosEnvironment> {
  const found = AthosRoleplay.checkEnvironment({ token: "token-1", ...options });
  found.catch(() => {});
  await vi.advanceTimersByTimeAsync(20_000);
  expect(browser.microphoneOn).toBe(false);
  expect(browser.contexts).toBe(0);
  expect(browser.sockets.every((socket) => socket.closed)).toBe(true);
  expect(browser.peers.every((peer) => peer.closed)).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
  return found;
}

it("hears a voice and reaches the server, and spends nothing", async () => {
  const levels: number[] = [];
  const found = await check({ onLevel: (level) => levels.push(level) });
  expect(found.microphone).toEqual({ heard: true, peak: expect.closeTo(2 / 3, 3) as number });
  expect(found.network).toEqual({ roundTripMs: expect.any(Number) as number, udp: undefined, turn: undefined });
  expect(found.echo).toBeUndefined();
  expect(levels).toHaveLength(1); // it listens no longer than it must
  expect(browser.socket.url).toBe("wss://athos.test/live/v1");
  expect(browser.socket.sent).toEqual([{ type: "check", token: "token-1", version: 1 }]);
  expect(browser.requests).toEqual([]);
});

it("says that a microphone which is switched off hears nothing", async () => {
  browser.loudness = 0;
  expect((await check()).microphone).toEqual({ heard: false, peak: 0 });
});

it("tells a denied microphone and a network that works apart", async () => {
  browser.microphone = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  const found = await check();
  expect(found.microphone).toMatchObject({ error: { code: "MIC_PERMISSION_DENIED" } });
  expect(found.network).toMatchObject({ turn: undefined });
});

it("does not take an audio engine that waits for a click for a silent microphone", async () => {
  browser.audioAsleep = true;
  browser.loudness = 0;
  expect((await check()).microphone).toMatchObject({ error: { code: "AUDIO_PLAYBACK_BLOCKED" } });
});

it.each([
  ["is away", (): void => void (browser.server.state = "away"), "NETWORK_LOST"],
  ["refuses", (): void => void (browser.server.state = "refusing"), "NETWORK_LOST"],
  ["says nothing", (): void => void (browser.server.checked = () => {}), "NETWORK_LOST"],
  [
    "does not know the token",
    (): void => void (browser.server.checked = (socket) => socket.says({ type: "error", code: "INVALID_TOKEN", message: "No." })),
    "INVALID_TOKEN",
  ],
])("says so when the server %s", async (_, arrange, code) => {
  arrange();
  const found = await check();
  expect(found.network).toMatchObject({ error: { code } });
  expect(found.microphone).toMatchObject({ heard: true });
});

const STUN = { urls: "stun:one" };
const TURN = { urls: ["turn:two", "turns:two"] };

it.each([
  ["both", [STUN, TURN], [{ type: "srflx" }, { type: "relay", relayProtocol: "udp" }], false, { udp: true, turn: true }],
  ["a closed network", [STUN, TURN], [{ type: "relay", relayProtocol: "tls" }], true, { udp: false, turn: true }],
  ["no relay", [STUN, TURN], [{ type: "srflx" }], true, { udp: true, turn: false }],
  ["nothing that tells", [STUN], [{ type: "host" }], false, { udp: undefined, turn: undefined }],
])("asks the servers of a call: %s", async (_, iceServers, candidates, stunAway, expected) => {
  browser.server.checked = (socket) => socket.says({ type: "checked", iceServers });
  Object.assign(browser, { candidates, stunAway });
  expect((await check()).network).toMatchObject(expected);
  expect(browser.peer.configuration).toEqual({ iceServers });
});

it.each([
  [true, { quiet: -100, played: -60 }],
  [false, { quiet: -60, played: -58 }],
  [false, { quiet: -120, played: -120 }],
  [true, { quiet: -Infinity, played: -60 }],
])("hears an echo: %s, with %o", async (echo, toneDb) => {
  browser.toneDb = toneDb;
  expect(await check({ echo: true })).toMatchObject({ echo });
  expect(browser.tones).toBe(0);
});

it("can be called off, and leaves nothing on", async () => {
  const controller = new AbortController();
  browser.loudness = 0;
  browser.server.state = "away";
  setTimeout(() => controller.abort(), 500);
  await expect(check({ signal: controller.signal })).rejects.toMatchObject({ name: "AbortError" });
});

it("can be called off while the microphone is asked for", async () => {
  browser.microphone = never;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 500);
  await expect(check({ signal: controller.signal })).rejects.toMatchObject({ name: "AbortError" });
});

it("is refused where no call could be made", async () => {
  browser.userAgent = "curl/8.5.0";
  browser.install();
  await expect(check()).rejects.toMatchObject({ code: "BROWSER_NOT_SUPPORTED" });
});
