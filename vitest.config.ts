import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run the sources; child processes (the command line) run the build that set-up made.
    alias: [
      { find: /^@camelid\/torch$/, replacement: here("packages/torch/src/index.ts") },
      { find: /^camelid$/, replacement: here("packages/camelid/src/index.ts") },
    ],
  },
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "tests/long/**"],
    // A native addon with threads of its own: one process per test file, few at once.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
