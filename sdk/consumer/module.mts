// Compiled by scripts/check-build.mjs, never run: what an integrator on ES modules writes.
import { AthosRoleplay, AthosRoleplayError, type AthosErrorCode, type AthosRoleplaySession } from "@useathos/sdk";

export async function call(token: string): Promise<AthosErrorCode | undefined> {
  const session: AthosRoleplaySession = AthosRoleplay.create({ token, drillKey: "ma-full-sale", difficulty: "Elite" });
  const off = session.on("ready", ({ persona }) => persona.name.trim());
  session.on("reconnecting", () => off());
  session.on("ended", ({ callId, durationSec }) => `${callId} ${durationSec.toFixed()}`);
  // @ts-expect-error there is no such event
  session.on("transcript", () => {});
  try {
    await session.connect();
  } catch (cause) {
    return cause instanceof AthosRoleplayError ? cause.code : undefined;
  }
  return undefined;
}
