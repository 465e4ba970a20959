// Checks what was built, as an integrator meets it: both module kinds, types, and the tarball.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { version, dependencies } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
const tarball = resolve(root, "../../static/built/webhooks", `useathos-webhooks-${version}.tgz`);
assert.equal(dependencies, undefined);

const esm = await import("@useathos/webhooks");
const cjs = createRequire(import.meta.url)("@useathos/webhooks");
assert.deepEqual(Object.keys(esm).sort(), ["TOLERANCE", "WebhookRefused", "verify"]);
assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
for (const { verify, WebhookRefused } of [esm, cjs]) {
  assert.throws(() => verify(new Uint8Array(), "t=1,v1=00", "whsec_x"), WebhookRefused);
}

execFileSync("npx", ["--no-install", "tsc", "-p", "consumer"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

const packed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
assert.deepEqual(packed.filter((name) => !/^package\/(dist\/|README\.md$|package\.json$)/.test(name)), []);
console.log(`package ${packed.length} files`);
