import { afterEach, expect, it, vi } from "vitest";
import { AthosRoleplay, detectBrowserSupport } from "./index.js";
import { FakeBrowser } from "./testing/fake-browser.js";

const KIT = "AppleWebKit/537.36 (KHTML, like Gecko)";
const WINDOWS = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KIT}`;
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
const ANDROID = `Mozilla/5.0 (Linux; Android 14; Pixel 8) ${KIT}`;
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";

afterEach(() => vi.unstubAllGlobals());

const LINUX = `Mozilla/5.0 (X11; Linux x86_64) ${KIT}`;
const CHROME = "Chrome/140.0.0.0 Safari/537.36";
const IPAD = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";

// Forty browsers, by the strings that they send.
it.each([
  ["Chrome on Windows", `${WINDOWS} ${CHROME}`],
  ["Chrome on macOS", `${MAC} ${KIT} ${CHROME}`],
  ["Chrome on Linux", `${LINUX} ${CHROME}`],
  ["Chrome on ChromeOS", `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${KIT} ${CHROME}`],
  ["Chromium of Ubuntu", `Mozilla/5.0 (X11; Ubuntu; Linux x86_64) ${KIT} Ubuntu Chromium/120.0.6099.71 Chrome/120.0.6099.71 Safari/537.36`],
  ["headless Chrome", `${LINUX} HeadlessChrome/140.0.0.0 Safari/537.36`],
  ["Brave, which calls itself Chrome", `${WINDOWS} Chrome/139.0.0.0 Safari/537.36`],
  ["Edge on Windows", `${WINDOWS} ${CHROME} Edg/140.0.0.0`],
  ["Edge on macOS", `${MAC} ${KIT} ${CHROME} Edg/140.0.3485.54`],
  ["Edge on Linux", `${LINUX} ${CHROME} Edg/140.0.3485.54`],
  ["Opera on Windows", `${WINDOWS} Chrome/138.0.0.0 Safari/537.36 OPR/122.0.0.0`],
  ["Opera on macOS", `${MAC} ${KIT} ${CHROME} OPR/120.0.0.0`],
  ["Opera GX", `${WINDOWS} Chrome/136.0.0.0 Safari/537.36 OPR/120.0.0.0 (Edition GX)`],
  ["Vivaldi", `${WINDOWS} ${CHROME} Vivaldi/7.5.3735.74`],
  ["Yandex on Windows", `${WINDOWS} Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36`],
  ["Firefox on Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"],
  ["Firefox on macOS", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:142.0) Gecko/20100101 Firefox/142.0"],
  ["Firefox on Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ["Firefox of Ubuntu", "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"],
  ["Firefox ESR", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"],
])("supports %s", (_, userAgent) => {
  expect(detectBrowserSupport(userAgent)).toEqual({ supported: true });
});

it.each([
  ["safari", "Safari 17", `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15`],
  ["safari", "Safari 26", `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15`],
  ["safari", "Epiphany", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15"],
  ["mobile", "Safari on an iPhone", `${IPHONE} Version/17.0 Mobile/15E148 Safari/604.1`],
  ["mobile", "Safari on an iPad", `${IPAD} Version/17.5 Mobile/15E148 Safari/604.1`],
  ["mobile", "Chrome on an iPhone", `${IPHONE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1`],
  ["mobile", "Chrome on an iPad that asks for desktop pages", `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140 Version/17.0 Safari/605.1.15`],
  ["mobile", "Firefox on an iPhone", `${IPHONE} FxiOS/142.0 Mobile/15E148 Safari/605.1.15`],
  ["mobile", "Edge on an iPhone", `${IPHONE} Version/17.0 EdgiOS/139.0.3405.125 Mobile/15E148 Safari/605.1.15`],
  ["mobile", "Chrome on Android", `${ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36`],
  ["mobile", "Chrome on an Android tablet", `${ANDROID.replace("Pixel 8", "SM-X900")} ${CHROME}`],
  ["mobile", "Samsung Internet", `${ANDROID.replace("Pixel 8", "SM-S928B")} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36`],
  ["mobile", "Firefox on Android", "Mozilla/5.0 (Android 14; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0"],
  ["mobile", "Firefox on an Android tablet", "Mozilla/5.0 (Android 14; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0"],
  ["mobile", "Opera on Android", `${ANDROID} Chrome/135.0.0.0 Mobile Safari/537.36 OPR/90.0.0.0`],
  ["mobile", "Silk on a Fire tablet", `Mozilla/5.0 (Linux; Android 9; KFMAWI) ${KIT} Silk/128.6.1 like Chrome/128.0.6613.187 Safari/537.36`],
  ["unknown", "the old Edge", `${WINDOWS} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`],
  ["unknown", "Internet Explorer", "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko"],
  ["unknown", "SeaMonkey", "Mozilla/5.0 (Windows NT 10.0; rv:91.0) Gecko/20100101 Firefox/91.0 SeaMonkey/2.53.18"],
  ["unknown", "the old Opera", "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18"],
  ["unknown", "curl", "curl/8.5.0"],
  ["unknown", "nothing", ""],
])("refuses as %s: %s", (reason, _, userAgent) => {
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
