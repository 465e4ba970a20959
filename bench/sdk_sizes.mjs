// The SDK's bundle beside those of others: everything that each exports, minified by the same bundler, gzipped.
//   node bench/sdk_sizes.mjs FOLDER    a folder in which `npm install` put the others; they are no part of ours
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const OTHERS = ["livekit-client", "retell-client-js-sdk", "@vapi-ai/web"];
const folder = resolve(process.argv[2] ?? ".");
const ours = resolve(import.meta.dirname, "..");

for (const [root, name] of [[ours, "@useathos/sdk"], ...OTHERS.map((other) => [folder, other])]) {
  const { version } = JSON.parse(readFileSync(resolve(root, "node_modules", name, "package.json"), "utf8"));
  const { bytes, gzipped } = await bundled(root, name);
  console.log(`${name} ${version}: ${bytes} bytes, ${gzipped} gzipped`);
}

/** A page that uses all of the package. */
async function bundled(root, name) {
  const page = "\0page";
  const result = await build({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [
      {
        name: "page",
        resolveId: (id) => (id === "page" ? page : undefined),
        load: (id) => (id === page ? `export * from ${JSON.stringify(name)}; import * as all from ${JSON.stringify(name)}; globalThis.all = all;` : undefined),
      },
    ],
    build: { write: false, target: "es2022", minify: true, rollupOptions: { input: "page", preserveEntrySignatures: "strict", output: { codeSplitting: false } } },
  });
  const code = result.output.filter(({ type }) => type === "chunk").map((chunk) => chunk.code).join("");
  return { bytes: Buffer.byteLength(code), gzipped: gzipSync(code).length };
}
