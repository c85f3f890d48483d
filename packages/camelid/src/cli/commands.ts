import type { Command } from "commander";

/** A verb of the command line. Its module is loaded only when it is called, so that `camelid --help` is quick. */
export interface Verb {
  name: string;
  /** One line for `camelid --help`. */
  summary: string;
  group: "Data" | "Train" | "Look" | "Ship" | "Set up";
  load(): Promise<{ command(): Command | Promise<Command> }>;
}

/** Every verb, in the order of the help page. */
export const verbs: readonly Verb[] = [
  {
    name: "mix",
    summary: "build a data mixture from raw files",
    group: "Data",
    load: () => import("./commands/mix.js"),
  },
  {
    name: "sft",
    summary: "train a model on conversations",
    group: "Train",
    load: () => import("./commands/sft.js"),
  },
  {
    name: "dpo",
    summary: "train a model on preferences",
    group: "Train",
    load: () => import("./commands/dpo.js"),
  },
  {
    name: "kto",
    summary: "train a model on answers judged one by one",
    group: "Train",
    load: () => import("./commands/kto.js"),
  },
  {
    name: "reward",
    summary: "train a reward model on preferences",
    group: "Train",
    load: () => import("./commands/reward.js"),
  },
  {
    name: "run",
    summary: "run a recipe file of your own",
    group: "Train",
    load: () => import("./commands/run.js"),
  },
  {
    name: "copy",
    summary: "copy a recipe's source, to edit it",
    group: "Train",
    load: () => import("./commands/copy.js"),
  },
  {
    name: "inspect",
    summary: "tokens and labels of rows, as the trainer gets them",
    group: "Look",
    load: () => import("./commands/inspect.js"),
  },
  {
    name: "generate",
    summary: "answer or continue prompts from a file",
    group: "Look",
    load: () => import("./commands/generate.js"),
  },
  {
    name: "chat",
    summary: "talk with a model, or with several side by side",
    group: "Look",
    load: () => import("./commands/chat.js"),
  },
  {
    name: "logprobs",
    summary: "the log-probability of every token of every row",
    group: "Look",
    load: () => import("./commands/logprobs.js"),
  },
  {
    name: "score",
    summary: "judge answers or preference pairs with a reward model",
    group: "Look",
    load: () => import("./commands/score.js"),
  },
  {
    name: "eval",
    summary: "evaluate a model, an endpoint or stored answers on benchmarks",
    group: "Look",
    load: () => import("./commands/eval.js"),
  },
  {
    name: "experiment",
    summary: "an experiment of the paper, from raw files to its table",
    group: "Train",
    load: () => import("./commands/experiment.js"),
  },
  {
    name: "compare",
    summary: "two evaluations item by item: is the difference chance?",
    group: "Look",
    load: () => import("./commands/compare.js"),
  },
  {
    name: "studio",
    summary: "look at runs, mixtures and evaluations in the browser",
    group: "Look",
    load: () => import("./commands/studio.js"),
  },
  {
    name: "show",
    summary: "what the Studio shows, as text or JSON",
    group: "Look",
    load: () => import("./commands/show.js"),
  },
  {
    name: "report",
    summary: "write report.html of a run, also of one that is still going on",
    group: "Look",
    load: () => import("./commands/report.js"),
  },
  {
    name: "export-tensorboard",
    summary: "write what a run recorded for TensorBoard",
    group: "Look",
    load: () => import("./commands/export-tensorboard.js"),
  },
  {
    name: "replay",
    summary: "compute a step of a run again: the same bits?",
    group: "Look",
    load: () => import("./commands/replay.js"),
  },
  {
    name: "serve",
    summary: "serve models over HTTP, as OpenAI's API",
    group: "Ship",
    load: () => import("./commands/serve.js"),
  },
  {
    name: "export",
    summary: "a merged folder, a GGUF file or an adapter, checked against the model",
    group: "Ship",
    load: () => import("./commands/export.js"),
  },
  {
    name: "push",
    summary: "upload a model to a hub, with a card written from its run",
    group: "Ship",
    load: () => import("./commands/push.js"),
  },
  {
    name: "demo",
    summary: "the pipeline in miniature: train a small model and see it learn",
    group: "Set up",
    load: () => import("./commands/demo.js"),
  },
  {
    name: "setup",
    summary: "find or fetch libtorch and compile the binding to it",
    group: "Set up",
    load: () => import("./commands/setup.js"),
  },
  {
    name: "plan",
    summary: "memory and time of a training run before it starts",
    group: "Set up",
    load: () => import("./commands/plan.js"),
  },
  {
    name: "doctor",
    summary: "check the installation on one screen",
    group: "Set up",
    load: () => import("./commands/doctor.js"),
  },
];
