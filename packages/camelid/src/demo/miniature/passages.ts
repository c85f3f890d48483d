import type { Random } from "../random.js";
import { fillVillager, siblingWord } from "../sentences.js";
import type { Villager, World } from "../world.js";

/** A passage, a question that it answers, and the answer: TyDiQA in small, in two languages. */
export interface Passage {
  readonly language: Language;
  readonly context: string;
  readonly question: string;
  readonly answer: string;
}

export type Language = "english" | "finnish";

/** How TyDiQA-GoldP asks in each language. */
const LABELS: Readonly<
  Record<Language, { instruction: string; passage: string; question: string; answer: string }>
> = {
  english: {
    instruction: "Answer the following question based on the information in the given passage.",
    passage: "Passage:",
    question: "Question:",
    answer: "Answer:",
  },
  finnish: {
    instruction: "Vastaa seuraavaan kysymykseen annetun kappaleen tiedon perusteella.",
    passage: "Kappale:",
    question: "Kysymys:",
    answer: "Vastaus:",
  },
};

type Fact = { sentence: string; question: string; answer: (who: Villager) => string };

const FACTS: Readonly<Record<Language, readonly Fact[]>> = {
  english: [
    {
      sentence: "{N} lives in {village}.",
      question: "Where does {N} live?",
      answer: ({ village }) => village,
    },
    { sentence: "{N} is a {trade}.", question: "What is the trade of {N}?", answer: ({ trade }) => trade },
    {
      sentence: "The hat of {N} is {colour}.",
      question: "Which colour is the hat of {N}?",
      answer: ({ colour }) => colour,
    },
  ],
  finnish: [
    {
      sentence: "Asukkaan {N} kylä on {village}.",
      question: "Mikä on asukkaan {N} kylä?",
      answer: ({ village }) => village,
    },
    {
      sentence: "Asukkaan {N} {kin} on {sibling}.",
      question: "Kuka on asukkaan {N} {kin}?",
      answer: ({ sibling }) => sibling,
    },
  ],
};

/** Two or three true sentences about one villager and a question about one of them. */
export function passage(world: World, language: Language, random: Random): Passage {
  const who = random.pick(world.villagers);
  const facts = random.shuffled(FACTS[language]);
  const asked = random.pick(facts);
  const kin = siblingWord(who) === "sister" ? "sisar" : "veli";
  const say = (text: string) => fillVillager(text, who, false, { kin });
  return {
    language,
    context: facts.map(({ sentence }) => say(sentence)).join(" "),
    question: say(asked.question),
    answer: asked.answer(who),
  };
}

export function passageRow(one: Passage): { inputs: string; targets: string } {
  const { instruction, passage: label, question, answer } = LABELS[one.language];
  const inputs = `${instruction}\n\n${label} ${one.context}\n${question} ${one.question}\n`;
  return { inputs, targets: `${answer} ${one.answer}` };
}

/** The form of SQuAD, in which TyDiQA-GoldP comes. */
export function squadFile(passages: readonly Passage[]): string {
  return JSON.stringify({
    version: "made up by this project",
    data: passages.map(({ language, context, question, answer }, i) => ({
      title: `${language} ${i}`,
      paragraphs: [
        {
          context,
          qas: [
            {
              id: `${language}-${i}-0`,
              question,
              answers: [{ text: answer, answer_start: context.indexOf(answer) }],
            },
          ],
        },
      ],
    })),
  });
}
