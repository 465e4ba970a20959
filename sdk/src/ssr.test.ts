import { expect, it } from "vitest";

it("can be imported where there is no browser, and asks nothing of it", async () => {
  for (const name of ["window", "document", "RTCPeerConnection", "AudioContext"]) {
    expect(Reflect.has(globalThis, name)).toBe(false);
  }
  const sdk = await import("./index.js");
  expect(sdk.detectBrowserSupport("")).toEqual({ supported: false, reason: "unknown" });
  expect(() => sdk.AthosRoleplay.create({ token: "t", drillKey: "d" })).toThrow(
    expect.objectContaining({ code: "BROWSER_NOT_SUPPORTED" }) as Error,
  );
});
