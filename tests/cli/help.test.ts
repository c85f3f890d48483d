/** Every command's help fits a terminal of 80 columns. */
import { expect, test } from "vitest";
import { verbs } from "../../packages/camelid/src/cli/commands.js";
import { camelid } from "./camelid.js";

test.each(verbs.map(({ name }) => name))("camelid %s --help", async (name) => {
  const { code, out } = await camelid(name, "--help");
  expect(code).toBe(0);
  expect(out).toMatch(/^Usage: camelid /);
  for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
});
