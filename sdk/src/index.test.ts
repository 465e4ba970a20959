import { expect, expectTypeOf, it } from "vitest";
import * as sdk from "./index.js";
import type { AthosDrillKey, AthosErrorCode, AthosEventMap, AthosEventName, AthosRoleplaySession } from "./index.js";

it("exports what the contract names, and no more", () => {
  expect(Object.keys(sdk).sort()).toEqual([
    "ATHOS_DRILL_KEYS",
    "ATHOS_ERROR_CODES",
    "ATHOS_EVENT_NAMES",
    "AthosRoleplay",
    "AthosRoleplayError",
    "detectBrowserSupport",
  ]);
});

it("lists every event and error once", () => {
  expect(new Set(sdk.ATHOS_EVENT_NAMES).size).toBe(sdk.ATHOS_EVENT_NAMES.length);
  expect(new Set(sdk.ATHOS_ERROR_CODES).size).toBe(sdk.ATHOS_ERROR_CODES.length);
  expectTypeOf<(typeof sdk.ATHOS_EVENT_NAMES)[number]>().toEqualTypeOf<AthosEventName>();
  expectTypeOf<(typeof sdk.ATHOS_ERROR_CODES)[number]>().toEqualTypeOf<AthosErrorCode>();
});

it("types its listeners", () => {
  expectTypeOf<AthosEventMap["ended"]>().toEqualTypeOf<{ callId: string; durationSec: number }>();
  expectTypeOf<AthosRoleplaySession["connect"]>().returns.toEqualTypeOf<Promise<void>>();
  expectTypeOf<"my-own-drill">().toExtend<AthosDrillKey>();
});

it("has a message for people with every error", () => {
  for (const code of sdk.ATHOS_ERROR_CODES) {
    const error = new sdk.AthosRoleplayError(code);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "AthosRoleplayError", code });
    expect(error.message).toMatch(/\w.*\.$/);
  }
});
