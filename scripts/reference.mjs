// Puts the renderer of the API reference where the server finds it, with two changes that the page's
// policy asks for: no logo from another host, and the nonce on a style sheet that it adds on loading.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const CHANGES = [
  ["https://cdn.redoc.ly/redoc/logo-mini.svg", "data:,"],
  ["var t=n.nc;t&&", "var t=n.nc||document.currentScript?.nonce;t&&"],
  [/\n\/\/# sourceMappingURL=\S*/, ""],
];
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
let bundle = readFileSync(resolve(root, "node_modules/redoc/bundles/redoc.standalone.js"), "utf8");
for (const [from, to] of CHANGES) {
  if (bundle.split(from).length !== 2) throw new Error(`Redoc has changed: look at ${from}`);
  bundle = bundle.replace(from, to);
}

const folder = resolve(root, "static/built/reference");
mkdirSync(folder, { recursive: true });
writeFileSync(resolve(folder, "redoc.js"), bundle);
