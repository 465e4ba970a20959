import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { __ATHOS_API_BASE__: JSON.stringify("https://athos.test") },
  test: { include: ["src/**/*.test.ts"], testTimeout: 5_000, sequence: { shuffle: true } },
});
