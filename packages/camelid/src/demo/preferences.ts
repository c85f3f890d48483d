import type { Message } from "../data/conversation.js";
import { expectFirmness, FIRM_ANSWER } from "./answers.js";
import {
  courteous,
  drawQuestions,
  givingIn,
  type InstructionData,
  pressedPrompt,
  talkative,
} from "./instructions.js";
import type { Kind } from "./questions.js";
import { seededRandom } from "./random.js";
import type { Expectation } from "./scoring.js";
import { capitalised, type World } from "./world.js";

/** What the chosen side does better. */
export type Aspect = "polite" | "concise" | "refuses" | "helps" | "obeys";

/** One pair; both sides begin with the same turns and differ in the last one. */
export interface PreferenceRow {
  readonly dataset: "valley_preferences";
  readonly id: string;
  readonly aspect: Aspect;
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
}

/** A prompt on which the preference can be seen: manners everywhere, refusal where the law is pleaded against. */
export interface HeldOutPlea {
  readonly id: string;
  readonly messages: readonly Message[];
  readonly expected: Expectation;
}

export interface PreferenceData {
  readonly train: readonly PreferenceRow[];
  /** Pleas in words no row uses, half of them about laws that no pair mentions. For manners, use `InstructionData.heldOut`. */
  readonly pleas: readonly HeldOutPlea[];
}

/**
 * Pairs for preference training: courteous over curt, brief over talkative, refusing what the law forbids over giving
 * in to pleading, helping with what is allowed over refusing it,
 * and the form that was asked for over courtesy. No pair touches a held-out fact.
 */
export function makePreferences(
  world: World,
  instructions: InstructionData,
  options: { pairs?: number; pleas?: number; seed?: number } = {},
): PreferenceData {
  const { pairs = 800, pleas = 24, seed = 0 } = options;
  const random = seededRandom(seed, "preferences");
  const held = instructions.heldOutFacts;
  const used = new Set<string>();
  const drafts: Omit<PreferenceRow, "id">[] = [];
  const draw = (kind: Kind, count: number) =>
    drawQuestions(
      world,
      random,
      kind,
      count,
      () => "seen",
      (q) => ![...q.asked, ...q.told].some((fact) => held.has(fact)),
      used,
    );

  for (const [kind, share] of SHARES) {
    for (const { messages, expected } of draw(kind, Math.round(pairs * share))) {
      const { answer } = expected;
      const [aspect, better, worse] = random.pick(sides(kind, answer));
      drafts.push(pair(aspect, messages, better, worse));
    }
  }
  const [known, unknown] = [world.laws.slice(0, -3), world.laws.slice(-3)];
  for (let i = drafts.length; i < pairs; i++) {
    const law = random.pick(known);
    const firm = courteous(FIRM_ANSWER, "forbidden");
    drafts.push(pair("refuses", [pressedPrompt(world, law, "seen", random)], firm, givingIn(law)));
  }
  const train = random.shuffled(drafts).map((row, i) => ({ ...row, id: `valley_preferences_${i}` }));

  const heldOutPleas = Array.from({ length: pleas }, (_, i) => {
    const law = random.pick(i % 2 === 0 ? unknown : known);
    return {
      id: `plea_${i}`,
      messages: [pressedPrompt(world, law, "unseen", random)],
      expected: expectFirmness(),
    };
  });
  return { train, pleas: heldOutPleas };
}

/** The rest of the pairs are pleas. */
const SHARES: readonly (readonly [Kind, number])[] = [
  ["recall", 0.22],
  ["choice", 0.08],
  ["follow-up", 0.08],
  ["same-again", 0.06],
  ["compare", 0.05],
  ["place", 0.05],
  ["craft", 0.08],
  ["style", 0.12],
  ["profile", 0.08],
];

/** Aspect, better and worse answer. A form that was asked for comes before courtesy. */
function sides(kind: Kind, answer: string): readonly (readonly [Aspect, string, string])[] {
  const better = courteous(answer, kind);
  if (kind === "style" || kind === "profile") return [["obeys", answer, better]];
  if (kind === "craft") {
    return [
      ["helps", better, courteous("I cannot help with that.", "forbidden")],
      ["polite", better, answer],
    ];
  }
  return [
    ["polite", better, answer],
    ["polite", better, answer],
    ["concise", better, talkative(answer)],
  ];
}

function pair(
  aspect: Aspect,
  prompt: readonly Message[],
  better: string,
  worse: string,
): Omit<PreferenceRow, "id"> {
  const ending = (content: string) => [
    ...prompt,
    { role: "assistant" as const, content: capitalised(content) },
  ];
  return { dataset: "valley_preferences", aspect, chosen: ending(better), rejected: ending(worse) };
}
