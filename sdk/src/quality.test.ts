import { expect, it } from "vitest";
import { QualityWindow, type LineStats } from "./quality.js";

/** A look every quarter of a second, twelve packets each, of which some are lost. */
function windowOf(looks: number, lostEach: number, rest: Partial<LineStats> = {}): QualityWindow {
  const quality = new QualityWindow();
  for (let look = 1; look <= looks; look++) {
    quality.observe({ packets: look * (12 - lostEach), lost: look * lostEach, jitterMs: 5, relayed: false, ...rest });
  }
  return quality;
}

it.each([
  ["good", 0, {}],
  ["fair", 0.5, {}],
  ["poor", 2, {}],
  ["fair", 0, { jitterMs: 60 }],
  ["poor", 0, { jitterMs: 150 }],
  ["fair", 0, { roundTripMs: 400 }],
  ["poor", 0, { roundTripMs: 900 }],
])("is %s with %d packets of 12 lost and %o", (verdict, lost, rest) => {
  expect(windowOf(20, lost, rest).verdict(true)).toMatchObject({ quality: verdict });
});

it("forgets what was lost more than five seconds ago", () => {
  const quality = windowOf(10, 6);
  expect(quality.verdict(true)).toMatchObject({ quality: "poor", lossPercent: 50 });
  for (let look = 1; look <= 20; look++) quality.observe({ packets: 60 + look * 12, lost: 60, jitterMs: 5, relayed: false });
  expect(quality.verdict(true)).toMatchObject({ quality: "good", lossPercent: 0 });
});

it("says nothing of a round trip that is not known", () => {
  expect(new QualityWindow().verdict(true)).toEqual({ quality: "good", jitterMs: 0, lossPercent: 0, relayed: false });
});

it("is lost when nothing is heard, whatever was counted", () => {
  expect(windowOf(20, 0).verdict(false)).toMatchObject({ quality: "lost" });
});
