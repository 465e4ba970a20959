// Builds the package (ESM, CommonJS, types), its command, and the tarball that the server offers for installing.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const dist = resolve(root, "dist");
const served = resolve(root, "../../static/built/webhooks");

function bundle(entry, outDir, fileName, format) {
  return build({
    root,
    configFile: false,
    logLevel: "warn",
    build: {
      outDir,
      emptyOutDir: false,
      target: "node20",
      minify: false, // it runs on servers: readable before small
      lib: { entry: resolve(root, "src", entry), formats: [format], fileName: () => fileName },
      rolldownOptions: { external: /^node:/ },
    },
  });
}

function run(command, args) {
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

rmSync(dist, { recursive: true, force: true });
await bundle("index.ts", resolve(dist, "esm"), "index.js", "es");
await bundle("index.ts", resolve(dist, "cjs"), "index.cjs", "cjs");
await bundle("listen.ts", resolve(dist, "esm"), "listen.js", "es"); // the command, with its page inside

// The same declarations twice: TypeScript reads a folder's module kind from its package.json.
for (const [folder, type] of [["esm", "module"], ["cjs", "commonjs"]]) {
  run("npx", ["--no-install", "tsc", "-p", "tsconfig.build.json", "--outDir", resolve(dist, folder)]);
  writeFileSync(resolve(dist, folder, "package.json"), JSON.stringify({ type }) + "\n");
}
mkdirSync(served, { recursive: true });
for (const file of readdirSync(served)) if (file.endsWith(".tgz")) rmSync(resolve(served, file));
run("npm", ["pack", "--silent", "--pack-destination", served]);
