// Checks what was built, as an integrator meets it: size, both module kinds, types, hashes and the tarball.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT = 12 * 1024; // bytes, gzipped
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const served = resolve(root, "../static/built/sdk");
const { version } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
const tarball = `useathos-sdk-${version}.tgz`;

const module = `useathos-sdk-${version}.js`;

const size = gzipSync(readFileSync(resolve(served, "useathos-sdk.js"))).length;
assert.ok(size <= LIMIT, `the bundle has ${size} bytes gzipped, more than ${LIMIT}`);
assert.deepEqual(readdirSync(served).sort(), [tarball, module, "useathos-sdk.js", "integrity.json"].sort());

const { integrity } = JSON.parse(readFileSync(resolve(served, "integrity.json"), "utf8"));
assert.deepEqual(Object.keys(integrity).sort(), [tarball, module].sort());
for (const [name, expected] of Object.entries(integrity)) {
  const found = createHash("sha512").update(readFileSync(resolve(served, name))).digest("base64");
  assert.equal(`sha512-${found}`, expected, `the hash of ${name}`);
}

const esm = await import("@useathos/sdk");
const cjs = createRequire(import.meta.url)("@useathos/sdk");
assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
assert.throws(() => esm.AthosRoleplay.create({ token: "t", drillKey: "d" }), { code: "BROWSER_NOT_SUPPORTED" });

execFileSync("npx", ["--no-install", "tsc", "-p", "consumer"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

// The package's form: publint reads its fields, attw resolves its types as each kind of compiler does.
for (const [tool, ...options] of [["publint", "run", "--strict"], ["attw", "--format", "ascii"]]) {
  const { status, stdout } = spawnSync("npx", ["--no-install", tool, ...options, resolve(served, tarball)], { cwd: root });
  assert.equal(status, 0, `${tool}:\n${stdout}`);
}

const packed = execFileSync("tar", ["-tzf", resolve(served, tarball)], { encoding: "utf8" }).trim().split("\n");
assert.deepEqual(packed.filter((name) => !/^package\/(dist\/|README\.md$|package\.json$)/.test(name)), []);

console.log(`bundle ${size} bytes gzipped (limit ${LIMIT}); package ${packed.length} files`);
