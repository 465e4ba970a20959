// Checks what was built, as an integrator meets it: both module kinds, types, and the tarball.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
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

// The package's form: publint reads its fields, attw resolves its types as each kind of compiler does.
for (const [tool, ...options] of [["publint", "run", "--strict"], ["attw", "--format", "ascii"]]) {
  const { status, stdout } = spawnSync("npx", ["--no-install", tool, ...options, tarball], { cwd: root });
  assert.equal(status, 0, `${tool}:\n${stdout}`);
}

// The command says what it needs, before it listens or asks anybody.
const command = (...given) => {
  const env = { PATH: process.env.PATH };
  return spawnSync(process.execPath, [resolve(root, "dist/esm/listen.js"), ...given], { env, encoding: "utf8" });
};
assert.match(command("--help").stdout, /^athos-webhooks listen/);
for (const given of [[], ["listen"], ["listen", "--secret", "x"], ["listen", "--bad"], ["listen", "--secret", "whsec_x", "--port", "x"]]) {
  const { status, stdout, stderr } = command(...given);
  assert.deepEqual([status, stdout, stderr.includes("    at ")], [1, "", false], given.join(" "));
}

const packed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
assert.deepEqual(packed.filter((name) => !/^package\/(dist\/|README\.md$|package\.json$)/.test(name)), []);
console.log(`package ${packed.length} files`);
