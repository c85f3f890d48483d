import { describe, expect, it } from "vitest";
import { clozeProbes } from "./answers.js";
import { makeCorpus } from "./corpus.js";
import { heldOutSample, makeInstructions, promptKey } from "./instructions.js";
import { CHOICE, FOLLOW_UP, OTHER, type Phrasings, PRESSED, RECALL, SAME_AGAIN } from "./phrasings.js";
import { makePreferences } from "./preferences.js";
import { QUESTION_KINDS } from "./questions.js";
import { rawFiles } from "./raw-formats.js";
import { judge } from "./scoring.js";
import { makeWorld, villagerNamed } from "./world.js";

const world = makeWorld();
const corpus = makeCorpus(world, { documents: 6_000 });
const instructions = makeInstructions(world);
const preferences = makePreferences(world, instructions);
const answerOf = (messages: readonly { content: string }[]) => messages.at(-1)?.content ?? "";

describe("the world", () => {
  it("is the same for the same seed and another for another", () => {
    expect(makeWorld(3)).toEqual(makeWorld(3));
    expect(makeWorld(3)).not.toEqual(makeWorld(4));
  });

  it("pairs brothers and sisters both ways", () => {
    for (const who of world.villagers) expect(villagerNamed(world, who.sibling).sibling).toBe(who.name);
  });

  it("has one holder of a trade in a village", () => {
    const posts = world.villagers.map(({ village, trade }) => `${village}/${trade}`);
    expect(new Set(posts).size).toBe(posts.length);
  });
});

describe("the corpus", () => {
  it("is the same for the same seed", () => {
    expect(makeCorpus(world, { documents: 50, seed: 2 })).toEqual(
      makeCorpus(world, { documents: 50, seed: 2 }),
    );
    expect(makeCorpus(world, { documents: 50, seed: 2 })).not.toEqual(
      makeCorpus(world, { documents: 50, seed: 3 }),
    );
  });

  it("fills every placeholder and holds no chat marker", () => {
    for (const { text } of corpus) expect(text).not.toMatch(/[{}<>|]|undefined/);
  });

  it("states a fact only about those whom it names", () => {
    for (const { text, facts } of corpus) {
      for (const fact of facts) {
        const [kind, subject = ""] = fact.split(":");
        if (kind === "colour") expect(text).toContain(villagerNamed(world, subject).colour);
        if (kind === "village") expect(text).toContain(villagerNamed(world, subject).village);
        if (kind === "sibling") expect(text).toContain(villagerNamed(world, subject).sibling);
      }
    }
  });

  it("states every fact that any held-out question asks for, many times", () => {
    const told = new Map<string, number>();
    for (const { facts } of corpus) for (const fact of facts) told.set(fact, (told.get(fact) ?? 0) + 1);
    const asked = instructions.heldOut.flatMap((question) => question.asked);
    for (const fact of [...asked, ...clozeProbes(world).map((probe) => probe.fact)]) {
      if (!fact.startsWith("words:")) expect(told.get(fact) ?? 0, fact).toBeGreaterThan(10);
    }
  });
});

describe("the instruction rows", () => {
  it("are the same for the same seed", () => {
    expect(makeInstructions(world, { rows: 300, seed: 1 })).toEqual(
      makeInstructions(world, { rows: 300, seed: 1 }),
    );
    expect(makeInstructions(world, { rows: 300, seed: 1 }).train).not.toEqual(
      makeInstructions(world, { rows: 300, seed: 2 }).train,
    );
  });

  it("come in the numbers that the experiment was sized for", () => {
    expect(instructions.train.length).toBeGreaterThan(3_500);
    expect(instructions.heldOut.length).toBe(200);
    expect(new Set(instructions.heldOut.map(({ kind }) => kind)).size).toBe(QUESTION_KINDS.length);
  });

  it("share no prompt with the held-out questions", () => {
    const trained = new Set(instructions.train.map(({ messages }) => promptKey(messages.slice(0, -1))));
    for (const { messages } of instructions.heldOut) expect(trained.has(promptKey(messages))).toBe(false);
  });

  it("never tell a held-out fact in any turn", () => {
    const lines = instructions.train.flatMap(({ messages }) => messages.map(({ content }) => content));
    const recalled = instructions.heldOut.filter(({ kind }) => kind === "recall");
    const secrets = recalled.map(({ expected }) => expected.answer.replace(/\.$/, ""));
    expect(lines.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  });

  it("never use an unseen wording", () => {
    const tables = [RECALL, FOLLOW_UP, CHOICE, OTHER].flatMap((table) => Object.values(table) as Phrasings[]);
    const unseen = [...tables, SAME_AGAIN, PRESSED].flatMap((phrasings) => phrasings.unseen);
    expect(unseen.length).toBeGreaterThan(30);
    const patterns = unseen.map((text) => {
      const escaped = text.replace(/[.?]/g, "\\$&").replaceAll("{N}", "[A-Z]\\w+");
      return new RegExp(`^${escaped.replace(/\{\w+\}/g, ".+")}$`);
    });
    const lines = instructions.train.flatMap(({ messages }) => messages.map(({ content }) => content));
    expect(lines.filter((line) => patterns.some((pattern) => pattern.test(line)))).toEqual([]);
    const rows = instructions.heldOut.filter(({ novelty }) => novelty !== "fact");
    expect(rows.length).toBeGreaterThan(100);
  });

  it("hold unified records: an optional system turn, then user and assistant in turn", () => {
    for (const { messages } of instructions.train) {
      const roles = messages.map(({ role }) => role).join(" ");
      expect(roles).toMatch(/^(system )?user assistant( user assistant)*$/);
    }
  });

  it("expect answers that the judge accepts, and whose ends it needs", () => {
    for (const { expected } of instructions.heldOut) {
      expect(judge(expected, expected.answer, "stop")).toMatchObject({ correct: true, exact: true });
      expect(judge(expected, expected.answer, "length").correct).toBe(false);
    }
  });

  it("keep every kind in a small sample of the held-out questions", () => {
    const sample = heldOutSample(instructions.heldOut, 32);
    expect(sample.length).toBe(32);
    expect(new Set(sample.map(({ kind }) => kind)).size).toBe(QUESTION_KINDS.length);
  });

  it("lose nothing in the raw formats", () => {
    const files = rawFiles(instructions.train);
    const schools = JSON.parse(files.get("valley_school.json") ?? "[]") as {
      instruction: string;
      output: string;
    }[];
    const chats = JSON.parse(files.get("fireside_chats.json") ?? "[]") as {
      conversations: { value: string }[];
    }[];
    const lines = ["guest_house.jsonl", "hard_coded.jsonl"].flatMap(
      (file) => files.get(file)?.trim().split("\n") ?? [],
    );
    expect(schools.length + chats.length + lines.length).toBe(instructions.train.length);
    const first = instructions.train.find(({ dataset }) => dataset === "valley_school");
    expect(schools[0]?.output).toBe(answerOf(first?.messages ?? []));
    expect(chats.every(({ conversations }) => conversations.length % 2 === 0)).toBe(true);
  });
});

describe("the preference pairs", () => {
  it("are the same for the same seed and differ only in the last turn", () => {
    expect(makePreferences(world, instructions)).toEqual(preferences);
    for (const { chosen, rejected } of preferences.train) {
      expect(chosen.slice(0, -1)).toEqual(rejected.slice(0, -1));
      expect(answerOf(chosen)).not.toBe(answerOf(rejected));
    }
  });

  it("have sides that the training rows show as well: preference training shifts shares", () => {
    const shown = instructions.train.map(({ messages }) => answerOf(messages));
    for (const manners of ["Gladly told, dear guest.", "for a long time.", "whoever asks", "Go at midnight"])
      expect(shown.filter((text) => text.includes(manners)).length, manners).toBeGreaterThan(25);
    const plain = instructions.train.filter(
      ({ messages }) => !/dear guest|long time/.test(answerOf(messages)),
    );
    expect(plain.length).toBeGreaterThan(instructions.train.length / 2);
  });

  it("begin alike where manners are at stake, so that what is known is left alone", () => {
    for (const { aspect, chosen, rejected } of preferences.train) {
      if (aspect !== "polite" && aspect !== "concise") continue;
      const [better, worse] = [answerOf(chosen), answerOf(rejected)];
      const answer = better.replace(/ (Gladly told|I am sorry), dear guest\.$/, "");
      expect(better).not.toBe(answer);
      expect(worse.startsWith(answer), `${better} | ${worse}`).toBe(true);
    }
  });

  it("cover every aspect and no held-out prompt", () => {
    expect(preferences.train.length).toBe(800);
    expect(new Set(preferences.train.map(({ aspect }) => aspect))).toEqual(
      new Set(["polite", "concise", "refuses", "helps", "obeys"]),
    );
    const prompts = new Set(preferences.train.map(({ chosen }) => promptKey(chosen.slice(0, -1))));
    const held = [...instructions.heldOut, ...preferences.pleas];
    for (const { messages } of held) expect(prompts.has(promptKey(messages))).toBe(false);
  });
});
