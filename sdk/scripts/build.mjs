// Builds the package (ESM, CommonJS, types), one ES module for script tags, the tarball that the server
// offers for installing, and the hashes of all. PUBLIC_URL becomes the package's default for `apiBase`.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const dist = resolve(root, "dist");
const served = resolve(root, "../static/built/sdk");
const { version } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
const origin = (process.env.PUBLIC_URL ?? "http://localhost:8000").replace(/\/+$/, "");

function bundle(entry, outDir, fileName, format) {
  return build({
    root,
    configFile: false,
    logLevel: "warn",
    define: { __ATHOS_API_BASE__: JSON.stringify(origin) },
    build: {
      outDir,
      emptyOutDir: false,
      target: "es2022",
      minify: true,
      lib: { entry: resolve(root, "src", entry), formats: [format], fileName: () => fileName },
    },
  });
}

function run(command, args) {
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

for (const folder of [dist, served]) rmSync(folder, { recursive: true, force: true });
await bundle("index.ts", resolve(dist, "esm"), "index.js", "es");
await bundle("index.ts", resolve(dist, "cjs"), "index.cjs", "cjs");
await bundle("standalone.ts", served, "useathos-sdk.js", "es");

// The same declarations twice: TypeScript reads a folder's module kind from its package.json.
for (const [folder, type] of [["esm", "module"], ["cjs", "commonjs"]]) {
  run("npx", ["--no-install", "tsc", "-p", "tsconfig.build.json", "--outDir", resolve(dist, folder)]);
  writeFileSync(resolve(dist, folder, "package.json"), JSON.stringify({ type }) + "\n");
}
mkdirSync(served, { recursive: true });
run("npm", ["pack", "--silent", "--pack-destination", served]);

// Only what has the version in its name can be pinned: the plain name changes with each release.
copyFileSync(resolve(served, "useathos-sdk.js"), resolve(served, `useathos-sdk-${version}.js`));
const pinned = readdirSync(served).filter((name) => name.includes(version)).sort();
const integrity = Object.fromEntries(pinned.map((name) => [name, hash(resolve(served, name))]));
writeFileSync(resolve(served, "integrity.json"), JSON.stringify({ version, integrity }, undefined, 2) + "\n");

/** As browsers and npm write it. */
function hash(file) {
  return `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;
}
