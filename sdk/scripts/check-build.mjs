// Checks what was built, as an integrator meets it: size, both module kinds, types, and the tarball.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
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

const size = gzipSync(readFileSync(resolve(served, "useathos-sdk.js"))).length;
assert.ok(size <= LIMIT, `the bundle has ${size} bytes gzipped, more than ${LIMIT}`);
assert.deepEqual(readdirSync(served).sort(), [tarball, "useathos-sdk.js"].sort());

const esm = await import("@useathos/sdk");
const cjs = createRequire(import.meta.url)("@useathos/sdk");
assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
assert.throws(() => esm.AthosRoleplay.create({ token: "t", drillKey: "d" }), { code: "BROWSER_NOT_SUPPORTED" });

execFileSync("npx", ["--no-install", "tsc", "-p", "consumer"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

const packed = execFileSync("tar", ["-tzf", resolve(served, tarball)], { encoding: "utf8" }).trim().split("\n");
assert.deepEqual(packed.filter((name) => !/^package\/(dist\/|README\.md$|package\.json$)/.test(name)), []);

console.log(`bundle ${size} bytes gzipped (limit ${LIMIT}); package ${packed.length} files`);
