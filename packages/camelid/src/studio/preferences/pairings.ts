/** Win rates between models, from votes. */
import { wilson } from "../../eval/statistics.js";
import type { Pairing, Vote } from "../api.js";

/**
 * One entry for each two models that met, in the order of their first vote. A rate is over decided votes: ties say nothing of
 * who is better, and are told beside it.
 */
export function pairings(votes: readonly Vote[]): Pairing[] {
  const met = new Map<string, Pairing>();
  for (const { a, b, winner } of votes) {
    if (a.model === b.model) continue;
    const [first, second] = [a.model, b.model].sort() as [string, string];
    const key = `${first}\n${second}`;
    let pairing = met.get(key);
    if (pairing === undefined) {
      pairing = {
        a: first,
        b: second,
        wins: 0,
        losses: 0,
        ties: 0,
        bothBad: 0,
        rate: null,
        interval: null,
        course: [],
      };
      met.set(key, pairing);
    }
    if (winner === "tie") pairing.ties++;
    else if (winner === "both-bad") pairing.bothBad++;
    else {
      if ((winner === "a" ? a : b).model === first) pairing.wins++;
      else pairing.losses++;
      const decided = pairing.wins + pairing.losses;
      const [low, high] = wilson(pairing.wins, decided);
      pairing.rate = pairing.wins / decided;
      pairing.interval = [low, high];
      pairing.course.push({ votes: decided, rate: pairing.rate, low, high });
    }
  }
  return [...met.values()];
}
