import { afterEach, expect, it, vi } from "vitest";
import { AthosRoleplay, detectBrowserSupport } from "./index.js";
import { FakeBrowser } from "./testing/fake-browser.js";

const KIT = "AppleWebKit/537.36 (KHTML, like Gecko)";
const WINDOWS = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KIT}`;
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
const ANDROID = `Mozilla/5.0 (Linux; Android 14; Pixel 8) ${KIT}`;
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";

afterEach(() => vi.unstubAllGlobals());

it.each([
  ["Chrome", `${WINDOWS} Chrome/140.0.0.0 Safari/537.36`],
  ["headless Chrome", `Mozilla/5.0 (X11; Linux x86_64) ${KIT} HeadlessChrome/140.0.0.0 Safari/537.36`],
  ["Edge", `${WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`],
  ["Opera", `${MAC} ${KIT} Chrome/140.0.0.0 Safari/537.36 OPR/120.0.0.0`],
  ["Chrome on ChromeOS", `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${KIT} Chrome/140.0.0.0 Safari/537.36`],
  ["Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
])("supports %s on a computer", (_, userAgent) => {
  expect(detectBrowserSupport(userAgent)).toEqual({ supported: true });
});

it.each([
  ["safari", `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15`],
  ["mobile", `${IPHONE} Version/17.0 Mobile/15E148 Safari/604.1`],
  ["mobile", `${IPHONE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1`],
  ["mobile", `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140 Version/17.0 Safari/605.1.15`],
  ["mobile", `${ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36`],
  ["mobile", `${ANDROID.replace("Pixel 8", "SM-X900")} Chrome/140.0.0.0 Safari/537.36`],
  ["mobile", "Mozilla/5.0 (Android 14; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0"],
  ["unknown", `${WINDOWS} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`],
  ["unknown", "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko"],
  ["unknown", "curl/8.5.0"],
  ["unknown", ""],
])("refuses %s: %s", (reason, userAgent) => {
  expect(detectBrowserSupport(userAgent)).toEqual({ supported: false, reason });
});

it("asks the browser when no string is given", () => {
  vi.stubGlobal("navigator", { userAgent: `${ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36` });
  expect(detectBrowserSupport()).toEqual({ supported: false, reason: "mobile" });
});

const create = (apiBase?: string): unknown => AthosRoleplay.create({ token: "t", drillKey: "ma-full-sale", apiBase });
const NOT_SUPPORTED = expect.objectContaining({ name: "AthosRoleplayError", code: "BROWSER_NOT_SUPPORTED" }) as Error;

it("creates nothing in a browser that is refused", () => {
  const browser = new FakeBrowser();
  browser.userAgent = "curl/8.5.0";
  browser.install();
  expect(() => create()).toThrow(NOT_SUPPORTED);
});

it("creates nothing on a page that may not use the microphone", () => {
  const browser = new FakeBrowser();
  browser.install();
  vi.stubGlobal("navigator", { userAgent: browser.userAgent });
  expect(() => create()).toThrow(NOT_SUPPORTED);
});

it("creates nothing outside a browser", () => {
  expect(() => create()).toThrow(NOT_SUPPORTED);
});

it.each(["", "app.example.com", "ftp://app.example.com", "https://"])("refuses the apiBase '%s'", (apiBase) => {
  new FakeBrowser().install();
  expect(() => create(apiBase)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }) as Error);
});

it("does no network work and asks for nothing", () => {
  const browser = new FakeBrowser();
  browser.install();
  create();
  expect([browser.requests, browser.asked, browser.sockets]).toEqual([[], [], []]);
});
