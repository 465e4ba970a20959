/** The build for `<script type="module">`: by default it calls the server that it was loaded from. */

import { defaultOrigin } from "./default-origin.js";

const { origin } = new URL(import.meta.url);
if (origin.startsWith("http")) defaultOrigin.value = origin;

export * from "./index.js";
