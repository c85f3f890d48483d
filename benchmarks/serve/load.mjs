// The load that every contestant gets: so many clients, each asks again as soon as it is answered. Prompts are token ids, no two alike.
import { percentile } from "./numbers.mjs";

/** @returns a list of requests for each client */
export function makeLoad(clients, { perClient, promptTokens, vocabSize }) {
  // Other prompts for each number of clients: an engine that keeps earlier ones must not have them already.
  let state = 12345 + clients;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  // Ids from 100 on: none of them special. Lengths from half to one and a half.
  const prompt = () => [
    1,
    ...Array.from(
      { length: Math.round(promptTokens / 2) + random(promptTokens) },
      () => 100 + random(vocabSize - 100),
    ),
  ];
  return Array.from({ length: clients }, () => Array.from({ length: perClient }, prompt));
}

/**
 * Plays a load. @param ask (prompt, client, onFirst) -> number of new tokens; calls `onFirst` when the first is there
 * @returns tokens, seconds of all, seconds to first token of each request
 */
export async function play(load, ask) {
  const firstSeconds = [];
  let tokens = 0;
  const started = performance.now();
  await Promise.all(
    load.map(async (prompts, client) => {
      for (const prompt of prompts) {
        const asked = performance.now();
        const made = await ask(prompt, client, () => firstSeconds.push((performance.now() - asked) / 1000));
        tokens += made;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  return {
    tokens,
    seconds,
    tokensPerSecond: tokens / seconds,
    firstTokenMedianMs: 1000 * percentile(firstSeconds, 0.5),
    firstTokenP95Ms: 1000 * percentile(firstSeconds, 0.95),
  };
}
