/** Files of the tasks about code, judges and classifiers in their raw formats, with a few items of our own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Writes below `folder`, in the layout of the official files. @returns the folder */
export function writeJudgedData(folder: string): string {
  const write = (path: string, content: string | readonly object[]) => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    const text =
      typeof content === "string" ? content : content.map((row) => `${JSON.stringify(row)}\n`).join("");
    writeFileSync(file, text);
  };

  write("human_eval/HumanEval.jsonl", [
    {
      task_id: "HumanEval/0",
      prompt: 'def double(x):\n    """Twice x\n    >>> double(2)\n    4\n    """\n',
      entry_point: "double",
      canonical_solution: "    return 2 * x\n",
      test: "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == -6\n",
    },
    {
      task_id: "HumanEval/1",
      prompt: 'import math\n\n\ndef root(x):\n    """Square root of x, rounded down"""\n',
      entry_point: "root",
      canonical_solution: "    return math.isqrt(x)\n",
      test: "def check(candidate):\n    assert candidate(10) == 3\n",
    },
  ]);

  const mbppRow = (task_id: number, name: string, body: string, test_list: string[]) => ({
    task_id,
    text: `Write a function ${name} for tests.`,
    code: `def ${name}(x):\r\n\treturn ${body}`,
    test_setup_code: "",
    test_list,
    challenge_test_list: [],
  });
  write("mbpp/mbpp.jsonl", [
    ...[1, 2, 3, 4].map((id) => mbppRow(id, `plus${id}`, `x + ${id}`, [`assert plus${id}(1) == ${id + 1}`])),
    mbppRow(11, "triple", "3 * x", ["assert triple(1) == 3", "assert triple(2) == 6"]),
  ]);

  write(
    "alpaca_eval/results/text_davinci_003/model_outputs.json",
    JSON.stringify(
      [1, 2, 3, 4].map((n) => ({
        dataset: n < 3 ? "first" : "second",
        instruction: `Say the number ${n}.`,
        output: `reference ${n}`,
        generator: "text_davinci_003",
      })),
    ),
  );
  write(
    "alpaca_eval/evaluators_configs/alpaca_eval_gpt4/alpaca_eval.txt",
    '<|im_start|>system\nYou rank.\n<|im_end|>\n<|im_start|>user\nAsked: {"q": """{instruction}"""}\n1: {output_1}\n2: {output_2}\nReply [{\'model\': <name>}]\n<|im_end|>',
  );

  write("mt_bench/data/mt_bench/question.jsonl", [
    { question_id: 81, category: "writing", turns: ["Write a line.", "Write it again."] },
    { question_id: 111, category: "math", turns: ["What is 2+2?", "And doubled?"] },
  ]);
  write("mt_bench/data/mt_bench/reference_answer/gpt-4.jsonl", [
    { question_id: 111, choices: [{ index: 0, turns: ["It is 4.", "It is 8."] }] },
  ]);
  const judge = (name: string, prompt_template: string) => ({
    name,
    system_prompt: `system of ${name}`,
    prompt_template,
  });
  write("mt_bench/data/judge_prompts.jsonl", [
    judge("single-v1", "Q {question}\nA {answer}"),
    judge("single-math-v1", "Q {question}\nR {ref_answer_1}\nA {answer}"),
    judge("single-v1-multi-turn", "Q {question_1}\nA {answer_1}\nQ {question_2}\nA {answer_2}"),
    judge(
      "single-math-v1-multi-turn",
      "R {ref_answer_1} {ref_answer_2}\nQ {question_1}\nA {answer_1}\nQ {question_2}\nA {answer_2}",
    ),
  ]);

  const header = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n";
  write(
    "truthfulqa/data/v1/TruthfulQA.csv",
    `\ufeff${header}Adversarial,Myths,Do fish sleep?,Fish rest,"Fish rest; Yes, in a way",Fish never sleep,http://x\n`,
  );
  write(
    "truthfulqa/TruthfulQA.csv",
    `${header}Adversarial,Myths,"Do cats, too?",Cats sleep,Cats sleep;They do. ;,Cats never sleep; Cats fly ,http://x\n`,
  );

  const prompts = (group: string) =>
    Array.from({ length: 1000 }, (_, i) => `- ${group} one\\n- ${group} two\\\\n- ${group} ${i}:  \n`).join(
      "",
    );
  for (const group of ["asian", "black"]) write(`toxigen/prompts/hate_${group}_1k.txt`, prompts(group));
  return folder;
}
