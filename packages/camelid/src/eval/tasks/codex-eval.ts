/**
 * Codex-Eval: HumanEval's 164 functions, written from signature and docstring and run against hidden tests
 * (Chen et al. 2021, https://arxiv.org/abs/2107.03374). Programs run in the code sandbox.
 */
import { z } from "zod";
import { answerAt } from "../backend.js";
import { damaged } from "../data-folder.js";
import { meanScore } from "../metrics.js";
import type { Program } from "../sandbox/verdict.js";
import type { Prompt, ReplayEntry, ReplayFile, ReplayRun, Task, TaskContext, TaskItem } from "../task.js";
import { codeBlock, gradePrograms, numberOption, passMetrics } from "./programs.js";

export interface CodexItem extends TaskItem {
  readonly prompt: string;
  readonly entryPoint: string;
  readonly test: string;
  /** Stored samples that are whole programs, not continuations of the prompt. */
  readonly whole?: boolean;
}

const FILE = "human_eval/HumanEval.jsonl";
const STOPS = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"];

export const codexEval: Task<CodexItem> = {
  name: "codex-eval",
  title: "Codex-Eval",
  summary: "HumanEval: Python functions from their docstrings, run against tests, pass@k",
  profiles: {
    "tulu2-paper":
      "pass@10 of 20 samples at temperature 0.8, top-p 0.95. The bare prompt, without a chat template also for chat models; nothing is trimmed.",
    standard:
      "pass@1, greedy. Chat models are asked for the whole function in a code block; base models continue the prompt.",
  },
  metric: { name: "pass@k", unit: "%" },
  options: {
    samples: "answers per problem, 20 as in the paper, else 1",
    k: "score is pass@k, 10 as in the paper, else 1",
    temperature: "0.8 as in the paper, else 0",
    topP: "0.95",
    timeLimit: "seconds a program may run, 10",
    memoryMiB: "memory of the interpreter, 512",
    parallel: "programs at once, --concurrency",
  },
  files: [
    {
      path: FILE,
      url: "https://raw.githubusercontent.com/openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d/data/HumanEval.jsonl.gz",
      sha256: "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",
      licence: "MIT",
    },
  ],

  async load(context) {
    return readProblems(context);
  },

  requests(item, answers, context) {
    if (answers.length > 0) return [];
    const asChat = context.chat && context.profile === "standard";
    const samples = samplesOf(context);
    const temperature = numberOption(context, "temperature", context.profile === "tulu2-paper" ? 0.8 : 0);
    return [
      {
        kind: "generate",
        prompt: asChat ? chatPrompt(item) : { text: item.prompt },
        maxNewTokens: asChat ? 1024 : 512,
        samples,
        ...(temperature === 0 ? {} : { temperature, topP: numberOption(context, "topP", 0.95) }),
        ...(asChat ? {} : { stop: STOPS }),
      },
    ];
  },

  grade(item, answers, context) {
    const { samples } = answerAt(answers, 0, "generate");
    return gradePrograms(
      samples.map(({ text }) => programOf(item, text, context)),
      kOf(context),
      context,
    );
  },

  score: (graded) => 100 * meanScore(graded),
  metrics: passMetrics,

  replays: [
    {
      name: "HumanEval samples ({task_id, completion})",
      recognises: (_, first) => Sample.safeParse(first).success,
      read: async (file, context) => readSamples(file, context),
    },
  ],
};

function samplesOf(context: TaskContext): number {
  return Math.max(1, numberOption(context, "samples", context.profile === "tulu2-paper" ? 20 : 1));
}

function kOf(context: TaskContext): number {
  return Math.max(1, numberOption(context, "k", context.profile === "tulu2-paper" ? 10 : 1));
}

function chatPrompt(item: CodexItem): Prompt {
  const content = `Complete this Python function. Answer with the whole function in one code block.\n\n\`\`\`python\n${item.prompt}\`\`\``;
  return { messages: [{ role: "user", content }] };
}

/**
 * The prompt and what was written behind it, to the byte: the first characters of a sample are its indentation.
 * A chat answer holds the function again; a block without it is taken for its body.
 */
export function programOf(
  item: CodexItem,
  text: string,
  { chat, profile }: Pick<TaskContext, "chat" | "profile">,
): Program {
  const { prompt, entryPoint } = item;
  const test = `${item.test}\ncheck(${entryPoint})`;
  const tests = { test, entryPoint, prompt };
  if (item.whole) return { program: text, ...tests };
  if (!chat || profile === "tulu2-paper") return { program: prompt + text, ...tests };
  const header = `def ${entryPoint}(`;
  const code = codeBlock(text, header) ?? text;
  return { program: code.includes(header) ? `${prompt}\n${code}` : prompt + code, ...tests };
}

// ------------------------------------------------------------------------------------------------------------ files

const Problem = z.object({
  task_id: z.string(),
  prompt: z.string(),
  entry_point: z.string(),
  test: z.string(),
  canonical_solution: z.string(),
});

function readProblems(context: TaskContext): CodexItem[] {
  return context.data.jsonLines(FILE).map(({ value, line }) => {
    const row = Problem.safeParse(value);
    if (!row.success) {
      throw damaged(
        `${context.data.find(FILE)} line ${line}`,
        'a problem has the texts "task_id", "prompt", "entry_point", "test" and "canonical_solution"',
      );
    }
    const { task_id, prompt, entry_point, test, canonical_solution } = row.data;
    return { id: task_id, target: canonical_solution, prompt, entryPoint: entry_point, test };
  });
}

const Sample = z.object({
  task_id: z.string().startsWith("HumanEval/"),
  completion: z.string(),
  passed: z.boolean().optional(),
});

/** One line per sample; several samples of a problem are put together. */
function readSamples(file: ReplayFile, context: TaskContext): ReplayRun<CodexItem>[] {
  const problems = new Map(readProblems(context).map((item) => [item.id, item]));
  const samples = new Map<string, z.output<typeof Sample>[]>();
  file.records.forEach((record, index) => {
    const row = Sample.safeParse(record);
    const where = `${file.path} record ${index + 1}`;
    if (!row.success) throw damaged(where, 'a sample has the texts "task_id" and "completion"');
    const { task_id } = row.data;
    if (!problems.has(task_id)) throw damaged(where, `there is no problem ${task_id}`);
    const same = samples.get(task_id);
    if (same === undefined) samples.set(task_id, [row.data]);
    else same.push(row.data);
  });
  const entries = [...samples].map(([id, rows]): ReplayEntry<CodexItem> => {
    const item = problems.get(id)!;
    const whole = rows.every(({ completion }) => completion.includes(`def ${item.entryPoint}(`));
    const flags = rows.flatMap(({ passed }) => (passed === undefined ? [] : [passed ? 1 : 0]));
    return {
      item: whole ? { ...item, whole } : item,
      answers: [
        {
          kind: "generate",
          samples: rows.map(({ completion }) => ({ text: completion, finishReason: "stop", tokens: 0 })),
        },
      ],
      ...(flags.length === 1 && rows.length === 1 ? { upstreamScore: flags[0]! } : {}),
    };
  });
  return [{ run: "stored", entries }];
}
