/** Long suites: `npm run test:long`. */
import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

export default defineConfig({
  ...base,
  test: { ...base.test, include: ["tests/long/**/*.test.ts"], exclude: ["**/node_modules/**"] },
});
