/** What one model gets right and another does not, item by item, and whether the difference is more than chance. */

import { meanScore } from "../../eval/metrics.js";
import { gradedOf, type Prediction } from "../../eval/predictions.js";
import { pairedBootstrap } from "../../eval/statistics.js";
import type { Graded } from "../../eval/task.js";
import type { FlipsReply } from "../api.js";
import { ending } from "./items.js";

/** Flips sent; the counts are of all. */
const MOST = 1000;

export function flips(task: string, a: readonly Prediction[], b: readonly Prediction[]): FlipsReply {
  const inB = new Map(b.map((prediction, index) => [prediction.id, { prediction, index }]));
  const answer: FlipsReply = {
    task,
    both: 0,
    onlyA: 0,
    onlyB: b.length,
    bothRight: 0,
    bothWrong: 0,
    gained: 0,
    lost: 0,
    difference: 0,
    interval: [0, 0],
    p: 1,
    flips: [],
  };
  const graded: { a: Graded[]; b: Graded[] } = { a: [], b: [] };
  for (const [index, one] of a.entries()) {
    const other = inB.get(one.id);
    const [gradeA, gradeB] = [gradedOf(one), other && gradedOf(other.prediction)];
    if (other === undefined) answer.onlyA++;
    else answer.onlyB--;
    if (other === undefined || gradeA === undefined || gradeB === undefined) continue;
    answer.both++;
    graded.a.push(gradeA);
    graded.b.push(gradeB);
    const [rightA, rightB] = [one.verdict === "right", other.prediction.verdict === "right"];
    if (rightA && rightB) answer.bothRight++;
    else if (!rightA && !rightB) answer.bothWrong++;
    else {
      const kind = rightB ? "gained" : "lost";
      answer[kind]++;
      if (answer.flips.length < MOST) {
        answer.flips.push({
          ...{ id: one.id, group: one.group ?? "", kind, prompt: ending(one.prompt ?? "") },
          a: { index, output: one.output.slice(0, 300), extracted: one.extracted },
          b: {
            index: other.index,
            output: other.prediction.output.slice(0, 300),
            extracted: other.prediction.extracted,
          },
        });
      }
    }
  }
  if (answer.both === 0) return answer;
  // Groups of a few items each would leave nothing to draw.
  const groups = new Set(graded.a.map(({ group }) => group)).size;
  const [left, right] =
    answer.both >= 5 * groups ? [graded.a, graded.b] : [graded.a, graded.b].map(withoutGroups);
  const { difference, interval, p } = pairedBootstrap(left!, right!, (items) => 100 * meanScore(items));
  return { ...answer, difference, interval: [interval[0], interval[1]], p };
}

function withoutGroups(items: readonly Graded[]): Graded[] {
  return items.map(({ id, score, values }) => ({ id, group: undefined, score, values }));
}
