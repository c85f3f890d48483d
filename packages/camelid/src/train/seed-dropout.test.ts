import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { seedDropout } from "./seed-dropout.js";

const settings = { seed: 7, lora: { dropout: 0.5 } };

function mask(step: number, rank: number, seed = 7): number[] {
  using _ = torch.tensorScope();
  seedDropout(step, { ...settings, seed }, { rank, size: 2 });
  return torch.dropout(torch.ones([64]), 0.5, true).toArray();
}

test("of several ranks each drops other elements, at each step others, and the same when asked again", () => {
  const first = mask(1, 0);
  expect(mask(1, 1)).not.toEqual(first);
  expect(mask(2, 0)).not.toEqual(first);
  expect(mask(1, 0, 8)).not.toEqual(first);
  expect(mask(1, 0)).toEqual(first);
});

test.each([
  ["one process alone", settings, { rank: 0, size: 1 }],
  ["no dropout", { seed: 7, lora: { dropout: 0 } }, { rank: 1, size: 2 }],
  ["no adapters", { seed: 7, lora: null }, { rank: 1, size: 2 }],
] as const)("%s: the sequence of random numbers is left alone", (_, given, world) => {
  using _scope = torch.tensorScope();
  const before = torch.getRandomState();
  seedDropout(1, given, world);
  expect(torch.getRandomState().equal(before)).toBe(true);
});
