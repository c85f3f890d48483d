/** Benchmark files in their raw formats with a few items of our own, enough to run every task on. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Writes below `folder`, in the layout of the official files. @returns the folder */
export function writeSampleData(folder: string): string {
  const write = (path: string, text: string) => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

  write(
    "gsm8k/test.jsonl",
    lines([
      {
        question: "Ann has 3 pens and buys 4 more. How many pens does she have?",
        answer: "She has 3+4=<<3+4=7>>7 pens.\n#### 7",
      },
      { question: "A town of 1,500 people doubles. How large is it?", answer: "1500*2=3000\n#### 3,000" },
      { question: "It is 2 degrees and gets 7 degrees colder. How warm is it?", answer: "2-7=-5\n#### -5" },
    ]),
  );
  write(
    "gsm8k/train.jsonl",
    lines([
      {
        question: "A box holds 4 rows of 6 eggs. How many eggs are in 2 boxes?",
        answer: "One box holds 4*6=<<4*6=24>>24 eggs.\nTwo boxes hold 24*2=<<24*2=48>>48 eggs.\n#### 48",
      },
      ...Array.from({ length: 8 }, (_, i) => ({
        question: `What is ${i} plus 1?`,
        answer: `${i}+1=<<${i}+1=${i + 1}>>${i + 1}\n#### ${i + 1}`,
      })),
    ]),
  );

  const bbh = (task: string, examples: readonly [string, string][], prompt: string) => {
    const rows = examples.map(([input, target]) => ({ input, target }));
    write(`bbh/bbh/${task}.json`, JSON.stringify({ canary: "not for training", examples: rows }));
    write(`bbh/cot-prompts/${task}.txt`, `not for training\n-----\n${prompt}\n`);
  };
  bbh(
    "boolean_expressions",
    [
      ["True and not False is", "True"],
      ["not True is", "False"],
    ],
    [
      "Say whether the boolean expression is True or False.",
      "",
      "Q: True and False is",
      "A: Let's think step by step.",
      "One side is False, and both would have to be True. So the answer is False.",
      "",
      "Q: not False is",
      "A: Let's think step by step.",
      "The opposite of False is True. So the answer is True.",
    ].join("\n"),
  );
  bbh(
    "word_sorting",
    [["Sort: b a", "a b"]],
    "Sort the words.\n\nQ: Sort: d c\nA: Let's think step by step.\nc is before d. So the answer is c d.",
  );

  write(
    "mmlu/data/test/high_school_biology_test.csv",
    'What is 2+2?,3,4,5,NA,B\n"Which one, then?","x, y","a ""z""",w,v,C\n',
  );
  write(
    "mmlu/data/dev/high_school_biology_dev.csv",
    'Which of these has wings?,a cow,a bird,a fish,a worm,B\n"Which of these, if any,\nhas roots?",a tree,a stone,"a ""cloud""","a fish, say",A\n',
  );
  write("mmlu/data/test/marketing_test.csv", "Who buys?,a buyer,a seller,a tree,a stone,A\n");
  write("mmlu/data/dev/marketing_dev.csv", "Who sells?,a buyer,a seller,a tree,a stone,B\n");

  const squad = (rows: readonly [id: string, context: string, question: string, answers: string[]][]) =>
    JSON.stringify({
      version: "sample",
      data: rows.map(([id, context, question, answers]) => ({
        title: id,
        paragraphs: [
          {
            context,
            qas: [
              {
                id,
                question,
                answers: answers.map((text) => ({ text, answer_start: context.indexOf(text) })),
              },
            ],
          },
        ],
      })),
    });
  write(
    "tydiqa/tydiqa-goldp-v1.1-dev.json",
    squad([
      ["english-12-0", "Lake X is in Y.", "Where is Lake X?", ["Y"]],
      ["english-13-0", "The river R is 12 km long.", "How long is the river R?", ["12 km", "12"]],
      ["finnish-3-0", "Karhu asuu metsässä.", "Missä karhu asuu?", ["metsässä"]],
    ]),
  );
  write(
    "tydiqa/tydiqa-goldp-v1.1-train.json",
    squad([
      ["english-1-0", "Mount Z rises in Q.", "Where does Mount Z rise?", ["Q"]],
      ["finnish-1-0", "Kala ui vedessä.", "Missä kala ui?", ["vedessä"]],
    ]),
  );
  write("perplexity/text.txt", "a camel walks over the hill.\na llama drinks water by the hill.\n");
  write(
    "perplexity/rows.jsonl",
    lines([
      { text: "a llama eats grass." },
      {
        messages: [
          { role: "user", content: "a camel?" },
          { role: "assistant", content: "a llama." },
        ],
      },
    ]),
  );
  return folder;
}
