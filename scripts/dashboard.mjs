// Puts the libraries that the dashboard's pages load where the server finds them.
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const FILES = [
  "htmx.org/dist/htmx.min.js",
  "uplot/dist/uPlot.iife.min.js",
  "uplot/dist/uPlot.min.css",
  "wavesurfer.js/dist/wavesurfer.esm.js",
];
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const folder = resolve(root, "static/built/dashboard");
mkdirSync(folder, { recursive: true });
for (const file of FILES) {
  copyFileSync(resolve(root, "node_modules", file), resolve(folder, file.split("/").at(-1)));
}
