import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { redeem } from "./redeem.js";
import { FakeBrowser, never, REDEEMED } from "./testing/fake-browser.js";

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

const ask = (token = "token-1"): Promise<unknown> =>
  redeem("https://athos.test", token, { drillKey: "ma-full-sale" }, new AbortController().signal);
const answer = (status: number, body: unknown): void => void (browser.answer = async () => ({ status, body }));

it("asks once, without cookies or cache", async () => {
  expect(await ask()).toEqual(REDEEMED);
  expect(browser.requests).toHaveLength(1);
  expect(browser.requests[0]?.init).toMatchObject({ method: "POST", credentials: "omit", cache: "no-store" });
});

it.each([
  [400, "DRILL_NOT_FOUND"],
  [400, "INVALID_REQUEST"],
  [401, "INVALID_TOKEN"],
  [401, "TOKEN_ALREADY_USED"],
  [403, "TENANT_INACTIVE"],
  [429, "RATE_LIMITED"],
  [503, "SERVICE_UNAVAILABLE"],
])("passes on %i %s with its message", async (status, code) => {
  answer(status, { error: { code, message: "Why.", requestId: "req_1" } });
  await expect(ask()).rejects.toMatchObject({ code, message: "Why." });
});

it.each([
  [400, { error: { code: "SOMETHING_NEW", message: "?" } }, "INVALID_REQUEST"],
  [404, "<html>", "INVALID_REQUEST"],
  [429, "", "RATE_LIMITED"],
  [500, "oops", "INTERNAL_ERROR"],
  [502, "<html>", "SERVICE_UNAVAILABLE"],
  [504, null, "SERVICE_UNAVAILABLE"],
  [200, "<html>", "INTERNAL_ERROR"],
  [200, { ...REDEEMED, connectionTicket: undefined }, "INTERNAL_ERROR"],
])("reads %i %j as %s", async (status, body, code) => {
  answer(status, body);
  await expect(ask()).rejects.toMatchObject({ code });
});

it("says NETWORK_LOST when the server cannot be reached", async () => {
  browser.answer = () => Promise.reject(new TypeError("Failed to fetch"));
  await expect(ask()).rejects.toMatchObject({ code: "NETWORK_LOST", cause: expect.any(TypeError) as Error });
});

it("waits 15 s for an answer and asks no second time", async () => {
  browser.answer = never;
  const refused = expect(ask()).rejects.toMatchObject({ code: "NETWORK_LOST" });
  await vi.advanceTimersByTimeAsync(15_000);
  await refused;
  expect(browser.requests).toHaveLength(1);
  expect(browser.requests[0]?.init.signal?.aborted).toBe(true);
});

it("does not ask with a token that no header can carry", async () => {
  await expect(ask("line\nbreak")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  await expect(ask("")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  expect(browser.requests).toEqual([]);
});
