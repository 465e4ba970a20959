// Puts the renderer of the API reference where the server finds it. Its one address of another host
// is a logo; the page's policy would refuse it anyway, so it goes. Redoc then shows none.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg";
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const bundle = readFileSync(resolve(root, "node_modules/redoc/bundles/redoc.standalone.js"), "utf8");
if (bundle.split(LOGO).length !== 2) throw new Error("Redoc's logo is not where it was.");

const folder = resolve(root, "static/built/reference");
mkdirSync(folder, { recursive: true });
writeFileSync(resolve(folder, "redoc.js"), bundle.replace(LOGO, "data:,").replace(/\n\/\/# sourceMappingURL=.*$/m, ""));
