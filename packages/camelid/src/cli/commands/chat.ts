import { createInterface } from "node:readline/promises";
import type { WriteStream } from "node:tty";
import type { Command } from "commander";
import { z } from "zod";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { CamelidError } from "../../errors.js";
import { createEngine } from "../../generate/engine.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import type { LoadOptions } from "../../model/load.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { knob } from "../../settings/knob.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { type AnswerView, blocksView, columnsView, runningView } from "../chat/screen.js";
import { type Answer, ChatSession, type Speaker } from "../chat/session.js";
import { shortNames } from "../chat/short-names.js";
import { withoutControls } from "../chat/without-controls.js";
import { fetchWithProgress } from "../fetch-models.js";
import { recipeCommand } from "../recipe-command.js";

const sampling = "Sampling";

const settings = z.strictObject({
  model: knobs.model,
  beside: knob(z.array(z.string().min(1)).default([]), {
    help: "More models, adapters or checkpoints, asked the same and shown side by side.",
    group: "Model and data",
    accepts: "folders, several with commas",
    placeholder: "folders",
  }),
  system: knob(z.string().min(1).nullable().default(null), {
    help: "What the models are told before the first question.",
    group: "Model and data",
    placeholder: "text",
  }),
  maxNewTokens: knobs.maxNewTokens,
  temperature: knob(z.number().min(0).default(0.7), {
    help: "0 takes the most likely token each time, 1 draws from the model's own distribution.",
    group: sampling,
  }),
  topP: knob(z.number().positive().max(1).default(0.95), {
    help: "Draw among the most likely tokens that together reach this probability.",
    group: sampling,
    alsoKnownAs: ["top_p", "nucleus"],
  }),
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

type Settings = z.output<typeof settings>;

export function command(): Command {
  return recipeCommand("chat", { settings, presets: {}, run, interruptText: "Ending." }).description(
    "Talks with one or several models in the terminal. Inside: /new forgets, /undo takes the last question back, /system changes what the models are told, /save writes the conversation as training rows, /help, /exit.",
  );
}

const HELP = `/new             forget the conversation
/undo            take back the last question and its answers
/system [text]   change what the models are told; without text, nothing
/save <file>     write the conversation as rows that sft can train on
/exit            end (Ctrl+D too); Ctrl+C stops an answer`;

async function run(chosen: Settings, { signal, output }: RecipeContext): Promise<RunOutcome> {
  const machine = { ...prepareMachine(chosen), quantize: chosen.quantize };
  await using speakers = new Speakers();
  const folders = [chosen.model, ...chosen.beside];
  for (const [i, name] of shortNames(folders).entries())
    await speakers.load(name, await fetchWithProgress(folders[i]!, { mode: output }), machine);
  const { maxNewTokens, temperature, topP, seed } = chosen;
  const session = new ChatSession(
    speakers.all,
    { maxNewTokens, temperature, topP, seed },
    chosen.system ?? undefined,
  );
  await talk(session, signal);
  return signal.aborted ? "interrupted" : "completed";
}

/** Models and their engines, freed together. */
class Speakers implements AsyncDisposable {
  readonly all: Speaker[] = [];

  async load(name: string, folder: string, options: LoadOptions): Promise<void> {
    const tokenizer = await loadTokenizer(folder);
    const model = loadAdaptedModel(folder, options);
    checkVocabulary(tokenizer, model.config, folder);
    this.all.push({ name, engine: createEngine(model, tokenizer) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { engine } of this.all) {
      await engine[Symbol.asyncDispose]();
      engine.model[Symbol.dispose]();
    }
  }
}

/** @param signal SIGTERM, and SIGINT where no terminal turns Ctrl+C into a key */
async function talk(session: ChatSession, signal: AbortSignal): Promise<void> {
  const { stdin, stdout } = process;
  const say = (text: string): void => void stdout.write(text);
  const isTerminal = stdin.isTTY === true && stdout.isTTY === true;
  const lines = createInterface({ input: stdin, output: isTerminal ? stdout : undefined, prompt: "> " });
  let answering: AbortController | undefined;
  lines.on("SIGINT", () => {
    if (answering !== undefined) answering.abort();
    else lines.close();
  });
  const end = (): void => {
    answering?.abort();
    lines.close();
  };
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  if (isTerminal)
    say(`${session.speakers.map(({ name }) => name).join(", ")}. /help shows what else there is.\n`);
  lines.prompt();
  for await (const line of lines) {
    if (signal.aborted) break;
    const question = line.trim();
    if (question === "/exit") break;
    if (question.startsWith("/")) say(`${obey(session, question)}\n`);
    else if (question !== "") {
      answering = new AbortController();
      await answer(session, question, isTerminal, answering.signal);
      answering = undefined;
    }
    if (!signal.aborted) lines.prompt();
  }
  lines.close();
}

function obey(session: ChatSession, line: string): string {
  const [name, ...rest] = line.split(" ");
  const argument = rest.join(" ").trim();
  switch (name) {
    case "/new":
      session.clear();
      return "forgotten.";
    case "/undo": {
      const question = session.undo();
      return question === undefined ? "there is nothing to take back." : `taken back: ${question}`;
    }
    case "/system":
      session.system = argument === "" ? undefined : argument;
      return argument === "" ? "the models are told nothing." : "the models are told that from now on.";
    case "/save":
      return save(session, argument);
    case "/help":
      return HELP;
    default:
      return `${name} is not known.\n${HELP}`;
  }
}

function save(session: ChatSession, file: string): string {
  if (file === "") return "name a file: /save chat.jsonl";
  if (session.turns === 0) return "there is nothing to save yet.";
  try {
    writeFileAtomic(
      file,
      session
        .records()
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
    );
    return `written to ${file}.`;
  } catch (error) {
    return failureText(error);
  }
}

async function answer(
  session: ChatSession,
  question: string,
  isTerminal: boolean,
  signal: AbortSignal,
): Promise<void> {
  const view = viewOf(session, isTerminal);
  try {
    const answers = await session.ask(question, (speaker, text) => view.update(speaker, text), signal);
    view.end();
    if (isTerminal) for (const one of answers) process.stdout.write(`${dim(rate(one))}\n`);
  } catch (error) {
    process.stdout.write(`${failureText(error)}\n`);
  }
}

function viewOf({ speakers }: ChatSession, isTerminal: boolean): AnswerView {
  const write = (text: string): void => void process.stdout.write(isTerminal ? withoutControls(text) : text);
  if (speakers.length === 1) return runningView(write);
  const names = speakers.map(({ name }) => name);
  return isTerminal ? columnsView(process.stdout as WriteStream, names) : blocksView(write, names);
}

function rate({ tokens, seconds, firstSeconds, isCut }: Answer): string {
  const speed = tokens / Math.max(seconds, 1e-9);
  return `${tokens} tokens, ${speed.toFixed(speed < 10 ? 1 : 0)} a second, first after ${firstSeconds.toFixed(1)} s${isCut ? ", cut" : ""}`;
}

const failureText = (error: unknown): string => {
  if (!(error instanceof CamelidError)) throw error;
  return error.format();
};

const dim = (text: string): string => (process.env.NO_COLOR ? text : `\x1b[2m${text}\x1b[22m`);
